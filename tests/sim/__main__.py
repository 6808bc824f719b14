"""`python -m tests.sim`: play seeds, one after another, until one breaks a law."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from tests.sim.options import CADENCES, FAULTS, Options
from tests.sim.world import run


def _faults(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name and name != "none")
    unknown = set(names) - set(FAULTS)
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(FAULTS)}")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds to play")
    parser.add_argument("--total", type=int, default=0, help="play seeds until so many steps are done")
    parser.add_argument("--verbose", action="store_true", help="one line for each seed")
    parser.add_argument("--digest", action="store_true", help="what tells one run from another")
    parser.add_argument("--steps", type=int, help="steps with faults for each seed")
    for name in ("hosts", "people", "wip"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("engine", "pace", "fault", "drift", "skew", "fails", "fleet-usd"):
        parser.add_argument(f"--{name}", type=float)
    parser.add_argument("--cadence", choices=sorted(CADENCES))
    parser.add_argument("--faults", type=_faults, help="names with commas between them, or none")
    return parser


_ABOUT_ALL = ("seed", "seeds", "total", "verbose", "digest")


def options_of(words: list[str]) -> Options:
    """The run that a command line asks for."""
    given = vars(_parser().parse_args(words))
    return Options.of(given["seed"], **{name: given[name] for name in given if name not in _ABOUT_ALL})


def main() -> int:
    """Play; 1 when a law was broken."""
    asked = _parser().parse_args()
    given: dict[str, Any] = {name: value for name, value in vars(asked).items() if name not in _ABOUT_ALL}
    began, steps, commits, seed = time.process_time(), 0, 0, asked.seed
    print(
        f"seeds from {asked.seed}", {name: value for name, value in given.items() if value is not None} or ""
    )
    while seed < asked.seed + asked.seeds or steps < asked.total:
        options = Options.of(seed, **given)
        outcome = run(options)
        steps, commits = steps + outcome.steps, commits + outcome.commits
        if asked.digest:
            print(outcome.digest)
        if asked.verbose:
            print(f"{options.command}: {outcome.steps} steps, {outcome.commits} commits, {outcome.faults}")
        if outcome.law:
            print("\n".join(outcome.trace))
            print(f"BROKEN {outcome.law}: {outcome.what}\n{options}\n{options.command}")
            return 1
        seed += 1
    seconds = time.process_time() - began
    print(
        f"{seed - asked.seed} seeds, {steps} steps, {commits} commits in {seconds:.1f} s of one core: "
        f"{steps / seconds:.0f} steps/s, {commits / seconds:.0f} commits/s, no law broken"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
