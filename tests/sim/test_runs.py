"""The simulator itself: one seed is one run, what it remembers changes nothing, and no law is broken."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.sim.__main__ import options_of
from tests.sim.options import FAULTS, Options
from tests.sim.world import run

# So many steps at least: a run has those asked for, and the calm after them.
TOTAL = int(os.environ.get("AQ_SIM_STEPS") or (1_000_000 if os.environ.get("AQ_FULL") == "1" else 18_000))
STEPS = 1500 if TOTAL < 100_000 else 4000


# Seeds that found something, with the steps that they take by themselves.
FOUND = (100_570, 100_857, 300_344, 300_372)


@pytest.mark.parametrize("seed", [*range(1, TOTAL // STEPS + 1), *FOUND])
def test_no_law_is_broken(seed: int) -> None:
    options = Options.of(seed) if seed in FOUND else Options.of(seed, steps=STEPS)
    outcome = run(options)
    assert not outcome.law, "\n".join([*outcome.trace, f"{outcome.law}: {outcome.what}", options.command])
    assert outcome.commits


def test_every_fault_strikes_and_a_fleet_without_faults_breaks_no_law() -> None:
    outcome = run(Options.of(7, steps=2500, hosts=3, faults=FAULTS, fault=4.0, cadence="tight"))
    assert not outcome.law, outcome.what
    assert set(outcome.faults) == set(FAULTS)
    calm = run(Options.of(7, steps=1500, faults=()))
    assert not calm.law, calm.what
    assert calm.faults == {}


def test_one_seed_is_one_run_in_every_process() -> None:
    words = [sys.executable, "-m", "tests.sim", "--seed", "5", "--steps", "1200", "--digest"]
    runs = [
        subprocess.run(
            words, check=False, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": hashes}
        )
        for hashes in ("1", "2")
    ]
    assert runs[0].stdout.splitlines()[1] == runs[1].stdout.splitlines()[1], runs[0].stderr
    assert "no law broken" in runs[0].stdout


def test_two_seeds_are_two_runs() -> None:
    assert run(Options.of(1, steps=300)).digest != run(Options.of(2, steps=300)).digest


def test_what_is_remembered_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options.of(6, steps=1200)
    quick = run(options)

    @contextmanager
    def forgetting(_: object):
        yield

    monkeypatch.setattr("tests.sim.world.remembering", forgetting)
    slow = run(options)
    assert (slow.digest, slow.steps, slow.commits) == (quick.digest, quick.steps, quick.commits)


@pytest.mark.parametrize("given", [{}, {"hosts": 2, "faults": ("kill", "cut")}, {"faults": (), "steps": 100}])
def test_the_command_that_is_printed_does_the_same_again(given: dict[str, object]) -> None:
    options = Options.of(11, **given)
    words = shlex.split(options.command)
    assert words[:3] == ["python", "-m", "tests.sim"]
    assert options_of(words[3:]) == options
