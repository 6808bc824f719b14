"""What stands in for parts of the protocol when it is broken on purpose. Which part, is in `mutants`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from unittest.mock import patch

from aq.core.change import Change, Refusal
from aq.core.fleet import Lapse
from aq.core.instants import unix
from aq.core.lease import Fence
from aq.core.lifecycle import Stage
from aq.core.operations import Claim, Land, Operation, Reclaim
from aq.core.planning.plan import Assignment, Memory
from aq.core.results import Landed, Refused
from aq.core.snapshot import Snapshot
from aq.core.value import replace
from aq.ledger.pusher import Pusher, Stack
from aq.ledger.remote import Pushed, PushSpec, Verdict
from aq.runner.state import State
from aq.runner.watch import Watch
from tests.sim.hub import Hub


def held_by_anyone(snapshot: Snapshot, fence: Fence, *stages: Stage) -> Any:
    job = snapshot.find(fence.job)
    return job if job and job.lease and job.stage in stages else Refusal("it is not there")


def forced(hub: Hub, spec: PushSpec) -> Pushed:
    if spec.oid == hub.tip:
        return Pushed(Verdict.UP_TO_DATE)
    return Pushed(Verdict.OK)


def by_wall_clock(runner: State) -> list[Operation]:
    found: list[Operation] = []
    now = unix(runner.clock.now())
    for job in runner.ledger.snapshot().leased():
        assert job.lease
        entry = runner.ledger.beats.get(job.lease.host)
        grace = runner.settings.cadence.grace
        if not entry or job.lease.fence in runner.held or now - unix(entry[1].at) <= job.lease.ttl + grace:
            continue
        silent = float(now - unix(entry[1].at))
        lapse = Lapse(job.lease.fence.key, job.lease.host, entry[0], silent, job.lease.ttl, grace)
        found.append(Reclaim(**runner.now_op(), job=job.id, lapse=lapse))
    return found


def by_time_alone(watch: Watch, snapshot: Snapshot, grace: float) -> dict[str, Lapse]:
    """Time in which nothing was fetched counts as silence."""
    found = {}
    for job in snapshot.leased():
        assert job.lease
        evidence = watch.leases.get(job.lease.fence.key)
        clock = watch.clock()  # type: ignore[attr-defined]
        if evidence and clock - evidence.since > job.lease.ttl + grace:
            silent = clock - evidence.since
            found[job.id] = Lapse(
                job.lease.fence.key, job.lease.host, evidence.token, silent, job.lease.ttl, grace
            )
    return found


def replayed(pusher: Pusher, operations: Any) -> tuple[Stack | None, list[Refused]]:
    """What was decided once is pushed again on whatever tip there is."""
    known = pusher.__dict__.setdefault("decided", {})
    built, refused, tip = [], [], pusher.ledger.tip
    for operation in operations:
        decided = known.get(operation.op_id) or operation.decide(pusher.ledger.reader.snapshot(tip))
        if isinstance(decided, Refusal):
            refused.append(Refused(operation, decided))
            continue
        known[operation.op_id] = decided
        tip = pusher._commit(tip, operation, decided)
        built.append(Landed(operation, tip, decided))
    return (Stack(pusher.ledger.tip, tuple(built)) if built else None), refused


def asked_on_the_base(pusher: Pusher, operations: Any) -> tuple[Stack | None, list[Refused]]:
    """Each operation of a stack is asked on the snapshot before all of them."""
    built, refused, tip = [], [], pusher.ledger.tip
    base = pusher.ledger.reader.snapshot(tip)
    for operation in operations:
        decided = operation.decide(base)
        if isinstance(decided, Refusal):
            refused.append(Refused(operation, decided))
            continue
        tip = pusher._commit(tip, operation, decided)
        built.append(Landed(operation, tip, decided))
    return (Stack(pusher.ledger.tip, tuple(built)) if built else None), refused


def takes_unknown_for_landed(real: Callable[..., Pushed]) -> Callable[..., Pushed]:
    def push(pusher: Pusher, stack: Stack, beat: Any) -> Pushed:
        pushed = real(pusher, stack, beat)
        return Pushed(Verdict.OK) if pushed.verdict is Verdict.UNKNOWN else pushed

    return push


def with_record(change: Any, **values: Any) -> Any:
    if isinstance(change, Refusal):
        return change
    edit = change.jobs[0]
    record = replace(edit.after.record, **values)
    lease = edit.after.lease
    if lease and "epoch" in values:
        lease = replace(lease, epoch=values["epoch"])
    after = replace(edit.after, record=record, lease=lease)
    return replace(change, jobs=(replace(edit, after=after),))


def claims(**values: Callable[[Any], Any]) -> Any:
    """Claims whose record is changed."""
    real = Claim._claimed

    def claimed(self: Claim, job: Any, snapshot: Snapshot) -> Change:
        changed = real(self, job, snapshot)
        return with_record(changed, **{name: make(job.record) for name, make in values.items()})

    return patch.object(Claim, "_claimed", claimed)


def charged_at_landing() -> Any:
    real = Land.decide

    def decide(self: Land, snapshot: Snapshot) -> Any:
        change = real(self, snapshot)
        if isinstance(change, Refusal):
            return change
        return with_record(change, attempts=change.jobs[0].after.record.attempts + 1)

    return patch.object(Land, "decide", decide)


def free_return(job: Any, counter: str, bound: int, what: str, again: Any = None) -> Any:
    from aq.core.retry import after_return

    record = job.record
    return replace(record, attempts=max(0, record.attempts - 1)), after_return(0, bound, what, again)


def land_anything(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, snapshot: real(replace(self, pushed=True), snapshot)


def without_patience(memory: Memory, planned: Iterable[Assignment], clock: float, *_: object) -> Memory:
    return Memory({each.job: (each.host, clock) for each in planned})


def deaf(real: Callable[[Any], None]) -> Callable[[Any], None]:
    """A fetch that does not look whether what runs here is still ours."""

    def fetched(runner: Any) -> None:
        held, runner.held = runner.held, {}
        try:
            real(runner)
        finally:
            runner.held = held

    return fetched


def clocked() -> Any:
    real = State.__post_init__

    def made(self: State) -> None:
        real(self)
        self.watch.clock = self.clock.boottime  # type: ignore[attr-defined]

    return patch.object(State, "__post_init__", made)


def constant_nonce() -> Any:
    real = Claim.__post_init__

    def made(self: Claim) -> None:
        real(self)
        object.__setattr__(self, "nonce", "n")

    return patch.object(Claim, "__post_init__", made)


def every_beat_confirms(real: Callable[..., bool]) -> Callable[..., bool]:
    return lambda runner: not (runner.draining or runner.stopping or runner.suspended)


def no(*_: Any, **__: Any) -> list[str]:
    return []
