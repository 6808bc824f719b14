"""A machine: its clock, its disk, its way to the hub. The disk outlives the programs."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aq.core.fleet import Cooling
from aq.core.health import Breaker
from aq.core.instants import Instant, instant
from aq.core.operations import Operation
from aq.core.results import Result
from tests.sim.clockwork import Killed, Program

if TYPE_CHECKING:
    from tests.sim.store import Objects
    from tests.sim.world import World

EPOCH = 1795255200
_KEPT_NONCES = 500


class SimClock:
    """A machine's clocks: `rate` is how fast that for leases runs, `skew` how wrong that on the wall is."""

    def __init__(self, world: World, rate: float, skew: float) -> None:
        self.works, self.rate, self.skew = world.works, rate, skew
        self.booted = world.works.now - 1.0
        self._last: tuple[int, Instant] = (0, "")

    def now(self) -> Instant:
        second = int(EPOCH + self.skew + self.works.now)
        if second != self._last[0]:
            self._last = second, instant(second)
        return self._last[1]

    def boottime(self) -> float:
        return (self.works.now - self.booted) * self.rate


class Disk:
    """Files by name, and the spool. A full disk takes nothing new."""

    def __init__(self) -> None:
        self.files: dict[str, Any] = {}
        self.spool: dict[str, Operation] = {}
        self.full = False

    def room(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")

    def write(self, name: str, value: Any) -> None:
        self.room()
        self.files[name] = value


class DiskPath:
    """A path on a fake disk, as far as the beat writer asks."""

    def __init__(self, disk: Disk, name: str = "") -> None:
        self.disk, self.name = disk, name

    def __truediv__(self, name: str) -> DiskPath:
        return DiskPath(self.disk, name)

    def exists(self) -> bool:
        return self.name in self.disk.files

    def read_text(self, encoding: str) -> str:
        return str(self.disk.files[self.name])


def write_on_disk(path: DiskPath, content: bytes, *, sync: bool = False) -> None:
    """Stands in for `write_atomic`."""
    path.disk.write(path.name, content.decode())


class Net:
    """How well a machine reaches the hub now. `cut` loses everything, `refuses` says so at once."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.base, self.loss, self.lock_loss = 0.02, 0.0, 0.0
        self.slow = 1.0
        self.cut = self.refuses = False

    def delay(self) -> float:
        return self.base * self.slow * (0.5 + self.dice.random())

    def drops(self) -> bool:
        return self.loss > 0 and self.dice.random() < self.loss

    def loses_lock(self) -> bool:
        return self.lock_loss > 0 and self.dice.random() < self.lock_loss


class Machine:
    """What hosts and people have in common."""

    ledger_objects: Objects

    def __init__(self, world: World, name: str, *, rate: float = 1.0, skew: float = 0.0) -> None:
        self.world, self.works, self.name = world, world.works, name
        self.clock = SimClock(world, rate, skew)
        self.disk = Disk()
        self.net = Net(world.dice)
        self.program: Program | None = None
        self.asleep = False
        # When the last fetch that was answered arrived at the hub.
        self.looked = 0.0

    @property
    def current(self) -> Program:
        assert self.program
        return self.program

    def run(self, body: Callable[[], None]) -> None:
        """Start a program; it is the only one here."""

        def guarded() -> None:
            try:
                body()
            except Killed:
                return

        self.program = Program(self.works, guarded, lambda: not self.asleep)
        self.program.start()

    @property
    def up(self) -> bool:
        return self.program is not None and self.program.alive and not self.asleep


class SimSpool:
    """Results on disk."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk

    def save(self, operation: Operation) -> None:
        self.disk.room()
        self.disk.spool[operation.op_id] = operation

    def remove(self, operation: Operation) -> None:
        self.disk.spool.pop(operation.op_id, None)

    def waiting(self) -> list[Operation]:
        return sorted(self.disk.spool.values(), key=lambda op: (op.at, op.op_id))


class SimMemory:
    """What a host remembers. `sweep` ends what earlier processes left; it gives their nonces."""

    def __init__(self, disk: Disk, boot: str, sweep: Callable[[], Iterable[str]]) -> None:
        self.disk, self.boot, self.sweep = disk, boot, sweep

    def nonces(self) -> frozenset[str]:
        return frozenset(self.disk.files.get("nonces", ()))

    def add_nonce(self, nonce: str) -> None:
        self.disk.write("nonces", (*self.disk.files.get("nonces", ())[-_KEPT_NONCES:], nonce))

    def load_evidence(self) -> Mapping[str, tuple[str, float, float]]:
        boot, found = self.disk.files.get("evidence", ("", {}))
        return found if boot == self.boot else {}

    def save_evidence(self, evidence: Mapping[str, tuple[str, float, float]]) -> None:
        self.disk.write("evidence", (self.boot, evidence))

    def load_cooling(self) -> Mapping[str, Cooling]:
        return self.disk.files.get("cooling", {})

    def save_cooling(self, cooling: Mapping[str, Cooling]) -> None:
        self.disk.write("cooling", dict(cooling))

    def load_breaker(self) -> Breaker:
        found: Breaker = self.disk.files.get("breaker", Breaker())
        return found

    def save_breaker(self, breaker: Breaker) -> None:
        self.disk.write("breaker", breaker)

    def orphans(self) -> Iterable[str]:
        return self.sweep()


class NoClone:
    """People drop no files here: they have machines of their own."""

    path = None
    settling: tuple[str, ...] = ()
    more = False

    def take_in(self) -> list[str]:
        return []

    def submissions(self) -> list[Operation]:
        return []

    def submitted(self, result: Result) -> str:
        return ""

    def refresh(self) -> list[str]:
        return []
