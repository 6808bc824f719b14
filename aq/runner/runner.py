"""The loop that every host runs. One tick is a fixed line of named steps; what to do in each is
decided in core, and everything that touches the world goes through a port."""

from __future__ import annotations

import random

from aq.core.errors import FrozenError, TryLaterError
from aq.core.operations import Claim, Operation, VerifyClaim
from aq.core.results import Refused, Result, Waiting
from aq.core.work import Brought
from aq.runner import breaker, presence
from aq.runner.act import apply_result
from aq.runner.decide import decide, verdict_of
from aq.runner.deliver import brought
from aq.runner.guard import guard
from aq.runner.state import State

SLEEP_JUMP = 30.0
ASIDE_SECONDS = 60.0


class Runner(State):
    """One host's loop."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._fetch_due = self._view_due = self._push_due = 0.0
        self._last_tick = self.clock.boottime()
        self._known_tip = ""
        self._aside: dict[str, float] = {}
        self._asked = 0.0
        self.ledger.on_ask = self._asks
        self.ledger.on_fetch = self._fetched
        self.ledger.vet = self.watch.vet
        self.beat.compose = lambda: presence.compose(self)

    # --- starting -------------------------------------------------------------------------------

    def start(self) -> None:
        """Look at the remote, make sure that the name is ours, and finish what an earlier process of
        this host left behind. Raises HostNameInUseError, FrozenError or TryLaterError."""
        self.orphans |= frozenset(self.memory.orphans())
        self.ledger.fetch()
        breaker.remember(self)
        presence.take_name(self)
        for operation in self.spool.waiting():
            self.pending[operation.op_id] = operation

    # --- the loop -------------------------------------------------------------------------------

    def tick(self, wait: float | None = None) -> None:
        """One round: collect, look, guard, take in, decide, act, show. Raises HostNameInUseError, or
        FrozenError once nothing runs any more."""
        self._collect(self._wait_time() if wait is None else wait)
        try:
            self._look()
            guard(self)
            if not self.frozen:
                self._take_in()
                self._decide()
                self._act()
                self._show()
        except TryLaterError as error:
            self._went_offline(error)
            guard(self)
        except FrozenError as error:
            self._freeze(error)

    def _wait_time(self) -> float:
        """Until the next fetch or beat; not at all while something just changed."""
        if self.hurry:
            self.hurry = False
            return 0.0
        now = self.clock.boottime()
        due = [
            self._fetch_due,
            self.beat_due,
            *([self._push_due] if self._ready(now) and not self.frozen else []),
        ]
        return max(0.02, min(due) - now)

    def _ready(self, now: float) -> list[Operation]:
        """What may be pushed now: all but the results that the remote would not take a moment ago."""
        return [op for op_id, op in self.pending.items() if now >= self._aside.get(op_id, 0.0)]

    def _collect(self, timeout: float) -> None:
        """What the bench has to report becomes operations, on disk before they are pushed."""
        for report in self.bench.take_reports(timeout):
            if isinstance(report, Brought):
                for operation in brought(self, report):
                    self.submit(operation)
                continue
            held = self.held.get(report.fence)
            if held is None:
                self.bench.finish(report.fence)
                continue
            for operation in verdict_of(self, held, report):
                self.submit(operation)

    def _look(self) -> None:
        """Fetch when it is time, or when the clock jumped: the machine slept."""
        now = self.clock.boottime()
        slept = now - self._last_tick > max(SLEEP_JUMP, 4 * self.settings.cadence.poll)
        self._last_tick = now
        if now >= self._fetch_due or slept:
            self._fetch_due = now + self.settings.cadence.poll * random.uniform(0.75, 1.25)
            self.ledger.fetch()
            self._is_back()
            if self.frozen:
                self.say("the rewind was accepted: going on")
                self.frozen = ""

    def _asks(self) -> None:
        self._asked = self.clock.boottime()

    def _fetched(self) -> None:
        """Every successful fetch is evidence, whoever asked for it."""
        snapshot, answered = self.ledger.snapshot(), self.clock.boottime()
        self.watch.fetched(snapshot, self.ledger.beats, self._asked, answered)
        self.write("observations", lambda: self.memory.save_evidence(self.watch.kept()))
        presence.look(self)
        self.ledger.limit_time(self.settings.cadence.ttl / 4)
        for fence, held in self.held.items():
            job = snapshot.find(fence.job)
            busy = any(operation.proof == fence for operation in self.pending.values())
            # What nobody trusted did to the job is not obeyed: its run goes on, and its result waits.
            busy = busy or fence.job in snapshot.distrust.jobs
            if not busy and not held.fenced and (job is None or not job.held_by(fence)):
                held.fenced = True
                self.say(f"{fence.job}: lease lost, stopping its engine")
                self.bench.stop(fence, "fenced")

    def _take_in(self) -> None:
        for line in self.clone.take_in():
            self.say(line)
        for operation in self.clone.submissions():
            self.pending[operation.op_id] = operation
        self.hurry = self.hurry or self.clone.more

    def _decide(self) -> None:
        for operation in [self.pending[op_id] for op_id in self.unsaved if op_id in self.pending]:
            self.save(operation)
        for operation in decide(self):
            self.submit(operation)

    def _act(self) -> None:
        """Push everything that is pending as one group, with the beat riding along."""
        now = self.clock.boottime()
        operations = self._ready(now)
        if not (operations and now >= self._push_due) and now < self.beat_due:
            return
        self._push_due = now + self.settings.cadence.push_interval
        try:
            results = self.ledger.perform(operations, self.beat, min(20.0, self.settings.cadence.beat))
        finally:
            presence.sent(self, now)
        for result in results:
            self._settle(result)

    def _settle(self, result: Result) -> None:
        operation = result.operation
        if isinstance(result, Waiting) and not result.policy:
            self._push_due = self.clock.boottime() + self.settings.cadence.poll
            return
        distrusted = isinstance(result, Refused) and self.ledger.snapshot().distrust.jobs.get(operation.about)
        if operation.proof in self.held and (isinstance(result, Waiting) or distrusted):
            # A result of ours is never given up: the lease lives on until the queue takes it.
            why = distrusted or getattr(result, "why", "")
            self.say(f"{operation.about}: {why}; trying again in {ASIDE_SECONDS:.0f}s")
            self._aside[operation.op_id] = self.clock.boottime() + ASIDE_SECONDS
            return
        self.pending.pop(operation.op_id, None)
        self._aside.pop(operation.op_id, None)
        if not isinstance(result, Waiting):
            self._is_back()
        self.hurry, self.idle = not isinstance(result, Waiting), False
        line = self.clone.submitted(result)
        if line:
            self.say(line)
        if not isinstance(result, Waiting):
            self.unsaved.discard(operation.op_id)
            self.write("results", lambda: self.spool.remove(operation))
        else:
            self.say(f"set aside: {result.why}")
            if isinstance(operation, (Claim, VerifyClaim)):
                self.refuses[operation.job] = (result.why, self.clock.boottime())
        apply_result(self, result)

    def _show(self) -> None:
        """Bring the person's clone to the tip, not more often than it is worth."""
        now = self.clock.boottime()
        if self.ledger.tip != self._known_tip and now >= self._view_due:
            for line in self.clone.refresh():
                self.say(line)
            self._known_tip = self.ledger.tip
            self._view_due = self.clock.boottime() + max(1.0, 10 * (self.clock.boottime() - now))

    def _went_offline(self, error: TryLaterError) -> None:
        if not self.offline:
            self.say(f"{error.what}; running work goes on")
        self.offline = error.what
        presence.sent(self, self.clock.boottime())

    def _is_back(self) -> None:
        if self.offline:
            self.say("the remote answers again")
        self.offline = ""

    def _freeze(self, error: FrozenError) -> None:
        if not self.frozen:
            self.say(f"FROZEN: {error}")
        self.frozen = error.what
        self.beat_due = self.clock.boottime() + self.settings.cadence.beat
        if not self.held:
            raise error

    # --- ending ---------------------------------------------------------------------------------

    def stop(self) -> None:
        """First call: finish what runs and keep beating. Second: stop the engines, keep their partial
        work, release the leases."""
        if self.stopping:
            for fence, held in self.held.items():
                held.stopping = True
                self.bench.stop(fence, "stopped by the operator")
        self.stopping = True
        self.bench.wake()

    @property
    def done(self) -> bool:
        """Whether a stopped runner has nothing left to do. A frozen one may not land its results: they
        are in the spool, and the next start brings them."""
        if self.stopping and self.frozen:
            return all(held.outcome is not None for held in self.held.values())
        return (
            self.stopping
            and not self.held
            and not any(op for op in self.pending.values() if not isinstance(op, (Claim, VerifyClaim)))
        )

    def farewell(self) -> None:
        """A last beat that says so: peers need not wait for silence."""
        for line in self.clone.refresh():
            self.say(line)
        self.pending = {
            op_id: op for op_id, op in self.pending.items() if not isinstance(op, (Claim, VerifyClaim))
        }
        try:
            self.ledger.perform([], self.beat)
        except (TryLaterError, FrozenError):
            return

    def runnable(self) -> bool:
        """Whether something is left that this host could do now: `--until-idle` goes on while so. A file
        that was just written is taken in once it is quiet."""
        return bool(self.held or self.pending or self.clone.settling or self.clone.more) or not self.idle
