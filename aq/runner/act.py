"""The step after a push: what a settled operation sets going on this host."""

from __future__ import annotations

from aq.core.job import Job
from aq.core.lease import Fence
from aq.core.leftover import start_of
from aq.core.operations import (
    AutoShip,
    Claim,
    Delivered,
    Fail,
    Fenced,
    FixRound,
    Hold,
    Land,
    Operation,
    Preempt,
    Reclaim,
    Release,
    Unverified,
    Verified,
    VerifyClaim,
)
from aq.core.planning.eligible import work_below
from aq.core.prompt import prompt_for
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
        case Verified() | Unverified() | Fail() | Release() | Preempt():
            job = result.change.jobs[0].after
            runner.say(f"{job.id}: {_words(operation)} -> {job.stage}")
            runner.drop(operation.fence)
        case FixRound():
            _fix(runner, operation)
        case Hold(fence=Fence() as fence, reason=reason):
            runner.say(f"{fence.job}: held for a person: {reason}")
            runner.drop(fence)
        case Delivered() | Hold():
            runner.delivering.pop(operation.job, None)
        case AutoShip(job=name):
            runner.say(f"{name}: shipped by its review-policy")
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


def _fix(runner: State, operation: FixRound) -> None:
    """The round is in the queue: the engine may be asked, or what it left may be verified."""
    held = runner.held.get(operation.fence)
    if held is None:
        return
    if operation.tip:
        runner.say(f"{held.fence.job}: fix round {operation.number} done, verifying")
        runner.bench.verify(held.fence)
    else:
        failed = "; ".join(check.words for check in operation.failed)
        runner.say(f"{held.fence.job}: verify failed, fix round {operation.number}: {failed}")
        runner.bench.fix(held.fence)


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
        case Preempt(for_job=job):
            return f"gave its slot to {job}"
        case _:
            return type(operation).__name__.lower()


def _refused(runner: State, operation: Operation, why: str, *, done: bool) -> None:
    match operation:
        case Land() if done:
            _land(runner, operation)
        case FixRound() if done:
            _fix(runner, operation)
        case Unverified() | Verified() | Fail() | Release() | Preempt() | Hold(fence=Fence()) if done:
            runner.drop(_fence(operation))
        case (
            Land()
            | FixRound()
            | Unverified()
            | Verified()
            | Fail()
            | Release()
            | Preempt()
            | Hold(fence=Fence())
        ):
            _late(runner, operation, why)
        case Delivered() | Hold():
            runner.delivering.pop(operation.job, None)
        case _:
            pass


def _fence(operation: Operation) -> Fence:
    proof = operation.proof
    assert proof
    return proof


def _late(runner: State, operation: Operation, why: str) -> None:
    """The result came too late: nothing of it lands, its branch is kept and named."""
    fence = _fence(operation)
    runner.say(f"{fence.job}: {why}")
    held = runner.held.get(fence)
    branch, tip = getattr(operation, "branch", ""), getattr(operation, "tip", "")
    if held and held.outcome and not tip:
        branch, tip = held.outcome.branch, held.outcome.tip
    runner.drop(fence)
    if tip:
        runner.submit(Fenced(**runner.now_op(), fence=fence, branch=branch, tip=tip))


def _begin(runner: State, job: Job, *, verify: bool) -> None:
    assert job.lease
    prompt = prompt_for(job, runner.ledger.read_commit_blob)
    fence = job.lease.fence
    runner.hold(Held(fence, job, landed=verify))
    what = "verify only" if verify else f"attempt {job.record.attempts}, {job.lease.engine}"
    runner.say(f"{job.id}: claimed ({what})")
    order = Order(
        fence=fence,
        attempt=job.record.attempts,
        engine=job.lease.engine,
        manifest=job.manifest,
        body=prompt.body,
        prompt=prompt.text,
        title=job.title,
        verify_branch=job.record.branch if verify else "",
        verify_tip=job.record.tip if verify else "",
        under=work_below(job, runner.ledger.snapshot()),
        start_from="" if verify else start_of(job),
    )
    runner.bench.start(order)
