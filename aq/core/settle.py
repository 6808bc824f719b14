"""What a finished run, or a finished verify, means: the operation that says so to the queue."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aq.core.instants import Instant
from aq.core.lease import Fence
from aq.core.operations import Fail, Hold, Land, Operation, Release, Unverified, Verified
from aq.core.record import CheckResult


class Ending(StrEnum):
    """How an engine's run ended, as the runner saw it. Our own stop reason always wins."""

    DONE = "done"
    FAILED = "failed"
    INFRA = "infra"
    STOPPED = "stopped"
    HELD = "held"
    FENCED = "fenced"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The facts of a finished run. `failure` is a failure class when it `FAILED`; `usd` and `tokens`
    are None when unknown; `branch` and `tip` name kept work, `pushed` that it is on its remote."""

    ending: Ending
    failure: str = ""
    reason: str = ""
    branch: str = ""
    tip: str = ""
    pushed: bool = False
    usd: float | None = None
    tokens: int | None = None


def settle(fence: Fence, outcome: Outcome, at: Instant, op_ids: tuple[str, str]) -> tuple[Operation, ...]:
    """The operations for a finished engine. Work that does not merge is given back and held."""
    common: dict[str, Any] = {"at": at, "by": fence.host, "op_id": op_ids[0], "fence": fence}
    kept: dict[str, Any] = {"branch": outcome.branch, "tip": outcome.tip, "usd": outcome.usd}
    if outcome.ending is Ending.DONE:
        return (Land(**common, **kept, pushed=outcome.pushed, tokens=outcome.tokens),)
    if outcome.ending is Ending.FAILED:
        failed: dict[str, Any] = {
            "failure": outcome.failure,
            "reason": outcome.reason,
            "tokens": outcome.tokens,
        }
        return (Fail(**common, **kept, **failed),)
    release = Release(**common, **kept, reason=outcome.reason or str(outcome.ending))
    if outcome.ending is Ending.HELD:
        return (release, Hold(at=at, by=fence.host, op_id=op_ids[1], job=fence.job, reason=outcome.reason))
    return (release,)


def settle_verify(fence: Fence, checks: tuple[CheckResult, ...], at: Instant, op_id: str) -> Operation:
    """The operation for a finished verify. No checks were asked for when there are no results."""
    failed = next((check for check in checks if not check.passed), None)
    if failed:
        reason = f"{failed.check}: {failed.detail}" if failed.detail else failed.check
        return Fail(
            at=at,
            by=fence.host,
            op_id=op_id,
            fence=fence,
            failure="verify_failed",
            reason=reason,
            checks=checks,
        )
    judged = Verified if checks else Unverified
    return judged(at=at, by=fence.host, op_id=op_id, fence=fence, checks=checks)
