"""The machine in words that identify no one."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess

import psutil


def describe() -> dict[str, str]:
    """Cores, memory, system, versions, the day."""
    version = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[
        2
    ]
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "git": version,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "load at start": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
    }
