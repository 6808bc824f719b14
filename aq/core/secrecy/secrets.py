"""Secrets in text: found, to refuse a job file or to warn about a change, and taken out. Pure matching;
the shapes are in `secret_shapes`, the matching in `redaction`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from aq.core.secrecy.matching import refused_spans
from aq.core.secrecy.redaction import Redactor
from aq.core.value import Value

_HUNK = re.compile(rb"@@ -[0-9]+(?:,([0-9]+))? \+([0-9]+)(?:,([0-9]+))? @@")
_MAX_WARNINGS = 10


class Secret(Value):
    """Where a secret seems to be, and of which kind. Never its value."""

    kind: str
    line: int


def find_secret(text: str) -> Secret | None:
    """The first thing in the text that looks like a secret."""
    data = text.encode("utf-8", "replace")
    spans = refused_spans(data)
    return Secret(spans[0].kind, data.count(b"\n", 0, spans[0].start) + 1) if spans else None


def redact(text: str, known: tuple[str, ...] = ()) -> str:
    """The text with known values and secret shapes replaced by their kind, and without escape codes."""
    redactor = Redactor(known)
    clean = redactor.write(text.encode("utf-8", "replace")) + redactor.close()
    return clean.decode("utf-8", "replace")


def diff_warnings(diff: bytes) -> tuple[str, ...]:
    """A line for each added line of a unified diff that seems to hold a secret: where, and of which kind.
    Never its value, not even when it is a part of the file's name."""
    spans = refused_spans(diff)
    found: list[str] = []
    for path, number, start, end in _added(diff) if spans else ():
        kinds = {span.kind for span in spans if start <= span.start < end}
        found += (f"{redact(path)}:{number} looks like a secret: {kind}" for kind in sorted(kinds))
    more = len(found) - _MAX_WARNINGS
    return (*found[:_MAX_WARNINGS], *([f"and {more} more"] if more > 0 else []))


def _added(diff: bytes) -> Iterable[tuple[str, int, int, int]]:
    """The added lines as (file, line number, start, end). What a hunk says of its length is believed, so
    that no added line passes for a header."""
    path, number, removed, added, at = "", 0, 0, 0, 0
    for line in diff.split(b"\n"):
        at += len(line) + 1
        if added and line.startswith(b"+"):
            yield path, number, at - len(line) - 1, at
            number, added = number + 1, added - 1
        elif removed and line.startswith(b"-"):
            removed -= 1
        elif line.startswith(b"+++ "):
            path = line[4:].rstrip(b"\t\r").strip(b'"').removeprefix(b"b/").decode("utf-8", "replace")
        elif hunk := _HUNK.match(line):
            removed, number, added = int(hunk[1] or 1), int(hunk[2]), int(hunk[3] or 1)
