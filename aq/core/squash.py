"""The message of the one commit that a run's work becomes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_MAX_LINE = 200
_MAX_COMMITS = 20
_MAX_SUMMARY = 4000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")


def _redacted(text: str, known: tuple[str, ...] = ()) -> str:
    """The text without secrets. The patterns are slow to compile, and the board, which comes by here, never
    needs them."""
    from aq.core.secrecy.secrets import redact

    return redact(text, known)


def one_line(text: str, known: tuple[str, ...] = ()) -> str:
    """Another's words as one short line: no control characters, no secrets."""
    clean = _CONTROL.sub(" ", _redacted(text, known)).strip()
    return clean if len(clean) <= _MAX_LINE else f"{clean[: _MAX_LINE - 1]}…"


def squash_message(
    title: str,
    trailers: Mapping[str, object],
    commits: Sequence[str] = (),
    known: tuple[str, ...] = (),
    summary: str = "",
) -> str:
    """Subject, the engine's own summary, the agent's own commits, trailers. Trailers without a value are
    left out."""
    lines = [one_line(line, known) for line in _redacted(summary, known)[:_MAX_SUMMARY].splitlines()]
    parts = [one_line(title, known), "\n".join(lines).strip()]
    if commits:
        lines = [f"- {one_line(subject, known)}" for subject in commits[:_MAX_COMMITS]]
        if len(commits) > _MAX_COMMITS:
            lines.append(f"- and {len(commits) - _MAX_COMMITS} more")
        parts.append("\n".join(["The agent's own commits:", *lines]))
    named = {name: one_line(str(value), known) for name, value in trailers.items()}
    parts.append("\n".join(f"{name}: {value}" for name, value in named.items() if value))
    return "\n\n".join(part for part in parts if part) + "\n"
