"""Process trees, by what their processes carry: found wherever they went, and ended together."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

import psutil

# The variable that marks every process of a run.
RUN_ID = "AQ_RUN_ID"
_HOLDER = "bwrap"
# How often we look: what goes on to begin faster than we look is left to the next sweep.
_LOOKS = 20
# How long a process that was killed may take to be gone: one that hangs in the kernel is not waited for.
_GONE_SECONDS = 5.0
_PAUSE = 0.02
# The system tells when it was started anew each time, and a process's start from there, to about a second.
_SAME_START = 2.0

Find = Callable[[], Iterable[psutil.Process]]


def begun(pid: int) -> float:
    """When a process began, in seconds since the epoch; 0 when it is gone."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def end_all(find: Find, grace: float | None) -> int:
    """End what is found until nothing new is: TERM, `grace` seconds in all, KILL; without a grace KILL at
    once. A look takes time, and what begins meanwhile is only in the next. How many processes were ended."""
    deadline = time.monotonic() + (grace or 0.0)
    ended: set[psutil.Process] = set()
    for _ in range(_LOOKS):
        found = held(find, ended)
        if not found:
            break
        if grace is not None:
            _ask(found, max(0.0, deadline - time.monotonic()))
        _kill(found)
        ended |= found
    return len(ended)


def held(find: Find, ended: AbstractSet[psutil.Process] = frozenset()) -> set[psutil.Process]:
    """What is found and was not ended yet, all of it frozen: when a child ends, its parent must not go on to
    the next step, or start another."""
    found: set[psutil.Process] = set()
    for _ in range(_LOOKS):
        fresh = set(find()) - found - ended
        if not fresh:
            break
        each(psutil.Process.suspend, fresh)
        found |= fresh
    return found


def _ask(processes: Iterable[psutil.Process], grace: float) -> None:
    each(_ask_to_end, processes)
    each(psutil.Process.resume, processes)
    _wait(processes, grace)


def _kill(processes: Iterable[psutil.Process]) -> None:
    each(psutil.Process.kill, processes)
    _wait(processes, _GONE_SECONDS)


def _wait(processes: Iterable[psutil.Process], seconds: float) -> None:
    """Wait until all of them have ended, so long at most. One that its parent has not collected yet, as the
    first process of a container never may, has ended."""
    end = time.monotonic() + seconds
    live = list(processes)
    while (live := [process for process in live if running(process)]) and time.monotonic() < end:
        time.sleep(_PAUSE)


def each(do: Callable[[psutil.Process], None], processes: Iterable[psutil.Process]) -> None:
    """Do it to all of them that are still there, and that we may do it to."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            do(process)


def _ask_to_end(process: psutil.Process) -> None:
    # What holds a sandbox ends with what is in it. Asked itself, it would kill that at once.
    if process.name() != _HOLDER:
        process.terminate()


def running(process: psutil.Process) -> bool:
    """Whether exactly this process runs: another with its pid is not it, and one that has ended does not,
    whether its parent has collected it or not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def marked(run_id: str, session: int = 0) -> set[psutil.Process]:
    """The processes that carry a run's mark in their environment, wherever they went, those that are still in
    its session, whatever they did to their environment, and all that these started and have not left."""
    everyone = [process for process in psutil.process_iter() if process.pid != os.getpid()]
    found = {process for process in everyone if _is_marked(process, run_id, session)}
    return found | _offspring(found, everyone) if found else found


def _is_marked(process: psutil.Process, run_id: str, session: int) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        return (_in_session(process.pid, session) or _carries(process, run_id)) and running(process)
    return False


def _offspring(parents: Iterable[psutil.Process], everyone: Iterable[psutil.Process]) -> set[psutil.Process]:
    children: dict[int, list[psutil.Process]] = {}
    for process in everyone:
        with contextlib.suppress(psutil.Error):
            children.setdefault(process.ppid(), []).append(process)
    found: set[psutil.Process] = set()
    todo = list(parents)
    while todo:
        parent = todo.pop()
        fresh = [
            child for child in children.get(parent.pid, ()) if child not in found and _is_of(child, parent)
        ]
        found.update(fresh)
        todo += fresh
    return found


def _is_of(child: psutil.Process, parent: psutil.Process) -> bool:
    try:
        # Windows names the parent of an orphan still when another process has that pid.
        return running(child) and (os.name == "posix" or parent.create_time() <= child.create_time())
    except psutil.Error:
        return False


def _in_session(pid: int, session: int) -> bool:
    return bool(session) and os.name == "posix" and os.getsid(pid) == session


def _carries(process: psutil.Process, run_id: str) -> bool:
    return bool(run_id) and hasattr(process, "environ") and process.environ().get(RUN_ID) == run_id


def alive(pid: int, started: float) -> bool:
    """Whether exactly the process runs that began then: pids are used again, start times are not."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < _SAME_START and running(process)
    except psutil.Error:
        return False


def sweep(run_id: str, grace: float = 2.0) -> int:
    """End everything that an earlier process of ours left of a run; how many there were."""
    return end_all(lambda: marked(run_id), grace)
