"""What this machine is made of, as offers: its processors, its memory and its graphics processor."""

from __future__ import annotations

import math
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from aq.host.engines.looking import ask

_GIB = 1024**3
_CGROUP = Path("/sys/fs/cgroup/memory.max")
# The device that a driver makes when there is a card; every desktop has /dev/dri.
_DEVICES = {"nvidia": "/dev/nvidia0", "amd": "/dev/kfd"}


def hardware() -> Iterator[str]:
    """The offers. Memory is in GiB and rounded up: what the kernel keeps for itself does not count against
    what was built in."""
    yield f"cpus={os.cpu_count() or 1}"
    size = memory_bytes(_CGROUP)
    if size:
        yield f"memory={math.ceil(size / _GIB)}"
    kinds = list(graphics(os.environ, Path("/")))
    yield from (f"gpu:{kind}" for kind in kinds)
    yield from ["gpu"] if kinds else []


def memory_bytes(cgroup: Path) -> int:
    """The memory of this machine, or of the container that this is; 0 when nobody tells."""
    import psutil

    try:
        whole = int(psutil.virtual_memory().total)
    except (OSError, RuntimeError, ValueError):
        whole = 0
    try:
        told = cgroup.read_text("ascii").strip()
    except (OSError, ValueError):
        told = "max"
    limit = int(told) if told.isdigit() else 0
    return min(whole or limit, limit or whole)


def graphics(env: Mapping[str, str], root: Path) -> Iterator[str]:
    """Whose graphics processors are here. A driver's tool that finds no card is not enough."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        yield "apple"
    for kind, device in _DEVICES.items():
        tool = shutil.which("nvidia-smi", path=env.get("PATH")) if kind == "nvidia" else None
        said = ask((tool, "-L"), env) if tool else None
        if (root / device.lstrip("/")).exists() or (said is not None and said[0] == 0 and "GPU" in said[1]):
            yield kind
