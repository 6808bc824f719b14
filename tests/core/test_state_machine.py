"""Any sequence of operations keeps the invariants: hosts, people and late results, in any order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aq.core.change import Change, Refusal
from aq.core.instants import later
from aq.core.job import Job
from aq.core.lease import Fence
from aq.core.lifecycle import LIVE, TRANSITIONS, Stage, Trigger
from aq.core.manifest import Deps, Retry
from aq.core.operations import (
    Approve,
    Cancel,
    Delivered,
    Fenced,
    FixRound,
    Hold,
    Operation,
    PauseFleet,
    PauseJob,
    Preempt,
    Promote,
    Reject,
    Requeue,
    ResumeFleet,
    ResumeJob,
    Revise,
    Ship,
    Spawn,
    Unverified,
)
from aq.core.retry import MAX_LOST, MAX_PREEMPTED
from aq.core.settings import Budgets
from tests.support.builders import FAILED, Queue, manifest

NAMES = ("a", "b", "c", "d")
KEYS: dict[str, dict[str, Any]] = {
    "a": {"retry": Retry(max=0)},
    "b": {"lock": "db", "retry": Retry(max=2, infra=1), "deliver": "merge"},
    "c": {"lock": "db", "deps": Deps(testing=("a",))},
    "d": {"every": 3600.0},
}
SLOTS = 2
names = st.sampled_from(NAMES)
hosts = st.sampled_from(["mac-1", "mac-2"])
LEGAL = {(row.trigger, row.source, row.target) for row in TRANSITIONS}


class QueueMachine(RuleBasedStateMachine):
    """Asks operations with current, old and forged leases."""

    @initialize()
    def start(self) -> None:
        self.queue = Queue()
        self.queue.limit(budgets=Budgets(default_usd=1.0, fleet_usd=30.0))
        self.fences: list[Fence] = []
        self.claims: dict[tuple[str, int], int] = {}
        self.blobs: dict[str, str] = {}

    def ask(self, operation: Operation) -> None:
        before = self.queue.now
        answer = self.queue.ask(operation)
        if isinstance(answer, Refusal):
            assert answer.reason
            assert self.queue.now is before
            return
        self.check(answer)
        again = operation.decide(self.queue.now)
        assert isinstance(again, Refusal) or isinstance(operation, (FixRound, Hold, Ship, Reject)), (
            f"{operation} applies twice"
        )

    def check(self, change: Change) -> None:
        """The laws of one step."""
        for edit in change.jobs:
            old, new = edit.before, edit.after
            op = Trigger(change.event.op)
            assert (op, old.stage if old else None, new.stage) in LEGAL
            assert new.record.stage is new.stage or (old is None or op is Trigger.REVISE)
            taken = op in (Trigger.CLAIM, Trigger.VERIFY_CLAIM)
            assert new.record.epoch == (old.record.epoch if old else 0) + taken
            if new.stage is Stage.SHIPPED and (old is None or old.stage is not Stage.SHIPPED):
                assert op is Trigger.SHIP
            if taken:
                self.claimed(new)
            if op is Trigger.CANCEL or new.stage in (Stage.FAILED, Stage.DEAD_LETTER, Stage.SHIPPED):
                assert new.lease is None

    def claimed(self, job: Job) -> None:
        assert job.lease
        self.fences.append(job.lease.fence)
        key = (job.id, job.record.submission)
        self.claims[key] = self.claims.get(key, 0) + 1
        retry = job.manifest.retry
        assert self.claims[key] <= retry.max + 1 + retry.infra + MAX_LOST + MAX_PREEMPTED
        assert self.blobs.setdefault(job.id, job.blob) == job.blob
        assert self.queue.now.pause is None

    def fence(self, data: st.DataObject) -> Fence | None:
        return data.draw(st.sampled_from(self.fences)) if self.fences else None

    @rule(name=names, blob=st.sampled_from(["one", "two"]))
    def add(self, name: str, blob: str) -> None:
        self.ask(self.queue.add_of(name, blob=blob, **KEYS[name]))

    @rule(name=names, blob=st.sampled_from(["one", "two"]))
    def revise(self, name: str, blob: str) -> None:
        self.ask(Revise(**self.queue.common(), job=name, blob=blob, manifest=manifest(**KEYS[name])))

    @rule()
    def spawn(self) -> None:
        self.ask(Spawn(**self.queue.common("mac-1"), schedule="d"))

    @rule(name=names, host=hosts)
    def claim(self, name: str, host: str) -> None:
        self.ask(self.queue.claim_of(name, host, slots=SLOTS))

    @rule(host=hosts)
    def claim_anything(self, host: str) -> None:
        for name in list(self.queue.now.stages[Stage.INBOX]):
            self.ask(self.queue.claim_of(name, host, slots=SLOTS))

    @rule(name=names, host=hosts)
    def verify_claim(self, name: str, host: str) -> None:
        self.ask(self.queue.verify_claim_of(name, host, slots=SLOTS))

    @rule(data=st.data(), kind=st.sampled_from(["land", "land bare", "verified", "unverified", "fix"]))
    def progress(self, data: st.DataObject, kind: str) -> None:
        fence = self.fence(data)
        if fence:
            common = {**self.queue.common(fence.host), "fence": fence}
            made = {
                "land": lambda: self.queue.land_of(fence, usd=0.5),
                "land bare": lambda: self.queue.land_of(fence, branch="", tip=""),
                "verified": lambda: self.queue.verified_of(fence),
                "unverified": lambda: Unverified(**common),
                "fix": lambda: FixRound(**common, reason="exit 1"),
            }
            self.ask(made[kind]())

    @rule(
        data=st.data(),
        kind=st.sampled_from(
            ["crash", "denied", "verify", "release", "preempt", "reclaim", "hold", "fenced"]
        ),
    )
    def trouble(self, data: st.DataObject, kind: str) -> None:
        fence = self.fence(data)
        if fence:
            common = {**self.queue.common(fence.host), "fence": fence}
            made = {
                "crash": lambda: self.queue.fail_of(fence),
                "denied": lambda: self.queue.fail_of(fence, "denied"),
                "verify": lambda: self.queue.fail_of(fence, "verify_failed", checks=FAILED),
                "release": lambda: self.queue.release_of(fence),
                "preempt": lambda: Preempt(**common, for_job="z"),
                "reclaim": lambda: self.queue.reclaim_of(fence),
                "hold": lambda: Hold(**common, job=fence.job, reason="conflict"),
                "fenced": lambda: Fenced(**common, tip="f" * 40, branch="kept"),
            }
            self.ask(made[kind]())

    @rule(data=st.data(), field=st.sampled_from([{"nonce": "forged"}, {"epoch": 99}, {"host": "mac-9"}]))
    def forge(self, data: st.DataObject, field: dict[str, Any]) -> None:
        fence = self.fence(data)
        if fence:
            answer = self.queue.ask(self.queue.land_of(replace(fence, **field)))
            assert isinstance(answer, Refusal)

    @rule(
        name=names,
        kind=st.sampled_from(
            [
                "promote",
                "force",
                "ship",
                "reject",
                "again",
                "requeue",
                "cancel",
                "approve",
                "delivered",
                "hold",
            ]
        ),
    )
    def person(self, name: str, kind: str) -> None:
        common = {**self.queue.common(), "job": name}
        made: dict[str, Any] = {
            "promote": lambda: Promote(**common),
            "force": lambda: Promote(**common, override="seen"),
            "ship": lambda: Ship(**common, override="seen"),
            "reject": lambda: Reject(**common, message="no"),
            "again": lambda: Reject(**common, message="no", requeue=True),
            "requeue": lambda: Requeue(**common),
            "cancel": lambda: Cancel(**common),
            "approve": lambda: Approve(**common),
            "delivered": lambda: Delivered(**common, oid="d" * 40),
            "hold": lambda: Hold(**common, reason="freeze"),
        }
        self.ask(made[kind]())

    @rule(name=names, kind=st.sampled_from(["pause", "resume", "pause all", "resume all"]))
    def pause(self, name: str, kind: str) -> None:
        common = self.queue.common()
        made: dict[str, Any] = {
            "pause": lambda: PauseJob(**common, job=name),
            "resume": lambda: ResumeJob(**common, job=name),
            "pause all": lambda: PauseFleet(**common, why=""),
            "resume all": lambda: ResumeFleet(**common),
        }
        self.ask(made[kind]())
        if kind == "pause all":
            self.ask(ResumeFleet(**self.queue.common()))

    @rule(seconds=st.sampled_from([60, 7200, 86400]))
    def wait(self, seconds: int) -> None:
        self.queue.at = later(self.queue.at, seconds)

    @invariant()
    def each_job_is_in_exactly_one_stage_and_none_vanishes(self) -> None:
        if not hasattr(self, "queue"):
            return
        now = self.queue.now
        places = [job.id for job in now.jobs()]
        assert len(places) == len(set(places))
        added = {edit.after.id for change in self.queue.changes for edit in change.jobs}
        assert all(now.known(name) for name in added)
        assert len(places) + len(now.archive) == len(added)

    @invariant()
    def leases_are_where_they_belong_and_unique(self) -> None:
        if not hasattr(self, "queue"):
            return
        now = self.queue.now
        held = [job for job in now.jobs() if job.lease]
        assert all(job.stage in (Stage.BUILDING, Stage.REVIEW) for job in held)
        assert all(job.lease for job in now.jobs(Stage.BUILDING))
        locks = [job.manifest.lock for job in held if job.manifest.lock]
        assert len(locks) == len(set(locks))
        for host in ("mac-1", "mac-2"):
            assert sum(job.lease is not None and job.lease.host == host for job in held) <= SLOTS
        for job in held:
            run = job.record.last_run
            assert job.lease
            assert run
            assert (job.lease.epoch, job.lease.nonce, run.ended) == (job.record.epoch, run.nonce, None)

    @invariant()
    def money_is_set_aside_for_runs_alone_and_stays_within_the_limit(self) -> None:
        if not hasattr(self, "queue"):
            return
        now = self.queue.now
        running = sum(job.record.runs[-1].reserved for job in now.leased())
        assert abs(sum(spend.fleet.reserved for spend in now.spend.values()) - running) < 1e-6
        assert all(spend.fleet.total <= 30.0 for spend in now.spend.values())

    @invariant()
    def every_ended_or_waiting_job_has_no_open_run(self) -> None:
        if not hasattr(self, "queue"):
            return
        for job in self.queue.now.jobs():
            assert job.lease or all(run.ended for run in job.record.runs)
            assert job.stage in LIVE or job.lease is None


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnySequenceOfOperations = QueueMachine.TestCase
