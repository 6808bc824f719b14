"""Time on this machine: a clock that counts sleep, the boot it belongs to, and the wall clock."""

from __future__ import annotations

import sys
import time
import uuid
from functools import lru_cache
from pathlib import Path

from aq.core.instants import Instant, instant


class Clock:
    """`now` is for people and schedules, `boottime` for leases."""

    def now(self) -> Instant:
        """The wall clock."""
        return instant(time.time())

    def boottime(self) -> float:
        """Seconds since boot, sleep included: a closed lid must not stop a lease's clock."""
        # macOS: CLOCK_MONOTONIC runs on in sleep, time.monotonic() does not. Windows: time.monotonic()
        # counts it. Neither was run here.
        name = "CLOCK_BOOTTIME" if sys.platform == "linux" else "CLOCK_MONOTONIC"
        source = getattr(time, name, None)
        return time.clock_gettime(source) if source is not None else time.monotonic()


@lru_cache(maxsize=1)
def boot_id() -> str:
    """A name for this boot of this machine; random for the process where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:36]
    except OSError:
        import psutil

        started = int(psutil.boot_time())
        return f"boot-{started}" if started else str(uuid.uuid4())
