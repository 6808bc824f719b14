"""Points in time as ISO 8601 UTC text, which sorts as it reads. For people and for scheduling;
never for judging a lease."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from aq.core.errors import AqError

Instant = str
_INSTANT = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z", re.ASCII)
_LAST_SECOND = 253402300799
_SECONDS = len("2026-12-01T09:00:00")


def instant(unix_seconds: float) -> Instant:
    """Unix seconds as an instant; a commit may claim any time, and years have four digits here."""
    moment = datetime.fromtimestamp(min(max(0, int(unix_seconds)), _LAST_SECOND), UTC)
    # Not strftime: this runs for every commit that is read, and is ten times faster.
    return moment.isoformat()[:_SECONDS] + "Z"


def unix(at: Instant) -> int:
    """An instant as unix seconds."""
    return int(datetime.fromisoformat(at).timestamp())


def require_instant(*values: Instant | None) -> None:
    """Raise unless each value is an instant that exists in the calendar, or None."""
    for value in values:
        if value is not None and not _exists(value):
            raise AqError(f"{value!r} is not a time", "write it as 2026-12-01T09:00:00Z")


def _exists(value: Instant) -> bool:
    # Not strptime: this runs for every record that is read, and is ten times faster.
    found = _INSTANT.fullmatch(value)
    if not found:
        return False
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return False
    return True


def parse_instant(text: str) -> Instant:
    """What a person may write as a time (with or without seconds; an offset or Z)."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise AqError(f"{text!r} names no time zone", "end it with Z, or with an offset like +02:00")
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
    except (ValueError, OverflowError):
        raise AqError(f"{text!r} is not a time", "write it as 2026-12-01T09:00Z") from None


def later(at: Instant, seconds: float) -> Instant:
    """The instant `seconds` after `at`."""
    return instant(unix(at) + seconds)


def day(at: Instant) -> str:
    """The UTC day of an instant, `YYYY-MM-DD`."""
    return at[:10]


def latest_slot(now: Instant, every_seconds: int) -> Instant:
    """The last multiple of a period, counted from the Unix epoch, that is not after `now`."""
    moment = unix(now)
    return instant(
        (datetime.fromtimestamp(moment, UTC) - timedelta(seconds=moment % every_seconds)).timestamp()
    )
