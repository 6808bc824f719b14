"""`python -m tests.sim`: play seeds, one after another, until one breaks a law."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice
from typing import Any

from tests.sim.options import CADENCES, FAULTS, Options
from tests.sim.world import Outcome, run


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
    parser.add_argument("--jobs", type=int, default=1, help="how many processes play")
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


_ABOUT_ALL = ("seed", "seeds", "total", "jobs", "verbose", "digest")


def options_of(words: list[str]) -> Options:
    """The run that a command line asks for."""
    given = vars(_parser().parse_args(words))
    return Options.of(given["seed"], **{name: given[name] for name in given if name not in _ABOUT_ALL})


def _play(seed: int, given: dict[str, Any]) -> Outcome:
    return run(Options.of(seed, **given))


def _outcomes(first: int, given: dict[str, Any], jobs: int) -> Iterator[Outcome]:
    """What becomes of one seed after another, in their order however many processes play."""
    if jobs == 1:
        yield from (_play(seed, given) for seed in count(first))
        return
    with ProcessPoolExecutor(jobs) as pool:
        playing = (pool.submit(_play, seed, given) for seed in count(first))
        ahead = deque(islice(playing, 2 * jobs))
        try:
            while True:
                yield ahead.popleft().result()
                ahead.append(next(playing))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def main() -> int:
    """Play; 1 when a law was broken."""
    asked = _parser().parse_args()
    # As `aq run` has it.
    gc.set_threshold(50_000, 20, 20)
    given: dict[str, Any] = {name: value for name, value in vars(asked).items() if name not in _ABOUT_ALL}
    given = {name: value for name, value in given.items() if value is not None}
    began, seeds, steps, commits = time.perf_counter(), 0, 0, 0
    print(f"seeds from {asked.seed}", given or "")
    for outcome in _outcomes(asked.seed, given, asked.jobs):
        seeds, steps, commits = seeds + 1, steps + outcome.steps, commits + outcome.commits
        if asked.digest:
            print(outcome.digest)
        if asked.verbose:
            played = f"{outcome.steps} steps, {outcome.commits} commits, {outcome.faults}"
            print(f"{outcome.options.command}: {played}")
        if outcome.law:
            print("\n".join(outcome.trace))
            print(f"BROKEN {outcome.law}: {outcome.what}\n{outcome.options}\n{outcome.options.command}")
            return 1
        if seeds >= asked.seeds and steps >= asked.total:
            break
    seconds = time.perf_counter() - began
    print(
        f"{seeds} seeds, {steps} steps, {commits} commits in {seconds:.1f} s with {asked.jobs} process(es): "
        f"{steps / seconds:.0f} steps/s, {commits / seconds:.0f} commits/s, no law broken"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
