"""What goes wrong, and when it is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.sim.bench import Mood
from tests.sim.host import Host

if TYPE_CHECKING:
    from tests.sim.world import World


class Faults:
    """Draws a fault from time to time until the calm begins."""

    def __init__(self, world: World) -> None:
        self.world, self.dice, self.works = world, world.dice, world.works
        self.over = False
        self.happened: dict[str, int] = {}

    def begin(self) -> None:
        if self.world.options.faults:
            self._next()

    def _next(self) -> None:
        self.works.after(self.dice.expovariate(1 / self.world.options.fault), self._strike)

    def _strike(self) -> None:
        if self.over:
            return
        name = self.dice.choice(self.world.options.faults)
        host = self.dice.choice(list(self.world.hosts.values()))
        if not host.dead:
            self.happened[name] = self.happened.get(name, 0) + 1
            getattr(self, f"_{name}")(host)
        self._next()

    def _until(self, seconds: float, undo: Callable[[], None]) -> None:
        self.works.after(seconds, undo)

    def _a_while(self) -> float:
        """Mostly shorter than a TTL, sometimes much longer."""
        return self.dice.expovariate(1.0) * self.world.cadence.ttl * self.dice.choice((0.1, 0.5, 2.0))

    def _say(self, host: Host, what: str) -> None:
        self.world.say("fault", f"{host.name} {what}")

    def _kill(self, host: Host) -> None:
        self._say(host, "kill -9")
        host.kill(reboot=False)
        self._until(self._a_while(), host.start)

    def _reboot(self, host: Host) -> None:
        self._say(host, "loses power")
        host.kill(reboot=True)
        self._until(self._a_while(), host.start)

    def _die(self, host: Host) -> None:
        alive = [other for other in self.world.hosts.values() if not other.dead]
        if len(alive) > 1 and host is not alive[0] and self.dice.random() < 0.3:
            self._say(host, "dies for good")
            host.kill(reboot=True)
            host.dead = True

    def _sleep(self, host: Host) -> None:
        self._say(host, "sleeps")
        host.sleep(on=True)
        self._until(self._a_while(), lambda: host.sleep(on=False))

    def _cut(self, host: Host) -> None:
        refuses = self.dice.random() < 0.5
        self._say(host, "is cut off")
        host.net.cut, host.net.refuses = True, refuses
        self._until(self._a_while(), lambda: self._joined(host))

    def _joined(self, host: Host) -> None:
        self._say(host, "is back on the net")
        host.net.cut = host.net.refuses = False

    def _away(self, host: Host) -> None:
        self.world.say("fault", "the hub is away")
        for other in self.world.machines():
            other.net.cut = True
        self._until(
            self._a_while(), lambda: [self._joined(one) for one in self.world.hosts.values()] and None
        )
        self._until(self._a_while(), self._people_back)

    def _people_back(self) -> None:
        for person in self.world.people:
            person.net.cut = False

    def _slow(self, host: Host) -> None:
        self._say(host, "has a slow net")
        host.net.slow = self.dice.choice((10.0, 100.0, 1000.0))
        self._until(self._a_while(), lambda: setattr(host.net, "slow", 1.0))

    def _lossy(self, host: Host) -> None:
        self._say(host, "has a bad net")
        host.net.loss, host.net.lock_loss = self.dice.choice((0.1, 0.5)), 0.1
        self._until(self._a_while(), lambda: self._sound(host))

    def _sound(self, host: Host) -> None:
        host.net.loss = host.net.lock_loss = 0.0

    def _disk(self, host: Host) -> None:
        self._say(host, "has a full disk")
        host.disk.full = True
        self._until(self._a_while(), lambda: setattr(host.disk, "full", False))

    def _engines(self, host: Host) -> None:
        broken, hung = Mood(fails=1.0, pace=0.01), Mood(hangs=0.5)
        host.mood = self.dice.choice(
            (broken, hung, Mood(lies=0.8), Mood(pace=10.0), Mood(fails=0.5), Mood(fails=1.0))
        )
        self._say(host, f"has bad engines: {host.mood}")
        self._until(self._a_while(), lambda: setattr(host, "mood", Mood(self.world.options.fails)))

    def _refuse(self, host: Host) -> None:
        self.world.say("fault", "the hub refuses pushes")
        self.world.hub.refusing = True
        self._until(self._a_while() / 4, lambda: setattr(self.world.hub, "refusing", False))

    def _rewind(self, host: Host) -> None:
        if self.dice.random() < 0.2:
            back = self.world.hub.rewind(self.dice.randrange(1, 6))
            self.world.say("fault", f"the branch is rewound by {back}")

    def _clock(self, host: Host) -> None:
        host.clock.skew = self.dice.uniform(-self.world.options.skew, self.world.options.skew)
        self._say(host, f"has a wall clock that is off by {host.clock.skew:.0f} s")

    def _stop(self, host: Host) -> None:
        runner = host.runner
        if runner:
            self._say(host, "is told to stop")
            runner.stop()
            if self.dice.random() < 0.5:
                self._until(self.dice.uniform(0.1, 20.0), runner.stop)
        self._until(self._a_while(), host.start)

    def end(self) -> None:
        """The calm: everything that is not dead works again."""
        self.over = True
        self.world.hub.refusing = False
        for machine in self.world.machines():
            machine.net.cut = machine.net.refuses = False
            machine.net.slow, machine.net.loss, machine.net.lock_loss = 1.0, 0.0, 0.0
            machine.disk.full = False
        for host in self.world.hosts.values():
            host.mood = Mood(fails=0.0)
            host.clock.skew = 0.0
            host.sleep(on=False)
            host.start()
