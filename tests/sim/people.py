"""People: each a machine of their own that runs one command after another, or edits the queue by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aq.core.errors import AqError, FrozenError, TryLaterError
from aq.core.ids import keyed_id
from aq.core.job import Job
from aq.core.layout import QUEUE, SETTINGS
from aq.core.lifecycle import LIVE, Stage
from aq.core.manifest import Budget, Check, CheckKind, Deps, Manifest, Priority, Retry
from aq.core.operations import (
    AcceptRewind,
    Add,
    Approve,
    Cancel,
    Operation,
    PauseFleet,
    PauseJob,
    Promote,
    Reject,
    Requeue,
    ResumeFleet,
    ResumeJob,
    Ship,
)
from aq.core.record import Record
from aq.core.snapshot import Snapshot
from aq.core.value import replace
from tests.sim.machine import Machine
from tests.sim.store import SimLedger

if TYPE_CHECKING:
    from tests.sim.world import World

_WEIGHTS = {
    "add": 40,
    "ship": 14,
    "promote": 8,
    "requeue": 8,
    "reject": 5,
    "approve": 3,
    "cancel": 4,
    "pause_job": 3,
    "resume_job": 6,
    "pause_fleet": 2,
    "resume_fleet": 4,
    "add_by_hand": 4,
    "set_by_hand": 2,
}
_VERIFY = (Check(CheckKind.COMMAND, "true"),)


class Person(Machine):
    """Types commands until nobody wants anything any more."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__(world, name)
        self.calm = False
        self._rest = -1

    def calms_down(self) -> None:
        """Nothing new is wanted; only what keeps others from their work is put right, and at once."""
        self.calm = True
        self.current.wake(self._rest)

    def begin(self) -> None:
        self.run(self._life)

    def _life(self) -> None:
        while True:
            seconds = 5.0 if self.calm else self.world.dice.expovariate(1 / self.world.options.pace)
            self._rest = self.current.ticket()
            self.current.sleep(max(0.5, seconds))
            try:
                self._thaw()
                ledger = SimLedger(self, self.name, "cli")
                self._look(ledger)
                self._act(ledger)
            except (TryLaterError, FrozenError) as error:
                self.world.say(self.name, f"no luck: {error}")
            except AqError as error:
                self.world.laws.broken("crash", f"a command of {self.name}: {error}")

    def _thaw(self) -> None:
        """Go to a host that is frozen, and run `aq doctor --accept-rewind` in its clone."""
        frozen = [host for host in self.world.hosts.values() if host.is_frozen and not host.dead]
        if not frozen or not (self.calm or self.world.dice.random() < 0.1):
            return
        own, self.disk = self.disk, frozen[0].disk
        try:
            self._look(SimLedger(self, self.name, "cli"))
            frozen[0].frozen = False
        finally:
            self.disk = own

    def _look(self, ledger: SimLedger) -> None:
        """Fetch; who finds a rewind accepts it, as `aq doctor --accept-rewind` does."""
        try:
            ledger.fetch()
        except FrozenError:
            old, new = ledger.rewound
            if not new:
                raise
            ledger.tip = new
            self._do(ledger, AcceptRewind(**self._asked(), old=old, new=new))
            ledger.fetch()

    def _act(self, ledger: SimLedger) -> None:
        snapshot = ledger.snapshot()
        if self.calm:
            if snapshot.pause:
                self._do(ledger, ResumeFleet(**self._asked()))
            return
        names, weights = list(_WEIGHTS), list(_WEIGHTS.values())
        make: Callable[[Snapshot], Operation | None] = getattr(
            self, f"_{self.world.dice.choices(names, weights)[0]}"
        )
        operation = make(snapshot)
        if operation:
            self._do(ledger, operation)

    def _do(self, ledger: SimLedger, operation: Operation) -> None:
        for result in ledger.perform([operation]):
            self.world.say(
                self.name, f"{type(operation).__name__} {operation.about}: {type(result).__name__}"
            )

    def _asked(self) -> dict[str, Any]:
        return {"at": self.clock.now(), "by": self.name, "op_id": self.world.token(8)}

    def _some(self, snapshot: Snapshot, *stages: Stage) -> str:
        names = sorted(job.id for job in snapshot.jobs(*stages))
        return self.world.dice.choice(names) if names else ""

    def _of(self, kind: Any, job: str, **more: Any) -> Operation | None:
        return kind(**self._asked(), job=job, **more) if job else None

    def _add(self, snapshot: Snapshot) -> Operation | None:
        if sum(1 for _ in snapshot.jobs(*LIVE)) > 12:
            return None
        dice, manifest = self.world.dice, self.new_manifest(snapshot)
        key = manifest.idempotency_key
        name = keyed_id("job", key) if key else f"j{self.world.count():03d}"
        blob = f"blob-{name}-{dice.randrange(2)}" if key else f"blob-{name}"
        self.world.laws.files.manifests.setdefault(blob, manifest)
        return Add(**self._asked(), job=name, blob=blob, manifest=self.world.laws.files.manifests[blob])

    def new_manifest(self, snapshot: Snapshot) -> Manifest:
        """What somebody may ask for."""
        dice = self.world.dice
        keys: dict[str, Any] = {"engine": "shell"} if dice.random() < 0.5 else {}
        if dice.random() < 0.6:
            keys |= {"verify": _VERIFY, "fix_max": dice.randrange(3)}
        if dice.random() < 0.25:
            keys["capabilities"] = (dice.choice(("os:linux", "has:docker")),)
        if dice.random() < 0.2 and (dep := self._some(snapshot, Stage.INBOX, Stage.TESTING)):
            keys["deps"] = Deps(shipped=(dep,)) if dice.random() < 0.5 else Deps(testing=(dep,))
        if dice.random() < 0.2:
            keys["lock"] = dice.choice(("db", "web"))
        if dice.random() < 0.3:
            keys["budget"] = Budget(usd=float(dice.randrange(1, 4)))
        if dice.random() < 0.3:
            keys["product"] = dice.choice(("billing", "shop"))
        if dice.random() < 0.1:
            keys["idempotency_key"] = f"k{dice.randrange(4)}"
        keys["priority"] = dice.choice(list(Priority))
        keys["retry"] = Retry(
            max=dice.randrange(3), backoff=dice.choice((1.0, 30.0)), infra=dice.randrange(4)
        )
        keys["timeout"] = 50 * self.world.options.engine
        keys["deliver"] = dice.choice(("branch", "branch", "merge"))
        keys["resume"] = dice.random() < 0.3
        keys["on_partition"] = dice.choice(("continue", "stop"))
        return Manifest(**keys, given=tuple(sorted(keys)))

    def _ship(self, snapshot: Snapshot) -> Operation | None:
        return self._of(Ship, self._some(snapshot, Stage.TESTING))

    def _promote(self, snapshot: Snapshot) -> Operation | None:
        return self._of(Promote, self._some(snapshot, Stage.REVIEW))

    def _requeue(self, snapshot: Snapshot) -> Operation | None:
        return self._of(Requeue, self._some(snapshot, Stage.FAILED, Stage.DEAD_LETTER))

    def _reject(self, snapshot: Snapshot) -> Operation | None:
        again = self.world.dice.random() < 0.5
        return self._of(
            Reject, self._some(snapshot, Stage.REVIEW, Stage.TESTING), message="no", requeue=again
        )

    def _approve(self, snapshot: Snapshot) -> Operation | None:
        return self._of(Approve, self._some(snapshot, Stage.REVIEW, Stage.TESTING))

    def _cancel(self, snapshot: Snapshot) -> Operation | None:
        return self._of(Cancel, self._some(snapshot, *LIVE))

    def _pause_job(self, snapshot: Snapshot) -> Operation | None:
        return self._of(PauseJob, self._some(snapshot, *LIVE))

    def _resume_job(self, snapshot: Snapshot) -> Operation | None:
        paused = sorted(job.id for job in snapshot.jobs(*LIVE) if job.record.pause or job.record.hold)
        return self._of(ResumeJob, paused[0] if paused else "")

    def _pause_fleet(self, snapshot: Snapshot) -> Operation | None:
        return PauseFleet(**self._asked(), why="look", stop=self.world.dice.random() < 0.3)

    def _resume_fleet(self, snapshot: Snapshot) -> Operation | None:
        return ResumeFleet(**self._asked())

    def _add_by_hand(self, snapshot: Snapshot) -> None:
        """A plain commit that brings a job file: no record tells of it."""
        hub = self.world.hub
        newest = hub.commits[hub.tip].snapshot
        name, at = f"h{self.world.count():03d}", self.clock.now()
        manifest = replace(self.new_manifest(newest), idempotency_key="")
        self.world.laws.files.manifests[f"blob-{name}"] = manifest
        job = Job(name, Stage.INBOX, str(Stage.INBOX), f"blob-{name}", manifest, Record(queued=at))
        stages = {**newest.stages, Stage.INBOX: {**newest.stages[Stage.INBOX], name: job}}
        path = f"{QUEUE}/inbox/{name}.md"
        hub.by_hand(replace(newest, stages=stages), {path: job.blob}, f"Please do {name}\n", at)

    def _set_by_hand(self, snapshot: Snapshot) -> None:
        """A plain commit that changes the fleet's limits."""
        hub, dice = self.world.hub, self.world.dice
        newest = hub.commits[hub.tip].snapshot
        usd = dice.choice((None, 6.0, 30.0))
        budgets = replace(newest.settings.budgets, fleet_usd=usd)
        settings = replace(newest.settings, budgets=budgets, wip_building=dice.choice((None, 2, 4)))
        changes = {SETTINGS: self.world.laws.files.put(settings)}
        hub.by_hand(replace(newest, settings=settings), changes, "Other limits\n", self.clock.now())
