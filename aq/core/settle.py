"""What a finished run of an engine means: the operation that says so to the queue."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from aq.core.engine.policy import policy
from aq.core.instants import Instant
from aq.core.lease import Fence
from aq.core.operations import Fail, Hold, Land, Operation, Preempt, Release
from aq.core.record import Changes
from aq.core.value import Value


class Ending(StrEnum):
    """How an engine's run ended, as the runner saw it. Our own stop reason always wins."""

    DONE = "done"
    FAILED = "failed"
    INFRA = "infra"
    STOPPED = "stopped"
    HELD = "held"
    FENCED = "fenced"


class Outcome(Value):
    """The facts of a finished run. `failure` is a failure class when it `FAILED`; `usd` and `tokens`
    are None when unknown; `branch` and `tip` name kept work, `pushed` that it is on its remote;
    `baseline` is the check that failed before the engine began; `reset` is in how many seconds the limit
    that it ran into ends, if known; `model` and `version` are the engine's; `outside` are changed paths that
    the job may not change, `warnings` what a person should look at in the work, `changes` its size and
    paths, None when unknown."""

    ending: Ending
    failure: str = ""
    reason: str = ""
    branch: str = ""
    tip: str = ""
    pushed: bool = False
    usd: float | None = None
    tokens: int | None = None
    baseline: str = ""
    reset: float | None = None
    model: str = ""
    version: str = ""
    outside: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    changes: Changes | None = None

    @property
    def seen(self) -> dict[str, Any]:
        """What a record keeps of the work itself."""
        return {"outside": self.outside, "warnings": self.warnings, "changes": self.changes}


def settle(
    fence: Fence, outcome: Outcome, at: Instant, op_ids: tuple[str, str], yields_to: str = ""
) -> tuple[Operation, ...]:
    """The operations for a finished engine. A failure that is no fault of the job is given back, and so is
    work that does not merge, which is held. `yields_to` is the critical job for which it was stopped."""
    common: dict[str, Any] = {"at": at, "by": fence.host, "op_id": op_ids[0], "fence": fence}
    common |= {"branch": outcome.branch, "tip": outcome.tip, "usd": outcome.usd, "tokens": outcome.tokens}
    common |= {"model": outcome.model, "version": outcome.version}
    if outcome.ending is Ending.DONE:
        return (Land(**common, **outcome.seen, pushed=outcome.pushed, baseline=outcome.baseline),)
    if outcome.ending is Ending.FAILED:
        end = Release if policy(outcome.failure).released else Fail
        return (end(**common, failure=outcome.failure, reason=outcome.reason),)
    if outcome.ending is Ending.STOPPED and yields_to:
        return (Preempt(**common, for_job=yields_to),)
    broken = outcome.ending is Ending.INFRA
    release = Release(**common, reason=outcome.reason or str(outcome.ending), broken=broken)
    if outcome.ending is Ending.HELD:
        return (release, Hold(at=at, by=fence.host, op_id=op_ids[1], job=fence.job, reason=outcome.reason))
    return (release,)
