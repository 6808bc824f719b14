"""One run: the machines, the hub, the laws, and the dice that everything is drawn from."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from aq.core.layout import SETTINGS
from aq.core.lifecycle import Stage
from aq.core.settings import Budgets, Cadence, Settings
from aq.core.snapshot import Snapshot
from tests.sim.calm import Calm
from tests.sim.clockwork import Clockwork
from tests.sim.faults import Faults
from tests.sim.host import Host
from tests.sim.hub import Hub, Shelf
from tests.sim.laws import Laws, Violation
from tests.sim.machine import Machine, write_on_disk
from tests.sim.options import CADENCES, Options
from tests.sim.people import Person
from tests.sim.shortcuts import remembering
from tests.sim.store import Kept

_OFFERS = ("os:linux", "engine:claude", "engine:shell", "has:docker")


@dataclass
class Outcome:
    """What became of a run. `digest` tells two runs apart."""

    options: Options
    steps: int = 0
    commits: int = 0
    digest: str = ""
    law: str = ""
    what: str = ""
    faults: dict[str, int] = field(default_factory=dict)
    trace: list[str] = field(default_factory=list)


class _Dice:
    """Stands in for the modules `random` and `secrets`."""

    def __init__(self, dice: random.Random) -> None:
        self.uniform, self.random = dice.uniform, dice.random
        self._dice = dice

    def token_hex(self, count: int) -> str:
        return f"{self._dice.getrandbits(count * 8):0{count * 2}x}"


class _Time:
    """Stands in for the module `time` where the pusher waits."""

    def __init__(self, world: World) -> None:
        self.world = world

    def monotonic(self) -> float:
        return self.world.works.now

    def sleep(self, seconds: float) -> None:
        program = self.world.works.running
        assert program
        program.sleep(seconds)


class World:
    """Everything that one seed makes."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.dice = random.Random(options.seed)
        self.works = Clockwork()
        self.trace: deque[tuple[float, str, str]] = deque(maxlen=40)
        self.laws = Laws(self)
        self.hub = Hub(self.laws.on_commit, self.laws.on_beat, self.laws.on_line)
        self.cadence = Cadence(*CADENCES[options.cadence])
        # The branches that are in their target repositories, by tip: name, and the nonce of the run.
        self.work: dict[str, tuple[str, str]] = {}
        self._names = 0
        self.hosts = {f"host-{n}": self._host(f"host-{n}", n) for n in range(options.hosts)}
        self.people = [Person(self, name) for name in ("alice", "bob", "carol", "dave")[: options.people]]
        self.faults = Faults(self)

    def _host(self, name: str, number: int) -> Host:
        offers = (
            _OFFERS if number == 0 else (*_OFFERS[:2], *self.dice.sample(_OFFERS[2:], self.dice.randrange(3)))
        )
        return Host(self, name, self.dice.randrange(1, 4), frozenset(offers), self.dice)

    def machines(self) -> Iterator[Machine]:
        yield from self.hosts.values()
        yield from self.people

    def count(self) -> int:
        """A number that nobody had before."""
        self._names += 1
        return self._names

    def token(self, count: int) -> str:
        return _Dice(self.dice).token_hex(count)

    def say(self, who: str, what: str) -> None:
        self.trace.append((self.works.now, who, what))

    def begin(self) -> None:
        """An empty queue, and everybody starts."""
        options = self.options
        settings = Settings(
            self.cadence, budgets=Budgets(fleet_usd=options.fleet_usd), wip_building=options.wip
        )
        stages: dict[Stage, Any] = {stage: {} for stage in Stage if stage is not Stage.SHIPPED}
        empty = Snapshot("", stages, Shelf({}), settings=settings)
        self.hub.begin(empty, {SETTINGS: Kept(settings)}, "Begin a queue\n")
        for host in self.hosts.values():
            self.works.after(self.dice.uniform(0, self.cadence.poll), host.start)
        for person in self.people:
            self.works.after(0.0, person.begin)
        self.faults.begin()

    def play(self) -> None:
        """Faults for so many steps, then the calm."""
        self.begin()
        while self.works.steps < self.options.steps:
            self.works.step()
        Calm(self).play()

    def end(self) -> None:
        """No program may outlive its world."""
        for machine in self.machines():
            if machine.program:
                machine.program.kill()


@contextmanager
def standing_in(world: World) -> Iterator[None]:
    """The product's clock, dice and files are the world's."""
    dice, time = _Dice(world.dice), _Time(world)
    with (
        patch("aq.ledger.pusher.time", time),
        patch("aq.ledger.pusher.random", dice),
        patch("aq.runner.runner.random", dice),
        patch("aq.runner.presence.random", dice),
        patch("aq.runner.cooling.random", dice),
        patch("aq.runner.state.secrets", dice),
        patch("aq.runner.decide.secrets", dice),
        patch("aq.core.encoding.encode", Kept),
        patch("aq.ledger.beatwriter.write_atomic", write_on_disk),
    ):
        yield


def run(options: Options) -> Outcome:
    """One run, and what became of it."""
    world = World(options)
    outcome = Outcome(options)
    with standing_in(world), remembering(world):
        try:
            world.play()
        except Violation as violation:
            outcome.law, outcome.what = violation.law, violation.what
        finally:
            world.end()
    outcome.steps, outcome.commits = world.works.steps, world.hub.landed
    outcome.digest = f"{world.hub.tip} {world.works.now:.6f}"
    outcome.faults = world.faults.happened
    outcome.trace = [f"{at:10.2f} {who}: {what}" for at, who, what in world.trace]
    return outcome
