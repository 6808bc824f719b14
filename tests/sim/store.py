"""The real ledger over the fake remote: its rules of what to believe, its pusher and its beats are the
product's own; only objects, files and the network below them are not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from aq.core.change import Change
from aq.core.errors import TryLaterError
from aq.core.event import render
from aq.core.fleet import Beat
from aq.core.instants import Instant
from aq.core.layout import file_edits
from aq.core.operations import Operation
from aq.core.snapshot import Snapshot
from aq.ledger.commits import CommitInfo, Identity
from aq.ledger.ledger import Ledger
from aq.ledger.pusher import Pusher
from aq.ledger.remote import Pushed, PushSpec, Verdict
from aq.ledger.rewinds import Rewinds
from aq.ledger.store import QueueConfig
from tests.sim.hub import HEAD, Hub

if TYPE_CHECKING:
    from tests.sim.machine import Machine

CONFIG = QueueConfig("sim", "main")
_LOST = object()


class Kept:
    """A value in the place of a file: nothing is written down and read again."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def decode(self) -> Kept:
        return self


class NoPacking:
    """There are no files to pack."""

    def look(self) -> None:
        return


class SimStore:
    """What a clone remembers of the queue's branch, on its machine's disk."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.git_dir = machine, None
        self.packing = NoPacking()

    def seen_tip(self) -> str:
        return str(self.machine.disk.files.get("seen", ""))

    def older_tip(self) -> str:
        return self.seen_tip()

    def save_tip(self, tip: str) -> None:
        self.machine.disk.files["seen"] = tip

    def locked(self) -> AbstractContextManager[None]:
        return nullcontext()


class Objects:
    """The commits that a clone has: those of the tips it fetched, and its own."""

    def __init__(self, machine: Machine, hub: Hub) -> None:
        self.machine, self.hub = machine, hub

    def has(self, oid: str) -> bool:
        heads = self.machine.disk.files.get("heads", ())
        return any(self.hub.descends(head, oid) for head in heads)

    def fetched(self, tip: str) -> None:
        heads = self.machine.disk.files.get("heads", ())
        if tip not in heads:
            others = tuple(head for head in heads if not self.hub.descends(tip, head))
            self.machine.disk.files["heads"] = (*others, tip)

    def read(self, oid: str) -> bytes:
        return b"Do what the title says.\n"


class SimHistory:
    """Questions about commits."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.descends = hub.descends

    def between(self, old: str, new: str) -> Iterator[tuple[str, CommitInfo]]:
        return ((commit.oid, commit.info) for commit in self.hub.between(old, new))


class SimReader:
    """Snapshots by tip."""

    def __init__(self, hub: Hub) -> None:
        self.commits = hub.commits

    def snapshot(self, tip: str) -> Snapshot:
        return self.commits[tip].snapshot


class Beats:
    """Makes beats into objects."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def empty_tree(self) -> str:
        return ""

    def raw_commit(
        self, tree: str, parents: tuple[str, ...], message: Any, who: Identity, at: Instant
    ) -> str:
        return self.hub.new_beat(message.value)


class Wire:
    """One machine's way to the hub. Each call takes time; a request or its answer may be lost."""

    head = HEAD

    def __init__(self, machine: Machine, hub: Hub) -> None:
        self.machine, self.hub = machine, hub
        self.timeout = 60.0

    def fetch(self) -> tuple[str, dict[str, str]]:
        """What the hub shows when the request arrives."""
        found = self._call(self._look)
        if found is _LOST:
            raise TryLaterError("the remote sim does not answer", "it is tried again")
        self.machine.ledger_objects.fetched(found[0])
        self.machine.looked = found[2]
        return found[0], found[1]

    def _look(self) -> Any:
        return self.hub.tip, dict(self.hub.beats), self.machine.works.now

    def push(self, specs: list[PushSpec]) -> dict[str, Pushed]:
        """The verdict on each ref."""
        found = self._call(lambda: self._arrives(specs))
        if found is _LOST:
            return {spec.ref: Pushed(Verdict.UNKNOWN, "no answer") for spec in specs}
        return dict(found)

    def _arrives(self, specs: list[PushSpec]) -> dict[str, Pushed]:
        if self.machine.net.loses_lock():
            # Git's own lock on a ref: the loser is told the same as one who was late, and of several refs
            # not which of them it was.
            alone = Pushed(Verdict.LOST, "cannot lock ref")
            told = alone if len(specs) == 1 else Pushed(Verdict.TOGETHER, "atomic transaction failed")
            return {spec.ref: told for spec in specs}
        return self.hub.receive(specs)

    def _call(self, arrives: Any) -> Any:
        """Ask the hub. `_LOST` when no answer came in time: it may still arrive, or have arrived."""
        net, works, program = self.machine.net, self.machine.works, self.machine.current
        ticket, began = program.ticket(), works.now
        patience = self.timeout / self.machine.clock.rate
        there, back = net.delay(), net.delay()
        no_way, no_answer = net.drops(), net.drops()

        def late() -> None:
            works.after(max(0.0, began + patience - works.now), program.wake, ticket, _LOST)

        def arrive() -> None:
            if no_way or net.cut:
                late()
                return
            answer = arrives()
            if no_answer or net.cut or there + back > patience:
                late()
            else:
                works.after(back, program.wake, ticket, answer)

        if there > patience:
            late()
        if net.refuses:
            works.after(there, program.wake, ticket, _LOST)
        else:
            works.after(there, arrive)
        return program.wait()


class SimPusher(Pusher):
    """The real pusher; a commit is kept as values instead of being written as trees."""

    def _commit(self, parent: str, operation: Operation, change: Change) -> str:
        hub: Hub = self.ledger.hub  # type: ignore[attr-defined]
        return hub.build(parent, operation, change, file_edits(change), render(change.event), operation.at)


class SimLedger(Ledger):
    """The real ledger of one machine's clone."""

    def __init__(self, machine: Machine, who: str, role: str) -> None:
        self.machine, self.hub = machine, machine.world.hub
        super().__init__(SimStore(machine), CONFIG, Identity(who, ""), role)  # type: ignore[arg-type]
        self.pusher = SimPusher(self)

    def _open(self) -> None:
        hub: Any = self.hub
        wire: Any = Wire(self.machine, hub)
        objects: Any = Objects(self.machine, hub)
        history: Any = SimHistory(hub)
        reader: Any = SimReader(hub)
        beats: Any = Beats(hub)
        self.machine.ledger_objects = objects
        self.remote, self.objects, self.history, self.reader = wire, objects, history, reader
        self.rewinds = Rewinds(objects, history, None)
        self.committer = beats
        self.tip = self.store.seen_tip()

    def _beat(self, host: str, oid: str) -> Beat | None:
        return self.hub.said.get(oid)

    def limit_time(self, seconds: float) -> None:
        self.remote.timeout = max(1.0, min(self.timeout, seconds))  # type: ignore[misc]
