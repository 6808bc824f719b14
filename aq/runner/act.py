"""The step after a push: what a settled operation sets going on this host."""

from __future__ import annotations

from aq.core.eligible import work_below
from aq.core.job import Job
from aq.core.jobfile import parse_job
from aq.core.operations import (
    Claim,
    Delivered,
    Fail,
    Fenced,
    Hold,
    Land,
    Operation,
    Reclaim,
    Release,
    Unverified,
    Verified,
    VerifyClaim,
)
from aq.core.prompt import prompt_of
from aq.core.results import Landed, Refused, Result
from aq.core.work import Order
from aq.runner.state import Held, State


def apply_result(runner: State, result: Result) -> None:
    """Take in the result of one operation of this host."""
    match result:
        case Landed():
            _landed(runner, result)
        case Refused(operation, refusal):
            _refused(runner, operation, str(refusal), done=refusal.done)
        case _:
            pass


def _landed(runner: State, result: Landed) -> None:
    operation = result.operation
    match operation:
        case Claim() | VerifyClaim():
            _begin(runner, result.change.jobs[0].after, verify=isinstance(operation, VerifyClaim))
        case Land():
            _land(runner, operation)
        case Verified() | Unverified() | Fail() | Release():
            job = result.change.jobs[0].after
            runner.say(f"{job.id}: {_words(operation)} -> {job.stage}")
            runner.drop(operation.fence)
        case Delivered() | Hold():
            runner.delivering.pop(operation.job, None)
        case Reclaim():
            job = result.change.jobs[0].after
            runner.say(f"{job.id}: reclaimed from {operation.lapse.host} -> {job.stage}")
        case _:
            pass


def _land(runner: State, operation: Land) -> None:
    held = runner.held.get(operation.fence)
    if held:
        held.landed = True
        if held.job.manifest.verify:
            runner.say(f"{held.fence.job}: engine done, verifying")
            runner.bench.verify(held.fence)


def _words(operation: Operation) -> str:
    match operation:
        case Verified():
            return "verified"
        case Unverified():
            return "done, no verify asked"
        case Fail(failure=failure, reason=reason):
            return f"{failure}: {reason}"
        case Release(reason=reason):
            return f"released: {reason}"
        case _:
            return type(operation).__name__.lower()


def _refused(runner: State, operation: Operation, why: str, *, done: bool) -> None:
    match operation:
        case Delivered() | Hold():
            runner.delivering.pop(operation.job, None)
        case Land() if done:
            _land(runner, operation)
        case Unverified() | Verified() | Fail() | Release() if done:
            runner.drop(operation.fence)
        case Land() | Unverified() | Verified() | Fail() | Release():
            _late(runner, operation, why)
        case _:
            pass


def _late(runner: State, operation: Land | Unverified | Verified | Fail | Release, why: str) -> None:
    """The result came too late: nothing of it lands, its branch is kept and named."""
    runner.say(f"{operation.fence.job}: {why}")
    held = runner.held.get(operation.fence)
    branch, tip = getattr(operation, "branch", ""), getattr(operation, "tip", "")
    if held and held.outcome and not tip:
        branch, tip = held.outcome.branch, held.outcome.tip
    runner.drop(operation.fence)
    if tip:
        runner.submit(Fenced(**runner.now_op(), fence=operation.fence, branch=branch, tip=tip))


def _begin(runner: State, job: Job, *, verify: bool) -> None:
    assert job.lease
    body = _body(runner, job)
    fence = job.lease.fence
    runner.hold(Held(fence, job, landed=verify))
    what = "verify only" if verify else f"attempt {job.record.attempts}, {job.lease.engine}"
    runner.say(f"{job.id}: claimed ({what})")
    order = Order(
        fence=fence,
        attempt=job.record.attempts,
        engine=job.lease.engine,
        manifest=job.manifest,
        body=body,
        prompt=prompt_of(job, body),
        title=job.title,
        verify_branch=job.record.branch if verify else "",
        verify_tip=job.record.tip if verify else "",
        under=work_below(job, runner.ledger.snapshot()),
    )
    runner.bench.start(order)


def _body(runner: State, job: Job) -> str:
    return parse_job(runner.ledger.read_commit_blob(job.blob), job.id)[1]
