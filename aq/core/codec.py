"""Our own YAML files (records, leases, beats, PAUSED, spend) as values. Read as strictly as a person's
file: whoever can push can write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from msgspec import ValidationError, convert

from aq.core.document import decode, read_yaml, without_nothing
from aq.core.errors import AqError, InvalidFileError

Made = TypeVar("Made")
# A record of 20 full runs with their verdicts has about 1 500 events.
MAX_OWN_EVENTS = 50_000
# How msgspec ends an error: "- at `$.runs[0].attempt`".
_WHERE = re.compile(r"(?P<what>.*?) - at `\$\.?(?P<path>.*)`", re.DOTALL)
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


def decode_as(cls: type[Made], data: bytes, file: str) -> Made:
    """A value from a YAML file. Raises InvalidFileError naming the file."""
    try:
        front, lines = read_yaml(decode(data), max_events=MAX_OWN_EVENTS)
    except InvalidFileError as error:
        raise error.located(file) from None
    try:
        # A YAML file is read as text throughout: numbers are what the fields make of it.
        return convert(without_nothing(front), cls, strict=False)
    except ValidationError as error:
        raise _refusal(str(error), lines, file) from None
    except AqError as error:
        raise InvalidFileError(error.what, error.hint, file=file, line=1) from None


def _refusal(message: str, lines: Mapping[tuple[str | int, ...], int], file: str) -> InvalidFileError:
    found = _WHERE.fullmatch(message)
    what, path = (found["what"], found["path"]) if found else (message, "")
    steps = tuple(int(index) if index else name for index, name in _STEP.findall(path))
    key = ".".join(str(step) for step in steps)
    return InvalidFileError(
        f"{key}: {what}" if key else what,
        "`aq doctor` offers the repair",
        file=file,
        line=lines.get(steps, 1),
    )
