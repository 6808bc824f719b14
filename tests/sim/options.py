"""What one run is made of. What is not given is drawn from the seed."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, fields
from typing import Any

FAULTS = (
    "kill",
    "reboot",
    "die",
    "sleep",
    "cut",
    "away",
    "slow",
    "lossy",
    "disk",
    "engines",
    "refuse",
    "rewind",
    "clock",
    "stop",
)
# poll, beat, ttl, grace, patience, push-interval
CADENCES = {
    "tight": (2.0, 10.0, 40.0, 5.0, 4.0, 0.0),
    "local": (1.0, 10.0, 120.0, 10.0, 3.0, 0.0),
    "lan": (3.0, 60.0, 300.0, 30.0, 10.0, 0.0),
    "forge": (20.0, 300.0, 1200.0, 60.0, 60.0, 10.0),
}


@dataclass(frozen=True)
class Options:
    """One run. `engine` is the mean time of an engine, `pace` that between two things that people do, `fault`
    that between two faults, all in seconds; `fails` is the share of runs that fail; `skew` is how wrong a
    wall clock may be, `drift` how much faster one clock for leases may run than another."""

    seed: int
    steps: int = 5000
    hosts: int = 3
    people: int = 2
    cadence: str = "tight"
    engine: float = 20.0
    pace: float = 10.0
    fault: float = 30.0
    drift: float = 1.4
    skew: float = 60.0
    faults: tuple[str, ...] = FAULTS
    fails: float = 0.1
    fleet_usd: float | None = None
    wip: int | None = None

    @classmethod
    def of(cls, seed: int, **given: Any) -> Options:
        """The options that a seed draws, less those that are given."""
        dice = random.Random(f"options {seed}")
        cadence = dice.choice(("tight", "tight", "local", "lan", "forge"))
        poll = CADENCES[given.get("cadence") or cadence][0]
        drawn: dict[str, Any] = {
            "cadence": cadence,
            "hosts": dice.choice((1, 2, 2, 3, 3, 4, 5)),
            "people": dice.choice((1, 2, 3)),
            "engine": poll * dice.choice((2.0, 8.0, 25.0)),
            "pace": poll * dice.choice((2.0, 6.0, 20.0)),
            "fault": poll * dice.choice((5.0, 15.0, 50.0)),
            "drift": dice.choice((1.0, 1.1, 1.4)),
            "skew": dice.choice((0.0, 60.0, 3600.0)),
            "faults": tuple(name for name in FAULTS if dice.random() < 0.6),
            "fleet_usd": dice.choice((None, None, 6.0, 40.0)),
            "wip": dice.choice((None, None, None, 2)),
        }
        return cls(seed, **{**drawn, **{name: value for name, value in given.items() if value is not None}})

    @property
    def command(self) -> str:
        """The shortest command that does the same again."""
        drawn, words = Options.of(self.seed), [f"python -m tests.sim --seed {self.seed}"]
        for field in fields(self):
            value = asdict(self)[field.name]
            if field.name != "seed" and value != getattr(drawn, field.name):
                text = ",".join(value) or "none" if isinstance(value, tuple) else value
                words.append(f"--{field.name.replace('_', '-')} {text}")
        return " ".join(words)
