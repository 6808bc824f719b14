"""A host: the real loop on a machine, started again when it ends, and everything that can befall it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from aq.core.errors import AqError, FrozenError
from aq.ledger.beatwriter import BeatWriter
from aq.runner.runner import Runner
from aq.runner.state import Me
from aq.ui.cli.run import _loop, _start
from tests.sim.bench import Mood, SimBench, SimRun
from tests.sim.machine import DiskPath, Machine, NoClone, SimMemory, SimSpool
from tests.sim.store import CONFIG, SimLedger

if TYPE_CHECKING:
    from tests.sim.world import World

# A service manager starts it again after so long.
RESTART = 20.0


class Host(Machine):
    """One machine that runs `aq run`. `dead` is for good: nobody starts it again."""

    def __init__(
        self, world: World, name: str, slots: int, offers: frozenset[str], dice: random.Random
    ) -> None:
        drift, skew = world.options.drift, world.options.skew
        rate = dice.uniform(1.0, drift)
        super().__init__(world, name, rate=rate, skew=dice.uniform(-skew, skew))
        self.slots, self.offers = slots, offers
        self.engines = {
            word.removeprefix("engine:"): "shell" if word == "engine:shell" else "agentic-coder"
            for word in sorted(offers)
            if word.startswith("engine:")
        }
        self.mood = Mood(world.options.fails)
        self.dead = self.frozen = False
        self.boots = 1
        self.starts = 0
        self.left: list[SimRun] = []
        self.runner: Runner | None = None
        self.bench: SimBench | None = None
        self.fallen = 0.0

    @property
    def is_frozen(self) -> bool:
        """Whether a rewind keeps it from working."""
        return self.frozen or bool(self.runner and self.runner.frozen)

    @property
    def boot(self) -> str:
        return f"{self.name}-boot-{self.boots}"

    def start(self) -> None:
        """`aq run`."""
        if not self.dead and not (self.program and self.program.alive):
            self.starts += 1
            self.run(self._aq_run)

    def _aq_run(self) -> None:
        try:
            self._whole_life()
            self._closed()
            if self.world.faults.over:
                self._again()
        except FrozenError:
            self.world.say(self.name, "ended: frozen")
            self.frozen = True
            self._again()
        except AqError as error:
            self.world.laws.broken("crash", f"{self.name} ended: {error}")
            self._again()
        except OSError as error:
            self.world.laws.broken("disk", f"a full disk ended the loop of {self.name}: {error}")
            self._again()

    def _again(self) -> None:
        self._closed()
        self.works.after(RESTART, self.start)

    def _whole_life(self) -> None:
        ledger = SimLedger(self, f"aq {self.name}", f"run-{self.name}")
        beats: Any = BeatWriter(
            ledger.committer,
            ledger.who,
            self.name,
            CONFIG.beat_refs,
            DiskPath(self.disk),  # type: ignore[arg-type]
        )
        self.bench = SimBench(self)
        me = Me(
            self.name, self.boot, f"{self.name}-{self.starts}", self.slots, self.offers, self.engines, "sim"
        )
        self.runner = Runner(
            me=me,
            ledger=ledger,
            bench=self.bench,
            clock=self.clock,
            beat=beats,
            spool=SimSpool(self.disk),
            memory=SimMemory(self.disk, self.boot, self._sweep),  # type: ignore[arg-type]
            clone=NoClone(),  # type: ignore[arg-type]
            say=self._say,
        )
        _start(self.runner, self._say, patient=True)
        _loop(self.runner, once=False, until_idle=False)

    def _say(self, line: str) -> None:
        self.world.say(self.name, line)

    def _sweep(self) -> list[str]:
        """End what earlier programs left running here; whose runs they were."""
        found = [run.fence.nonce for run in self.left]
        for run in self.left:
            run.end()
        self.left = []
        return found

    def _closed(self) -> None:
        if self.bench:
            self.bench.open = False
        self.runner = None

    def kill(self, *, reboot: bool) -> None:
        """kill -9 of the loop, or the power cord of the machine."""
        if self.program:
            self.program.kill()
        self._closed()
        self.asleep = False
        self.fallen = self.works.now
        if reboot:
            for run in self.left:
                run.end()
            self.boots += 1
            self.clock.booted = self.works.now

    def sleep(self, *, on: bool) -> None:
        """The lid is closed, or opened."""
        if on == self.asleep or not (self.program and self.program.alive):
            return
        self.asleep = on
        for run in self.left:
            if run.alive and on and not run.suspended:
                run.pause()
            elif run.alive and not on:
                run.thaw()
        if not on:
            self.program.catch_up()
