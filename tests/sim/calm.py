"""After the faults: what must come about in time, once everything that is not dead works again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aq.core.job import Job
from aq.core.lease import Fence
from aq.core.lifecycle import Stage
from aq.core.planning.eligible import budget_blockers, fleet_blockers, host_blockers, job_blockers
from aq.core.planning.retrybudget import retry_blockers
from aq.core.snapshot import Snapshot
from aq.runner import cooling
from aq.runner.breaker import may_start
from aq.runner.decide import may_claim
from aq.runner.runner import ASIDE_SECONDS
from tests.sim.host import RESTART, Host

if TYPE_CHECKING:
    from tests.sim.world import World

# Requests, answers and a few lost races.
SLACK = 15.0


class Calm:
    """Watches the fleet settle. All bounds are in true seconds; no clock here runs slower than that."""

    def __init__(self, world: World) -> None:
        self.world, self.works = world, world.works
        cadence = world.cadence
        self.poll = 1.25 * cadence.poll
        self.slack = SLACK + 1.5 * cadence.push_interval
        # Hosts that froze or were down start anew, and what a remote refused is tried again.
        self.start = RESTART + ASIDE_SECONDS + cadence.beat / 4 + 2 * self.poll
        self.reclaim = self.start + 2 * cadence.ttl + cadence.grace + 2 * self.poll + self.slack
        self.claim = (
            len(world.hosts) * (cadence.patience + self.poll) + 3 * self.poll + cadence.beat / 4 + self.slack
        )
        self.began = 0.0
        self.over = False
        self._since: dict[tuple[str, str], float] = {}

    def play(self) -> None:
        """Until everything had its time."""
        self.began = self.works.now
        self.world.say("calm", "everything that is not dead works again")
        self.world.faults.end()
        for person in self.world.people:
            person.calms_down()
        end = self.began + self.reclaim + self.claim + 2 * self.poll
        self._watch()
        while self.works.now < end:
            self.works.step()
        self.over = True

    def _watch(self) -> None:
        if self.over:
            return
        found = set(self._late())
        for key in set(self._since) - {key for key, _, _ in found}:
            del self._since[key]
        for key, bound, what in sorted(found):
            since = self._since.setdefault(key, self.works.now)
            if self.works.now - since > bound:
                self.world.laws.broken(key[0], f"{what} for {self.works.now - since:.0f} s")
        self.works.after(self.world.cadence.poll, self._watch)

    def _late(self) -> list[tuple[tuple[str, str], float, str]]:
        """What is not as it should be, and for how long that is allowed."""
        tip = self.world.hub.tip
        snapshot = self.world.hub.commits[tip].snapshot
        live = [host for host in self.world.hosts.values() if not host.dead]
        late = [
            ((name, host.name), self.start + self.slack, f"{host.name} {what}")
            for host in live
            for name, what in self._unwell(host)
        ]
        late += [
            (
                ("converge", f"{host.name} {tip}"),
                self.start + self.poll + self.slack,
                f"{host.name} does not see {tip[:9]}",
            )
            for host in live
            if host.runner and host.runner.ledger.tip != tip
        ]
        if snapshot.pause:
            late.append((("pause", ""), self.start + 60.0, "the queue stays paused"))
        late += [
            (
                ("zombie", run.fence.key),
                self.start + self.slack,
                f"{run.host.name} runs {run.fence.key} without its lease",
            )
            for run in self.world.laws.live.values()
            if not run.host.dead and not self._leased(run.fence, snapshot)
        ]
        late += [item for job in snapshot.leased() for item in self._unserved(job)]
        ready = [job for job in snapshot.jobs(Stage.INBOX) if self._ready(job, snapshot)]
        # A limit of the fleet has each wait for those before it, one after the other.
        turns = 1 if snapshot.settings.wip_building is None else len(ready)
        return late + [item for job in ready for item in self._waits(job, snapshot, live, turns * self.claim)]

    def _leased(self, fence: Fence, snapshot: Snapshot) -> bool:
        job = snapshot.find(fence.job)
        return job is not None and job.held_by(fence)

    def _unwell(self, host: Host) -> list[tuple[str, str]]:
        runner = host.runner
        if runner is None:
            return [("up", "does not come up")]
        found = [("thaw", "stays frozen")] if runner.frozen else []
        return found + ([("resume", "keeps its engines suspended")] if runner.suspended else [])

    def _unserved(self, job: Job) -> list[tuple[tuple[str, str], float, str]]:
        """A lease that nobody serves must be taken back; one that is served must go on."""
        lease = job.lease
        assert lease
        host = self.world.hosts[lease.host]
        runner, key = host.runner, lease.fence.key
        if runner is None or lease.fence not in runner.held or not host.bench:
            return [(("reclaim", key), self.reclaim, f"the lease {key} of {host.name} is served by nobody")]
        run = host.bench.runs.get(lease.fence)
        busy = any(operation.proof == lease.fence for operation in runner.pending.values())
        if (run and run.alive) or busy:
            return []
        return [(("stuck", key), self.start + self.slack, f"{host.name} holds {key} and does nothing")]

    def _ready(self, job: Job, snapshot: Snapshot) -> bool:
        """Whether a job could start now, as far as the queue is concerned."""
        now = self.world.people[0].clock.now()
        if fleet_blockers(snapshot) or job_blockers(job, snapshot, now):
            return False
        return not budget_blockers(job.manifest, snapshot, now) and not retry_blockers(job, snapshot, now)

    def _waits(
        self, job: Job, snapshot: Snapshot, live: list[Host], bound: float
    ) -> list[tuple[tuple[str, str], float, str]]:
        """A job that could start now, and a host that could take it."""
        able = [host.name for host in live if self._able(host, job, snapshot)]
        what = f"{job.id} waits, and {', '.join(able)} could take it"
        return [(("claim", job.id), bound, what)] if able else []

    def _able(self, host: Host, job: Job, snapshot: Snapshot) -> bool:
        runner = host.runner
        if runner is None or not may_claim(runner) or job.id in runner.refuses:
            return False
        held = sum(one.lease is not None and one.lease.host == host.name for one in snapshot.leased())
        if may_start(runner, runner.slots_free()) < 1 or held >= host.slots:
            return False
        return not host_blockers(job.manifest, cooling.offers(runner), cooling.engines(runner))
