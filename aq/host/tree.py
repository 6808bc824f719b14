"""Process trees, by what their processes carry: found wherever they went, and ended together."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable

import psutil

# The variable that marks every process of a run.
RUN_ID = "AQ_RUN_ID"
_HOLDER = "bwrap"
# How often we look: what goes on to begin faster than we look is left to the next sweep.
_LOOKS = 20
# How long a process that was killed may take to be gone: one that hangs in the kernel is not waited for.
_GONE_SECONDS = 5.0
_PAUSE = 0.02


def begun(pid: int) -> float:
    """When a process began, in seconds since the epoch; 0 when it is gone."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def end_all(find: Callable[[], Iterable[psutil.Process]], grace: float | None) -> int:
    """End what is found until nothing new is: TERM, `grace` seconds in all, KILL; without a grace KILL at
    once. A look takes time, and what begins meanwhile is only in the next. How many processes were ended."""
    deadline = time.monotonic() + (grace or 0.0)
    ended: set[psutil.Process] = set()
    for _ in range(_LOOKS):
        found = _held(find, ended)
        if not found:
            break
        if grace is not None:
            _ask(found, max(0.0, deadline - time.monotonic()))
        _kill(found)
        ended |= found
    return len(ended)


def _held(find: Callable[[], Iterable[psutil.Process]], ended: set[psutil.Process]) -> set[psutil.Process]:
    """What is found and was not ended yet, all of it frozen: when a child ends, its parent must not go on to
    the next step, or start another."""
    held: set[psutil.Process] = set()
    for _ in range(_LOOKS):
        fresh = set(find()) - held - ended
        if not fresh:
            break
        _each(psutil.Process.suspend, fresh)
        held |= fresh
    return held


def _ask(processes: Iterable[psutil.Process], grace: float) -> None:
    _each(_ask_to_end, processes)
    _each(psutil.Process.resume, processes)
    _wait(processes, grace)


def _kill(processes: Iterable[psutil.Process]) -> None:
    _each(psutil.Process.kill, processes)
    _wait(processes, _GONE_SECONDS)


def _wait(processes: Iterable[psutil.Process], seconds: float) -> None:
    """Wait until all of them have ended, so long at most. One that its parent has not collected yet, as the
    first process of a container never may, has ended."""
    end = time.monotonic() + seconds
    live = list(processes)
    while (live := [each for each in live if alive(each.pid, each.create_time())]) and time.monotonic() < end:
        time.sleep(_PAUSE)


def _each(do: Callable[[psutil.Process], None], processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            do(process)


def _ask_to_end(process: psutil.Process) -> None:
    # What holds a sandbox ends with what is in it. Asked itself, it would kill that at once.
    if process.name() != _HOLDER:
        process.terminate()


def marked(run_id: str, session: int = 0) -> list[psutil.Process]:
    """The processes that carry a run's mark in their environment, wherever they went, and those that
    are still in its session, whatever they did to their environment."""
    found = []
    me = os.getpid()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if (
                process.pid != me
                and (_in_session(process.pid, session) or _carries(process, run_id))
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process)
    return found


def _in_session(pid: int, session: int) -> bool:
    return bool(session) and os.name == "posix" and os.getsid(pid) == session


def _carries(process: psutil.Process, run_id: str) -> bool:
    return bool(run_id) and hasattr(process, "environ") and process.environ().get(RUN_ID) == run_id


def alive(pid: int, started: float) -> bool:
    """Whether exactly this process still runs: pids are used again, start times are not."""
    try:
        process = psutil.Process(pid)
        return process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def sweep(run_id: str, grace: float = 2.0) -> int:
    """End everything that an earlier process of ours left of a run; how many there were."""
    return end_all(lambda: marked(run_id), grace)
