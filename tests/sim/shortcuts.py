"""Pure functions of the product, remembered: the same question gets the answer that the function itself gave.
Nothing is decided here; a sample of the answers is asked for again and compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from aq.core import instants
from aq.core.fleet import Beat
from aq.core.operations import Claim, VerifyClaim
from aq.runner.presence import compose
from aq.runner.state import State

if TYPE_CHECKING:
    from tests.sim.world import World

# One answer in so many is asked for again.
SAMPLE = 50


class Shortcuts:
    """What was saved by remembering."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.saved = 0
        self._beats: dict[str, tuple[Any, Beat]] = {}

    def _sampled(self) -> bool:
        self.saved += 1
        return self.saved % SAMPLE == 0

    def compose(self, runner: State) -> Beat:
        """The beat of a host of which nothing changed within this second."""
        state = (
            runner.clock.now(),
            runner.ledger.tip,
            runner.me.incarnation,
            [(fence, held.fenced) for fence, held in runner.held.items()],
            [op.op_id for op in runner.pending.values() if isinstance(op, (Claim, VerifyClaim))],
            (runner.draining, runner.stopping, runner.breaker),
            runner.breaker.until and runner.clock.boottime(),
            list(runner.refuses.items()),
            list(runner.cooling.items()),
        )
        known = self._beats.get(runner.me.host)
        if known and known[0] == state:
            if self._sampled() and compose(runner) != known[1]:
                self.world.laws.broken("simulator", f"the beat of {runner.me.host} changed")
            return known[1]
        beat = compose(runner)
        self._beats[runner.me.host] = state, beat
        return beat


@contextmanager
def remembering(world: World) -> Iterator[None]:
    """The product with these shortcuts."""
    names = ("instant", "unix", "_exists")
    kept = {name: lru_cache(maxsize=4096)(getattr(instants, name)) for name in names}
    shortcuts = Shortcuts(world)
    with (
        patch.multiple(instants, **kept),
        patch("aq.runner.decide.compose", shortcuts.compose),
        patch("aq.runner.presence.compose", shortcuts.compose),
    ):
        yield
