"""Process trees, by what their processes carry: found wherever they went, and ended together."""

from __future__ import annotations

import contextlib
import os

import psutil

# The variable that marks every process of a run.
RUN_ID = "AQ_RUN_ID"
_HOLDER = "bwrap"


def begun(pid: int) -> float:
    """When a process began, in seconds since the epoch; 0 when it is gone."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


def end_processes(processes: list[psutil.Process], grace: float) -> None:
    """TERM, wait `grace` seconds at most, KILL. The processes are frozen first: when a child ends, its
    parent must not go on to the next step, or start another."""
    for signalled in (psutil.Process.suspend, _ask_to_end, psutil.Process.resume):
        for process in processes:
            with contextlib.suppress(psutil.Error):
                signalled(process)
    _, alive = psutil.wait_procs(processes, timeout=grace)
    kill_processes(alive)


def kill_processes(processes: list[psutil.Process]) -> None:
    """KILL, and wait until they are gone."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=5)


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
    left = marked(run_id)
    end_processes(left, grace)
    return len(left)
