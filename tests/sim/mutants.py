"""Deliberate faults in the protocol, one at a time: the simulator must find each, and
`python -m tests.sim.mutants` says by what and how soon."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from aq.core.change import Change, Refusal
from aq.core.fleet import Lapse
from aq.core.instants import unix
from aq.core.lease import Fence
from aq.core.lifecycle import Stage
from aq.core.operations import Claim, Land, Operation, Reclaim, landing
from aq.core.operations.holding import _Taking
from aq.core.plan import Memory, Plan
from aq.core.results import Landed, Refused
from aq.core.snapshot import Snapshot
from aq.ledger.ledger import Ledger
from aq.ledger.pusher import Pusher, Stack
from aq.ledger.remote import Pushed, PushSpec, Verdict
from aq.runner.runner import Runner
from aq.runner.state import State
from aq.runner.watch import Watch
from tests.sim.hub import Hub
from tests.sim.options import Options
from tests.sim.world import Outcome, run

SEEDS = 200
STEPS = 2500
_HOLDING, _ELIGIBLE = "aq.core.operations.holding", "aq.core.eligible"


def _held_by_anyone(snapshot: Snapshot, fence: Fence, *stages: Stage) -> Any:
    job = snapshot.find(fence.job)
    return job if job and job.lease and job.stage in stages else Refusal("it is not there")


def _forced(hub: Hub, spec: PushSpec) -> Pushed:
    if spec.oid == hub.tip:
        return Pushed(Verdict.UP_TO_DATE)
    hub._advance(spec.oid)
    return Pushed(Verdict.OK)


def _by_wall_clock(runner: State) -> list[Operation]:
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


def _by_time_alone(watch: Watch, snapshot: Snapshot, grace: float) -> dict[str, Lapse]:
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


def _replayed(pusher: Pusher, operations: Any) -> tuple[Stack | None, list[Refused]]:
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


def _asked_on_the_base(pusher: Pusher, operations: Any) -> tuple[Stack | None, list[Refused]]:
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


def _takes_unknown_for_landed(real: Callable[..., Pushed]) -> Callable[..., Pushed]:
    def push(pusher: Pusher, stack: Stack, beat: Any) -> Pushed:
        pushed = real(pusher, stack, beat)
        return Pushed(Verdict.OK) if pushed.verdict is Verdict.UNKNOWN else pushed

    return push


def _with_record(change: Any, **values: Any) -> Any:
    if isinstance(change, Refusal):
        return change
    edit = change.jobs[0]
    record = replace(edit.after.record, **values)
    lease = edit.after.lease
    if lease and "epoch" in values:
        lease = replace(lease, epoch=values["epoch"])
    after = replace(edit.after, record=record, lease=lease)
    return replace(change, jobs=(replace(edit, after=after),))


def _claims(**values: Callable[[Any], Any]) -> Any:
    """Claims whose record is changed."""
    real = Claim._claimed

    def claimed(self: Claim, job: Any, snapshot: Snapshot) -> Change:
        changed = real(self, job, snapshot)
        return _with_record(changed, **{name: make(job.record) for name, make in values.items()})

    return patch.object(Claim, "_claimed", claimed)


def _charged_at_landing() -> Any:
    real = Land.decide

    def decide(self: Land, snapshot: Snapshot) -> Any:
        change = real(self, snapshot)
        if isinstance(change, Refusal):
            return change
        return _with_record(change, attempts=change.jobs[0].after.record.attempts + 1)

    return patch.object(Land, "decide", decide)


def _free_return(job: Any, counter: str, bound: int, what: str, again: Any = None) -> Any:
    from aq.core.retry import after_return

    record = job.record
    return replace(record, attempts=max(0, record.attempts - 1)), after_return(0, bound, what, again)


def _lands_unpushed() -> Any:
    return patch.object(landing, "_not_pushed", None), patch.object(
        Land, "decide", _land_anything(Land.decide)
    )


def _land_anything(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, snapshot: real(replace(self, pushed=True), snapshot)


def _without_patience(memory: Memory, planned: Plan, clock: float, patience: float, me: str) -> Memory:
    return Memory({each.job: (each.host, clock) for each in planned.assignments})


def _deaf(real: Callable[[Any], None]) -> Callable[[Any], None]:
    """A fetch that does not look whether what runs here is still ours."""

    def fetched(runner: Any) -> None:
        held, runner.held = runner.held, {}
        try:
            real(runner)
        finally:
            runner.held = held

    return fetched


def _clocked() -> Any:
    real = State.__post_init__

    def made(self: State) -> None:
        real(self)
        self.watch.clock = self.clock.boottime  # type: ignore[attr-defined]

    return patch.object(State, "__post_init__", made)


def _constant_nonce() -> Any:
    real = Claim.__post_init__

    def made(self: Claim) -> None:
        real(self)
        object.__setattr__(self, "nonce", "n")

    return patch.object(Claim, "__post_init__", made)


def _every_beat_confirms(real: Callable[..., bool]) -> Callable[..., bool]:
    return lambda runner: not (runner.draining or runner.stopping or runner.suspended)


def _no(*_: Any, **__: Any) -> list[str]:
    return []


# What is wrong, and the patches that make it so. Made anew for each use: some wrap what is there.
MUTANTS: dict[str, tuple[str, Callable[[], Any]]] = {
    "no-fence": (
        "a landing does not compare its lease with the tip's",
        lambda: (
            patch(f"{_HOLDING}.held", _held_by_anyone),
            patch("aq.core.operations.landing.held", _held_by_anyone),
        ),
    ),
    "forced-push": (
        "the branch is pushed without compare-and-swap",
        lambda: patch.object(Hub, "_main", _forced),
    ),
    "wall-clock-expiry": (
        "a beat's own time is compared with the wall clock",
        lambda: patch("aq.runner.decide._reclaims", _by_wall_clock),
    ),
    "unobserved-silence": (
        "time without a fetch counts as silence",
        lambda: (_clocked(), patch.object(Watch, "lapses", _by_time_alone)),
    ),
    "early-reclaim": (
        "half a TTL of silence is enough",
        lambda: patch("aq.runner.watch.lapsed", lambda e, ttl, grace: e.last - e.since > ttl / 2),
    ),
    "replayed-diff": (
        "a lost race pushes the old decision again",
        lambda: patch.object(Pusher, "_build", _replayed),
    ),
    "asked-on-the-base": (
        "stacked operations do not see each other",
        lambda: patch.object(Pusher, "_build", _asked_on_the_base),
    ),
    "unknown-is-landed": (
        "a push without an answer counts as landed",
        lambda: patch.object(Pusher, "_push", _takes_unknown_for_landed(Pusher._push)),
    ),
    "charged-at-landing": (
        "an attempt is charged when it lands",
        lambda: (_claims(attempts=lambda record: record.attempts), _charged_at_landing()),
    ),
    "same-epoch": ("a claim does not raise the epoch", lambda: _claims(epoch=lambda record: record.epoch)),
    "constant-nonce": ("all claims have one nonce", _constant_nonce),
    "claim-without-beat": (
        "a claim needs no confirmed beat",
        lambda: patch("aq.runner.decide.may_claim", _every_beat_confirms(lambda _: True)),
    ),
    "stop-seen-by-the-plan-only": (
        "the claim does not look at PAUSED on its tip",
        lambda: patch(f"{_HOLDING}.fleet_blockers", _no),
    ),
    "nothing-reserved": (
        "a claim sets no money aside",
        lambda: (
            patch(f"{_HOLDING}.reservation", lambda *_: 0.0),
            patch("aq.core.plan.reservation", lambda *_: 0.0),
            patch(f"{_ELIGIBLE}.reservation", lambda *_: 0.0),
        ),
    ),
    "budget-seen-by-the-plan-only": (
        "the claim does not look at the day's money on its tip",
        lambda: patch(f"{_HOLDING}.budget_blockers", _no),
    ),
    "spend-not-settled": (
        "what was set aside is not given back",
        lambda: (
            patch(f"{_HOLDING}.returned_spend", lambda *_: {}),
            patch("aq.core.operations.landing.returned_spend", lambda *_: {}),
        ),
    ),
    "lock-ignored": ("locks are ignored", lambda: patch(f"{_ELIGIBLE}.lock_holder", lambda *_: "")),
    "deps-ignored": ("dependencies are ignored", lambda: patch(f"{_ELIGIBLE}.dep_blockers", _no)),
    "slots-ignored": (
        "slots are ignored",
        lambda: (
            patch.object(_Taking, "full", lambda *_: None),
            patch.object(State, "slots_free", lambda _: 9),
            patch("aq.core.plan.free_slots", lambda _, hosts: dict.fromkeys(hosts, 9)),
        ),
    ),
    "unpushed-lands": (
        "a landing may name work that is not on its remote",
        lambda: patch.object(Land, "decide", _land_anything(Land.decide)),
    ),
    "free-return": (
        "a release or a reclaim charges nothing",
        lambda: patch(f"{_HOLDING}._given_back", _free_return),
    ),
    "never-reclaims": (
        "a dead host's lease is never taken back",
        lambda: patch.object(Watch, "lapses", lambda *_: {}),
    ),
    "no-patience": (
        "a chosen host that stays silent keeps its turn",
        lambda: patch("aq.runner.decide.remember", _without_patience),
    ),
    "zombies-run-on": (
        "a host does not see that it was fenced",
        lambda: patch.object(Runner, "_fetched", _deaf(Runner._fetched)),
    ),
    "ancestor-is-enough": (
        "a push is taken on an ancestor of its base",
        lambda: patch.object(Stack, "spec", lambda self, head: PushSpec(self.tip, head)),
    ),
    "rewind-believed": (
        "a rewound branch is believed",
        lambda: patch.object(Ledger, "_descends_from_seen", lambda *_: True),
    ),
}


# Where a fault shows only after much of the same, the seeds play more of it.
_RACES: dict[str, Any] = {
    "hosts": 4,
    "people": 3,
    "cadence": "tight",
    "pace": 2.0,
    "engine": 4.0,
    "faults": ("slow",),
    "fault": 5.0,
}
GIVEN: dict[str, dict[str, Any]] = {
    "unobserved-silence": {
        "hosts": 3,
        "cadence": "forge",
        "engine": 400.0,
        "pace": 50.0,
        "faults": ("reboot", "sleep", "cut"),
        "fault": 300.0,
    },
    "no-patience": {
        "hosts": 4,
        "cadence": "lan",
        "engine": 60.0,
        "pace": 6.0,
        "faults": ("die",),
        "fault": 60.0,
    },
    "stop-seen-by-the-plan-only": _RACES,
    "budget-seen-by-the-plan-only": {**_RACES, "fleet_usd": 6.0},
}


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """The product with one fault."""
    patches = MUTANTS[name][1]()
    with ExitStack() as stack:
        for each in patches if isinstance(patches, tuple) else (patches,):
            stack.enter_context(each)
        yield


def hunt(name: str, first: int = 1, seeds: int = SEEDS) -> tuple[int, Outcome | None]:
    """The run that finds a fault, and after how many seeds; None when none of them does."""
    with mutated(name):
        for seed in range(first, first + seeds):
            outcome = run(Options.of(seed, **{"steps": STEPS, **GIVEN.get(name, {})}))
            if outcome.law:
                return seed - first + 1, outcome
    return seeds, None


def main() -> int:
    """A line for each fault, for the docs."""
    names = sys.argv[1:] or list(MUTANTS)
    missed = 0
    for name in names:
        began = time.process_time()
        seeds, outcome = hunt(name)
        found = f"{outcome.law}: {outcome.what}" if outcome else "NOT FOUND"
        missed += outcome is None
        seconds = time.process_time() - began
        print(f"{name} | {seeds} seeds, {seconds:.1f} s | {found}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
