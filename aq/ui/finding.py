"""What `aq doctor` finds, as a value."""

from __future__ import annotations

from aq.core.value import Value


class Finding(Value):
    """One thing found: `ok`, `note` or `BAD`, and what to do."""

    level: str
    what: str
    do: str = ""
