"""Printing: text that cannot harm a terminal, colour only on one, and JSON with a contract number."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any, TextIO

from aq.core.errors import AqError, InvalidFileError

CONTRACT = 1
_COLOUR_CODE = re.compile("\x1b\\[[0-9;]*m")
_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}


def clean(text: str) -> str:
    """Text without anything that a terminal would obey: job files and logs are not trusted. Colours
    vanish, everything else of that kind becomes a visible mark."""
    if text.isprintable():
        return text
    text = _COLOUR_CODE.sub("", text).replace("\r\n", "\n")
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal. Python has None in the place of one that was closed by the caller."""
    return stream is not None and stream.isatty()


def colours(stream: TextIO | None) -> bool:
    """Whether colour is wanted on this stream."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def style(text: str, name: str, stream: TextIO | None = None) -> str:
    """The text in a colour, on a terminal."""
    return f"\x1b[{_CODES[name]}m{text}\x1b[0m" if text and colours(stream or sys.stdout) else text


def put(text: str) -> None:
    """Text on standard output, if there is one, already cleaned or styled by the caller."""
    _write(sys.stdout, text)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is not None:
        stream.write(text)
        stream.flush()


def say(text: str = "") -> None:
    """One line on standard output, already cleaned or styled by the caller."""
    put(text + "\n")


def tell(text: str, lead: str = "", colour: str = "red") -> None:
    """One line for the person on standard error: progress and remarks, not the result. The lead comes
    first, in colour."""
    head = f"{style(lead, colour, sys.stderr)} " if lead else ""
    _write(sys.stderr, f"{head}{clean(text)}\n")


def tell_error(error: AqError) -> int:
    """What happened, and on the next line what to do; the exit code."""
    if isinstance(error, InvalidFileError):
        tell(str(error), "aq:")
    else:
        tell(error.what, "aq:")
        if error.hint:
            tell(f"    {error.hint}")
    return error.exit_code


def say_json(value: dict[str, Any]) -> None:
    """A JSON document with the contract number first. What a terminal would obey is escaped, and what
    looks like a secret is taken out: a job pushed by hand may hold one."""
    from aq.core.secrecy.matching import is_suspicious
    from aq.core.secrecy.scrub import scrub

    document = {"contract": CONTRACT, **value}
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if is_suspicious(text.encode("utf-8", "replace")):
        text = json.dumps(scrub(document, spared=frozenset()), indent=2, ensure_ascii=False)
    say("".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text))


def columns(rows: list[list[str]], width: int, flexible: int) -> list[str]:
    """Rows as aligned lines no longer than `width`; the `flexible` column gives way."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    spare = width - sum(widths) - 2 * (len(widths) - 1)
    if spare < 0:
        widths[flexible] = max(8, widths[flexible] + spare)
    return ["  ".join(_fit(cell, w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
