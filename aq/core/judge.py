"""What a finished verify means, or a finished fix round: another round, the verdict, or a person's turn."""

from __future__ import annotations

import re
from typing import Any

from aq.core.instants import Instant
from aq.core.lease import Fence
from aq.core.manifest import Manifest
from aq.core.operations import Fail, FixRound, Hold, Operation, Release, Unverified, Verified
from aq.core.overrun import OVERRUN
from aq.core.record import CheckResult
from aq.core.settle import Ending, Outcome
from aq.core.value import Value

_SCRIPTS = "shell"
_RED_BEFORE = "it failed before the engine began, too"
_ACCEPT = "`aq promote --override` accepts the work all the same"
# Times, and how many tests passed: the job may have added some.
_VARIES = re.compile(r"\b\d+(?:[.:]\d+)*\s*(?:ms|m?s\b|sec\w*|min\w*|passed\b)|0x[0-9a-fA-F]+")


class Progress(Value):
    """How far a run was when its checks were done. `round` counts its fix rounds so far; `askable` when
    its engine can be asked again in its workspace; `usd` and `tokens` are those of the whole run, None
    when unknown, and `seconds` its time; `baseline` is the check that failed before the engine began;
    `tip` names the work that was checked, if there is any."""

    round: int = 0
    askable: bool = False
    usd: float | None = None
    tokens: int | None = None
    seconds: float = 0.0
    baseline: CheckResult | None = None
    tip: str = ""


def rounds_of(manifest: Manifest, engine: str) -> int:
    """How many fix rounds a run may have. The same script does the same again: the shell engine has
    rounds only where its job asks for them."""
    return manifest.fix_max if engine != _SCRIPTS or "fix_max" in manifest.given else 0


def spent(manifest: Manifest, progress: Progress) -> str:
    """Which budget leaves nothing for another round, in words, or nothing. A cost that is unknown may
    have been all of it (rule 10)."""
    budget = manifest.budget
    limits = {
        "usd": (budget.usd, progress.usd),
        "tokens": (budget.tokens, progress.tokens),
        "wall": (budget.wall, progress.seconds),
    }
    for name, (limit, used) in limits.items():
        if limit is not None and used is None:
            return f"no fix round: what it used of its budget of {limit:g} {name} is unknown"
        if limit is not None and used is not None and used >= limit:
            return f"no fix round: its {name} budget is spent"
    return ""


def red_before(before: CheckResult | None, now: CheckResult) -> bool:
    """Whether the check that fails failed before the engine began, too."""
    return before is not None and before.check == now.check


def same_failure(before: CheckResult | None, now: CheckResult) -> bool:
    """Whether there is evidence that a check fails for what was wrong before the engine began. Where
    both counted their tests, no test fails that did not fail then; else both end with the same words. A
    check that fails without a word, such as `test -f new`, is what the job was to reach."""
    if before is None or not red_before(before, now):
        return False
    old, new = before.suite, now.suite
    if old is None or new is None:
        return _last_words(now) != "" and _last_words(before) == _last_words(now)
    all_named = len(old.names) >= old.failed
    return new.failed <= old.failed and (not all_named or set(new.names) <= set(old.names))


def _last_words(check: CheckResult) -> str:
    """How a command ended and what it said last, without what differs from run to run; nothing when it
    said nothing."""
    code, _, words = check.detail.partition(": ")
    return _VARIES.sub("", check.detail) if code.startswith("exit code") and words else ""


def settle_verify(
    fence: Fence,
    checks: tuple[CheckResult, ...],
    at: Instant,
    op_id: str,
    manifest: Manifest | None = None,
    progress: Progress | None = None,
) -> Operation:
    """The operation for a finished verify. No checks were asked for when there are no results."""
    progress = progress or Progress()
    common = _common(fence, at, op_id, progress.usd, progress.tokens)
    failed = next((check for check in checks if not check.passed), None)
    if failed is None:
        judged = Verified if checks else Unverified
        return judged(**common, checks=checks)
    again = manifest is not None and progress.askable and progress.round < manifest.fix_max
    no_budget = spent(manifest, progress) if manifest and again else ""
    if again and not no_budget:
        return FixRound(**common, number=progress.round + 1, failed=(failed,))
    reason = _reason(failed, progress, no_budget)
    if progress.tip and same_failure(progress.baseline, failed):
        return Hold(**common, job=fence.job, reason=f"{reason}; {_ACCEPT}")
    return Fail(**common, failure="verify_failed", reason=reason, checks=checks)


def _reason(failed: CheckResult, progress: Progress, no_budget: str) -> str:
    """Why the work did not pass, with what a person must know to judge it."""
    rounds = f"after {progress.round} fix round{'s' if progress.round > 1 else ''}" if progress.round else ""
    base = ""
    if red_before(progress.baseline, failed):
        base = _RED_BEFORE
    elif progress.baseline:
        base = f"before the engine began another check failed: {progress.baseline.check}"
    return "; ".join(part for part in (failed.words, rounds, no_budget, base) if part)


def settle_fix(
    fence: Fence,
    number: int,
    checks: tuple[CheckResult, ...],
    outcome: Outcome,
    at: Instant,
    op_id: str,
) -> Operation | None:
    """The operation for an engine that is done with a fix round; None when it left nothing to write
    and the checks may run again. Where it failed the verdict before stands; where its budget stopped it, a
    person may give it more, as for any run."""
    common = _common(fence, at, op_id, outcome.usd, outcome.tokens)
    work: dict[str, Any] = {"branch": outcome.branch, "tip": outcome.tip}
    if outcome.ending is Ending.DONE:
        work |= outcome.seen
        return FixRound(**common, **work, number=number, pushed=outcome.pushed) if outcome.tip else None
    if outcome.ending is Ending.STOPPED:
        del common["tokens"]
        return Release(**common, **work, reason=outcome.reason)
    failed = next(check.words for check in checks if not check.passed)
    what = f"fix round {number}: {outcome.failure or outcome.ending}"
    reason = f"{failed}; {what}: {outcome.reason}" if outcome.reason else f"{failed}; {what}"
    failure = OVERRUN if outcome.failure == OVERRUN else "verify_failed"
    return Fail(**common, **work, failure=failure, reason=reason, checks=checks)


def _common(fence: Fence, at: Instant, op_id: str, usd: float | None, tokens: int | None) -> dict[str, Any]:
    return {"at": at, "by": fence.host, "op_id": op_id, "fence": fence, "usd": usd, "tokens": tokens}
