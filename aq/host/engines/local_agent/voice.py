"""What the agent says to aq: one JSON object in a line, short enough to arrive whole."""

from __future__ import annotations

import json
import sys
from typing import TextIO

_MAX_TEXT = 6000


class Voice:
    """Writes events."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout

    def say(self, event: str, **facts: str | float | bool | None) -> None:
        """One event; what is not known is left out."""
        known = {name: _short(value) for name, value in facts.items() if value is not None}
        self._out.write(json.dumps({"event": event, **known}) + "\n")
        self._out.flush()


def _short(value: str | float | bool | None) -> str | float | bool | None:
    return f"{value[:_MAX_TEXT]} …" if isinstance(value, str) and len(value) > _MAX_TEXT else value
