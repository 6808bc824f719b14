"""Durations (`90s 45m 2h 1d`) and counts (`2M 500k`) as people write them."""

from __future__ import annotations

import re

from aq.core.errors import AqError

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h|d)$")
_COUNT = re.compile(r"^(\d+(?:\.\d+)?)([kKmM]?)$")
_AMOUNT = re.compile(r"\d{1,9}(\.\d{1,6})?", re.ASCII)
_MULTIPLE = {"": 1, "k": 1_000, "m": 1_000_000}
MAX_DURATION = 366 * 86400
MAX_DIGITS = 15


def parse_duration(text: str) -> float:
    """Seconds in a duration such as `90s`, `1.5h` or `2d`."""
    match = _DURATION.fullmatch(text)
    if not match or len(match[1]) > MAX_DIGITS:
        raise AqError(f"{text!r} is not a duration", "write a number and a unit: 90s, 45m, 2h or 1d")
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds > MAX_DURATION:
        raise AqError(f"{text!r} is longer than 366 days", "write a shorter duration")
    return seconds


def parse_usd(text: str) -> float:
    """An amount in usd such as `5` or `0.50`."""
    if not _AMOUNT.fullmatch(text):
        raise AqError(f"{text!r} is not an amount", "write a number such as 5 or 0.50")
    return float(text)


def parse_count(text: str) -> int:
    """A count such as `500k` or `2M`."""
    match = _COUNT.fullmatch(text)
    if not match or len(match[1]) > MAX_DIGITS:
        raise AqError(f"{text!r} is not a count", "write a whole number, or one like 500k or 2M")
    return round(float(match[1]) * _MULTIPLE[match[2].lower()])


def duration_text(seconds: float) -> str:
    """The two largest units of a duration, for people: `2h05m`, `45s`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s" if rest else f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h{minutes:02d}m" if minutes else f"{hours}h"
    return f"{hours // 24}d"
