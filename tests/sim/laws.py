"""What must hold after every step: the product's own audit of each commit, and what commits do not show."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from aq.core.audit.auditor import Auditor
from aq.core.audit.auditor import Commit as Audited
from aq.core.fleet import Beat
from aq.core.instants import day
from aq.core.layout import SETTINGS
from aq.core.lease import Lease
from aq.core.manifest import Manifest
from aq.core.operations import Claim, FixRound, Land, Operation, Reclaim, Release, VerifyClaim
from aq.core.planning.eligible import host_blockers
from aq.core.record import Record
from aq.core.settings import Settings, Spend
from aq.core.snapshot import Snapshot
from aq.runner.watch import OWN_ORPHAN
from tests.sim.bench import SimRun
from tests.sim.hub import Commit
from tests.sim.store import Kept

if TYPE_CHECKING:
    from tests.sim.world import World

# I12: what a settled run left may live so much longer.
STOP_SECONDS = 15.0


class Violation(BaseException):
    """A law was broken. Not an Exception: no handler of the product may hide it."""

    def __init__(self, law: str, what: str) -> None:
        super().__init__(f"{law}: {what}")
        self.law, self.what = law, what


class Files:
    """What the audit reads: the values themselves."""

    def __init__(self) -> None:
        self.manifests: dict[str, Manifest] = {}

    def manifest(self, blob: str) -> Manifest | str:
        return self.manifests.get(blob, "not a job")

    def record(self, blob: Any) -> Record | str:
        return blob.value

    lease = settings = spend = record

    def profile(self, blob: str) -> str:
        return f"there are no profiles here, and no {blob}"

    def put(self, value: Record | Lease | Settings | Spend) -> Kept:
        return Kept(value)


class Laws:
    """Sees everything that arrives at the hub and every process that lives."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.files = Files()
        self.auditor = Auditor(self.files)  # type: ignore[arg-type]
        self.live: dict[tuple[str, int, int], SimRun] = {}
        # The line of history that each claim came in: its answer may be overtaken by a rewind.
        self.claimed: dict[str, int] = {}
        self.signs: dict[str, list[float]] = {}
        self.operations: set[str] = set()
        self.lines = 0
        self.lost: set[str] = set()
        # How deep in the line each claim is, and the last change of the settings.
        self.depths: dict[str, int] = {}
        self.limits_at = 0

    def broken(self, law: str, what: str) -> None:
        """Ends the run."""
        raise Violation(law, what)

    # --- what arrives -----------------------------------------------------------------------------

    def on_beat(self, host: str, beat: Beat) -> None:
        for key in beat.leases:
            if key in self.signs:
                self.signs[key].append(self.world.works.now)

    def on_line(self, lost: set[str]) -> None:
        """The branch was forced: what counts is the line that is left."""
        self.lines += 1
        self.lost |= lost
        self.auditor = Auditor(self.files)  # type: ignore[arg-type]
        self.operations = set()
        line = list(self.world.hub.between("", self.world.hub.tip))
        for commit in reversed(line):
            self._audit(commit)

    def on_commit(self, commit: Commit) -> None:
        if commit.oid in self.lost:
            self.broken(
                "I3", f"a push brought back what a rewind took away: {commit.message.splitlines()[0]}"
            )
        self._audit(commit)
        if SETTINGS in commit.changes:
            self.limits_at = commit.depth
        if commit.operation and commit.parent:
            self._thawed(commit.operation)
            self._landings(commit.operation, commit.parent.snapshot)
            self._claims(commit.operation, commit)
            self._reclaims(commit.operation)
            self._charges(commit.operation.about, commit.snapshot)
        self._money(commit.snapshot)

    def _audit(self, commit: Commit) -> None:
        for breach in self.auditor.step(Audited(commit.oid, commit.message, commit.changes)):
            if not breach.by_hand:
                self.broken(breach.clause, f"{breach.subject}: {breach.what}")
        if commit.operation:
            if commit.operation.op_id in self.operations:
                self.broken("I3", f"the operation of {commit.message.splitlines()[0]!r} was written twice")
            self.operations.add(commit.operation.op_id)

    def _landings(self, operation: Operation, before: Snapshot) -> None:
        fence = operation.proof
        if fence is None or type(operation).__name__ == "Fenced":
            return
        job = before.find(fence.job)
        if job is None or not job.held_by(fence):
            self.broken(
                "zombie", f"{type(operation).__name__} of {fence.key} of {fence.host} without its lease"
            )
        named = operation.tip if isinstance(operation, (Land, FixRound)) else ""
        if named and self.world.work.get(named) != (operation.branch, fence.nonce):  # type: ignore[attr-defined]
            self.broken("I10", f"{fence.key} names work that it did not push")
        if isinstance(operation, Release) and operation.reason == "claimed, but never started":
            self._nobody_runs(fence.nonce, "released as never started")

    def _claims(self, operation: Operation, commit: Commit) -> None:
        if not isinstance(operation, (Claim, VerifyClaim)):
            return
        host = self.world.hosts[operation.host]
        job = commit.snapshot.find(operation.job)
        assert job
        assert job.lease
        self.claimed[job.lease.fence.key] = self.lines
        self.depths[job.lease.fence.key] = commit.depth
        if isinstance(operation, Claim):
            # Asked by a claim of new work only: what others cost above their reservation is known later.
            self._budget(commit.snapshot)
        self.signs[job.lease.fence.key] = [self.world.works.now]
        held = [one for one in commit.snapshot.leased() if one.lease and one.lease.host == host.name]
        if len(held) > host.slots:
            self.broken("I8", f"{host.name} holds {len(held)} leases with {host.slots} slots")
        if isinstance(operation, Claim) and host_blockers(job.manifest, host.offers, host.engines):
            self.broken("I8", f"{host.name} cannot run {job.id}")
        self._told(job.lease.fence.key, host.name)

    def _told(self, key: str, host: str) -> None:
        """No confirmed beat, no claim (rule 5)."""
        beat = self.world.hub.said.get(self.world.hub.beats.get(host, ""))
        runner = self.world.hosts[host].runner
        if beat is None or (runner and beat.incarnation != runner.me.incarnation):
            self.broken("rule 5", f"{host} claimed {key} and no beat of it was seen")

    def _thawed(self, operation: Operation) -> None:
        """Who saw a history that is gone does nothing before a person accepted that (rule 1)."""
        host, hub = self.world.hosts.get(operation.by), self.world.hub
        if not self.lines or host is None or host.runner is None:
            return
        lost = [head for head in host.disk.files.get("heads", ()) if not hub.descends(hub.tip, head)]
        if lost and not any("Aq-Op: accept-rewind" in each.message for each in hub.between("", hub.tip)):
            self.broken("I3", f"{host.name} goes on although it saw {lost[0][:9]}, which is gone")

    def _budget(self, snapshot: Snapshot) -> None:
        """The day's limit holds if every run under way costs all that it may."""
        limit, spend = snapshot.settings.budgets.fleet_usd, 0.0
        if limit is None:
            return
        today = set()
        for job in snapshot.leased():
            run = job.record.last_run
            if job.lease and run and not run.verify_only and self._limited(job.lease.fence.key):
                usd = job.manifest.budget.usd
                spend += snapshot.settings.budgets.default_usd if usd is None else usd
                today.add(day(run.started))
        settled = max((snapshot.spend.get(date, Spend()).fleet.settled for date in today), default=0.0)
        if len(today) == 1 and spend + settled > limit + 1e-6:
            self.broken("I11", f"{settled:g} usd are spent, runs may need {spend:g}, the limit is {limit:g}")

    def _limited(self, key: str) -> bool:
        return self.depths.get(key, 0) > self.limits_at

    def _reclaims(self, operation: Operation) -> None:
        if not isinstance(operation, Reclaim):
            return
        lapse = operation.lapse
        nonce = lapse.lease.rsplit(":", 1)[1]
        if lapse.token == OWN_ORPHAN:
            if operation.by != lapse.host:
                self.broken("I9", f"{operation.by} took back an orphan of {lapse.host}")
            self._nobody_runs(nonce, "taken back as an orphan")
            return
        machine = self.world.hosts[operation.by]
        signs = self.signs[lapse.lease]
        last = signs[max(0, bisect_right(signs, machine.looked) - 1)]
        silent = (machine.looked - last) * machine.clock.rate
        if silent < (lapse.ttl + lapse.grace) * 0.999:
            self.broken("I9", f"{lapse.lease} was taken back after {silent:.1f} s of silence")

    def _nobody_runs(self, nonce: str, what: str) -> None:
        if any(run.fence.nonce == nonce for run in self.live.values()):
            self.broken("twice", f"a run was {what} while it lives")

    def _charges(self, name: str, snapshot: Snapshot) -> None:
        """Each claim of a submission is charged to something (rule 8)."""
        job, past = snapshot.find(name), self.auditor._past.get(name)
        if job is None or past is None:
            return
        record = job.record
        charged = record.attempts + record.infra + record.preempted + record.lost
        if charged < past.claims:
            self.broken("I5", f"{name} was claimed {past.claims} times and charged {charged} times")

    def _money(self, snapshot: Snapshot) -> None:
        """What is set aside is what the unfinished runs set aside: nothing leaks, nothing is lost."""
        aside: dict[str, float] = {}
        for job in snapshot.leased():
            run = job.record.last_run
            if run and run.spend_day and not run.ended:
                aside[run.spend_day] = aside.get(run.spend_day, 0.0) + run.reserved
        for date, spend in snapshot.spend.items():
            if abs(spend.fleet.reserved - aside.get(date, 0.0)) > 1e-4:
                self.broken(
                    "I11", f"{spend.fleet.reserved} usd are set aside, runs need {aside.get(date, 0.0)}"
                )

    # --- processes --------------------------------------------------------------------------------

    def started(self, run: SimRun) -> None:
        """A process of a run begins."""
        if run.fence.key not in self.claimed:
            self.broken("twice", f"{run.fence.key} runs on {run.host.name} without a claim in the queue")
        key = (run.fence.job, run.fence.epoch, self.claimed[run.fence.key])
        other = self.live.get(key)
        if other:
            self.broken("twice", f"{run.fence.key} runs on {run.host.name} and on {other.host.name}")
        if any(one.host is run.host and one.fence.job == run.fence.job for one in self.live.values()):
            self.broken("twice", f"{run.fence.key} begins on {run.host.name} beside an earlier run")
        self.live[key] = run

    def ended(self, run: SimRun) -> None:
        for key, other in list(self.live.items()):
            if other is run:
                del self.live[key]

    def finished(self, run: SimRun) -> None:
        """Nobody wants anything of a run any more: its processes must go soon."""
        if run.alive:
            self.world.works.after(STOP_SECONDS, self._gone, run)

    def _gone(self, run: SimRun) -> None:
        if run.alive and not run.host.asleep and run.bench.open:
            self.broken("I12", f"a process of {run.fence.key} outlived its run on {run.host.name}")
