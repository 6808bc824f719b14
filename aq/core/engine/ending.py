"""How an engine ended: by our own stop, else by its events and what it changed. The exit code counts
only for engines that tell nothing else."""

from __future__ import annotations

from aq.core.engine.budget import Stop
from aq.core.engine.classify import Verdict, classify
from aq.core.engine.events import Faulted
from aq.core.engine.policy import policy
from aq.core.engine.report import EngineReport


def verdict_on(report: EngineReport, stop: Stop | None, *, changed: bool, engine: str, told: bool) -> Verdict:
    """The verdict on a run. `told` says that the engine's events decide; `changed` that it left work.
    Of an engine that tells nothing there is no reason but its exit code."""
    if stop:
        return _stopped(stop, engine)
    if told or report.faults:
        return classify(report, changed=changed, engine=engine)
    if report.code == 0:
        return Verdict()
    return Verdict("crash" if report.code < 0 else "agent")


def _stopped(stop: Stop, engine: str) -> Verdict:
    if stop.failure:
        return Verdict(stop.failure, stop.reason)
    # It tried its model again and again: what stands behind that says whose fault it is.
    fault = stop.fault or Faulted("")
    found = classify(EngineReport(finished=False, faults=(fault,), code=1), changed=False, engine=engine)
    known = policy(found.failure).released or found.failure == "context"
    reason = f"{stop.reason}: {fault.words}" if fault.words else stop.reason
    reset = found.reset if found.reset is not None else fault.reset
    return Verdict(found.failure if known else "network", reason, reset)
