"""What is left on this machine: processes by the folders in their environment, and lock files of git."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

import psutil


def left_over(root: Path) -> list[psutil.Process]:
    """The live processes, but this one, that were started with an `AQ_` variable that lies below `root`,
    or that work there."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            marks = [value for name, value in process.environ().items() if name.startswith("AQ_")]
            if any(value.startswith(str(root)) for value in (*marks, process.cwd())):
                found.append(process)
    return found


def running(root: Path, job: str) -> list[psutil.Process]:
    """The live processes of one job's run below a folder."""
    found = []
    for process in left_over(root):
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get("AQ_JOB") == job:
                found.append(process)
    return found


def states(processes: Iterable[psutil.Process]) -> list[str]:
    """What these do now; one that has ended meanwhile does nothing."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(process.status())
    return found


def git_locks(root: Path) -> list[Path]:
    """Lock files that git leaves behind when it is killed. Our own `lock` files are held by the kernel and
    mean nothing once their process is gone."""
    return [path for path in root.rglob("*.lock") if ".git" in str(path) and "mirrors" not in str(path)]


def gone(pid: int) -> bool:
    """Whether no such process runs. One that ends just now is gone."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
