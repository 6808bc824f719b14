"""Deliberate faults in the protocol, one at a time: the simulator must find each, and
`python -m tests.sim.mutants` says by what and how soon."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from aq.core.operations import Land
from aq.core.operations.holding import _Taking
from aq.ledger.pusher import Pusher, Stack
from aq.ledger.remote import PushSpec
from aq.ledger.rewinds import Rewinds
from aq.runner.runner import Runner
from aq.runner.state import State
from aq.runner.watch import Watch
from tests.sim import faulty
from tests.sim.hub import Hub
from tests.sim.options import Options
from tests.sim.world import Outcome, run

SEEDS = 200
STEPS = 2500
_HOLDING, _ELIGIBLE = "aq.core.operations.holding", "aq.core.planning.eligible"


# What is wrong, and the patches that make it so. Made anew for each use: some wrap what is there.
MUTANTS: dict[str, tuple[str, Callable[[], Any]]] = {
    "no-fence": (
        "a landing does not compare its lease with the tip's",
        lambda: (
            patch(f"{_HOLDING}.held", faulty.held_by_anyone),
            patch("aq.core.operations.landing.held", faulty.held_by_anyone),
        ),
    ),
    "forced-push": (
        "the branch is pushed without compare-and-swap",
        lambda: patch.object(Hub, "_main", faulty.forced),
    ),
    "wall-clock-expiry": (
        "a beat's own time is compared with the wall clock",
        lambda: patch("aq.runner.decide._reclaims", faulty.by_wall_clock),
    ),
    "unobserved-silence": (
        "time without a fetch counts as silence",
        lambda: (faulty.clocked(), patch.object(Watch, "lapses", faulty.by_time_alone)),
    ),
    "early-reclaim": (
        "half a TTL of silence is enough",
        lambda: patch("aq.runner.watch.lapsed", lambda e, ttl, grace: e.last - e.since > ttl / 2),
    ),
    "replayed-diff": (
        "a lost race pushes the old decision again",
        lambda: patch.object(Pusher, "_build", faulty.replayed),
    ),
    "asked-on-the-base": (
        "stacked operations do not see each other",
        lambda: patch.object(Pusher, "_build", faulty.asked_on_the_base),
    ),
    "unknown-is-landed": (
        "a push without an answer counts as landed",
        lambda: patch.object(Pusher, "_push", faulty.takes_unknown_for_landed(Pusher._push)),
    ),
    "charged-at-landing": (
        "an attempt is charged when it lands",
        lambda: (faulty.claims(attempts=lambda record: record.attempts), faulty.charged_at_landing()),
    ),
    "same-epoch": (
        "a claim does not raise the epoch",
        lambda: faulty.claims(epoch=lambda old: old.epoch),
    ),
    "constant-nonce": ("all claims have one nonce", faulty.constant_nonce),
    "claim-without-beat": (
        "a claim needs no confirmed beat",
        lambda: patch("aq.runner.decide.may_claim", faulty.every_beat_confirms(lambda _: True)),
    ),
    "stop-seen-by-the-plan-only": (
        "the claim does not look at PAUSED on its tip",
        lambda: patch(f"{_HOLDING}.fleet_blockers", faulty.no),
    ),
    "nothing-reserved": (
        "a claim sets no money aside",
        lambda: (
            patch(f"{_HOLDING}.reservation", lambda *_: 0.0),
            patch("aq.core.planning.plan.reservation", lambda *_: 0.0),
            patch(f"{_ELIGIBLE}.reservation", lambda *_: 0.0),
        ),
    ),
    "budget-seen-by-the-plan-only": (
        "the claim does not look at the day's money on its tip",
        lambda: patch(f"{_HOLDING}.budget_blockers", faulty.no),
    ),
    "spend-not-settled": (
        "what was set aside is not given back",
        lambda: (
            patch(f"{_HOLDING}.returned_spend", lambda *_: {}),
            patch("aq.core.operations.landing.returned_spend", lambda *_: {}),
        ),
    ),
    "lock-ignored": ("locks are ignored", lambda: patch(f"{_ELIGIBLE}.lock_holder", lambda *_: "")),
    "deps-ignored": ("dependencies are ignored", lambda: patch(f"{_ELIGIBLE}.dep_blockers", faulty.no)),
    "slots-ignored": (
        "slots are ignored",
        lambda: (
            patch.object(_Taking, "full", lambda *_: None),
            patch.object(State, "slots_free", lambda _: 9),
            patch("aq.core.planning.plan.free_slots", lambda _, hosts: dict.fromkeys(hosts, 9)),
        ),
    ),
    "unpushed-lands": (
        "a landing may name work that is not on its remote",
        lambda: patch.object(Land, "decide", faulty.land_anything(Land.decide)),
    ),
    "free-return": (
        "a release or a reclaim charges nothing",
        lambda: patch(f"{_HOLDING}._given_back", faulty.free_return),
    ),
    "never-reclaims": (
        "a dead host's lease is never taken back",
        lambda: patch.object(Watch, "lapses", lambda *_: {}),
    ),
    "no-patience": (
        "a chosen host that stays silent keeps its turn",
        lambda: patch("aq.runner.decide.remember", faulty.without_patience),
    ),
    "zombies-run-on": (
        "a host does not see that it was fenced",
        lambda: patch.object(Runner, "_fetched", faulty.deaf(Runner._fetched)),
    ),
    "ancestor-is-enough": (
        "a push is taken on an ancestor of its base",
        lambda: patch.object(Stack, "spec", lambda self, head: PushSpec(self.tip, head)),
    ),
    "rewind-believed": (
        "a rewound branch is believed",
        lambda: patch.object(Rewinds, "goes_on", lambda *_: True),
    ),
}


# Where a fault shows only after much of the same, the seeds play more of it.
_RACES: dict[str, Any] = {
    "hosts": 4,
    "people": 3,
    "cadence": "tight",
    "pace": 2.0,
    "engine": 4.0,
    "faults": ("slow",),
    "fault": 5.0,
}
GIVEN: dict[str, dict[str, Any]] = {
    "no-fence": {"hosts": 3, "cadence": "tight", "engine": 20.0, "faults": ("cut",), "fault": 15.0},
    "never-reclaims": {"hosts": 3, "cadence": "tight", "engine": 60.0, "faults": ("die",), "fault": 30.0},
    "zombies-run-on": {"cadence": "tight", "engine": 300.0, "pace": 4.0, "faults": ()},
    "ancestor-is-enough": {**_RACES, "faults": ("slow", "rewind")},
    "unobserved-silence": {
        "hosts": 3,
        "cadence": "forge",
        "engine": 400.0,
        "pace": 50.0,
        "faults": ("reboot", "sleep", "cut"),
        "fault": 300.0,
    },
    "no-patience": {
        "hosts": 4,
        "cadence": "lan",
        "engine": 60.0,
        "pace": 6.0,
        "faults": ("die",),
        "fault": 60.0,
    },
    "stop-seen-by-the-plan-only": _RACES,
    "budget-seen-by-the-plan-only": {**_RACES, "fleet_usd": 6.0},
}


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """The product with one fault."""
    patches = MUTANTS[name][1]()
    with ExitStack() as stack:
        for each in patches if isinstance(patches, tuple) else (patches,):
            stack.enter_context(each)
        yield


def hunt(name: str, first: int = 1, seeds: int = SEEDS) -> tuple[int, Outcome | None]:
    """The run that finds a fault, and after how many seeds; None when none of them does."""
    with mutated(name):
        for seed in range(first, first + seeds):
            outcome = run(Options.of(seed, **{"steps": STEPS, **GIVEN.get(name, {})}))
            if outcome.law:
                return seed - first + 1, outcome
    return seeds, None


def main() -> int:
    """A line for each fault, for the docs."""
    names = sys.argv[1:] or list(MUTANTS)
    missed = 0
    for name in names:
        began = time.process_time()
        seeds, outcome = hunt(name)
        found = f"{outcome.law}: {outcome.what}" if outcome else "NOT FOUND"
        missed += outcome is None
        seconds = time.process_time() - began
        print(f"{name} | {seeds} seeds, {seconds:.1f} s | {found}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
