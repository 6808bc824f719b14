"""The event log's one vocabulary: what a commit of aq says, written and read."""

from __future__ import annotations

import re

from aq.core.lifecycle import Stage, Trigger
from aq.core.value import Value

# What changes the queue but no job's stage.
FLEET_OPS = ("init", "pause", "resume", "accept-rewind", "signers", "accept")
_TRAILER = re.compile(r"^(Aq-[A-Za-z-]+): (.*)$")
MAX_VALUE = 500


class Event(Value):
    """One operation as its commit tells it. `extra` holds the trailers that only some have."""

    op: str
    by: str
    op_id: str
    job: str = ""
    source: Stage | None = None
    target: Stage | None = None
    host: str = ""
    epoch: int = 0
    attempt: int = 0
    detail: str = ""
    extra: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str:
        """One of the extra trailers, or nothing."""
        return dict(self.extra).get(name, "")


def one_line(text: str, limit: int = MAX_VALUE) -> str:
    """Text that may stand in a subject or trailer: printable, one line, bounded."""
    flat = " ".join(text.split())
    clean = "".join(c if c.isprintable() else "?" for c in flat)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def subject(event: Event) -> str:
    """`claim fix-login on mac-2 (attempt 1)`."""
    words = [event.op]
    if event.job:
        words.append(event.job)
    if event.host:
        words.append(f"on {event.host}")
    if event.op == Trigger.CLAIM:
        words.append(f"(attempt {event.attempt})")
    text = " ".join(words)
    return one_line(f"{text}: {event.detail}" if event.detail else text, 120)


def render(event: Event) -> str:
    """The commit message."""
    pairs: list[tuple[str, object]] = [
        ("Aq-Job", event.job),
        ("Aq-Op", event.op),
        ("Aq-From", event.source or ("new" if event.target else "")),
        ("Aq-To", event.target or ""),
        ("Aq-Host", event.host),
        ("Aq-Epoch", event.epoch or ""),
        ("Aq-Attempt", event.attempt or ""),
        ("Aq-By", event.by),
        ("Aq-Op-Id", event.op_id),
        *event.extra,
    ]
    trailers = [f"{name}: {one_line(str(value))}" for name, value in pairs if value != ""]
    return f"{subject(event)}\n\n" + "\n".join(trailers) + "\n"


def _stage(text: str) -> Stage | None:
    return Stage(text) if text in set(Stage) else None


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def parse(message: str) -> Event | None:
    """The event of a commit message, or None for a commit that is not aq's."""
    last = message.strip().rsplit("\n\n", 1)[-1]
    lines = (_TRAILER.match(line) for line in last.splitlines())
    found: dict[str, str] = {match[1]: match[2] for match in lines if match}
    op = found.pop("Aq-Op", "")
    if op not in set(Trigger) and op not in FLEET_OPS:
        return None
    head = message.splitlines()[0] if message else ""
    return Event(
        op=op,
        by=found.pop("Aq-By", ""),
        op_id=found.pop("Aq-Op-Id", ""),
        job=found.pop("Aq-Job", ""),
        source=_stage(found.pop("Aq-From", "")),
        target=_stage(found.pop("Aq-To", "")),
        host=found.pop("Aq-Host", ""),
        epoch=_number(found.pop("Aq-Epoch", "")),
        attempt=_number(found.pop("Aq-Attempt", "")),
        detail=head.split(": ", 1)[1] if ": " in head else "",
        extra=tuple(found.items()),
    )
