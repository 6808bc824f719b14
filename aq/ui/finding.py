"""What `aq doctor` finds, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found: `ok`, `note` or `BAD`, and what to do."""

    level: str
    what: str
    do: str = ""
