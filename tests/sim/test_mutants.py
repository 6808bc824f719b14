"""The laws can be broken: each fault that is put into the protocol on purpose is found. By default some are
looked for, from the seed before the one that the docs name; with AQ_FULL=1 all of them, from the first."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.sim.mutants import MUTANTS, SEEDS, hunt, mutated
from tests.sim.options import Options
from tests.sim.world import run

FULL = os.environ.get("AQ_FULL") == "1"
DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
ROW = re.compile(
    r"^\| `(?P<name>[a-z-]+)` \| (?P<what>[^|]+) \| (?P<seeds>\d+) \| (?P<law>[^|]+) \|$", re.MULTILINE
)
ROWS = {match["name"]: match for match in ROW.finditer(DOCUMENT.read_text("utf-8"))}
SAMPLE = (
    "early-reclaim",
    "replayed-diff",
    "nothing-reserved",
    "lock-ignored",
    "free-return",
    "rewind-believed",
    "never-reclaims",
)


@pytest.mark.parametrize("name", MUTANTS if FULL else SAMPLE)
def test_a_fault_in_the_protocol_is_found(name: str) -> None:
    first = 1 if FULL else int(ROWS[name]["seeds"])
    seeds, outcome = hunt(name, first, SEEDS if FULL else 2)
    assert outcome, f"{name} is not found in {seeds} seeds from {first}"
    assert outcome.law == ROWS[name]["law"]
    assert not run(outcome.options).law, "the same run of the sound protocol"


@pytest.mark.parametrize("name", MUTANTS)
def test_each_fault_fits_into_the_protocol_as_it_is_now(name: str) -> None:
    with mutated(name):
        run(Options.of(3, steps=300))


def test_the_document_names_each_fault_and_says_what_it_is() -> None:
    assert {name: row["what"] for name, row in ROWS.items()} == {
        name: what for name, (what, _) in MUTANTS.items()
    }
    assert all(int(row["seeds"]) <= SEEDS for row in ROWS.values())


def test_a_fault_is_gone_with_its_context() -> None:
    options = Options.of(1, steps=400)
    sound = run(options)
    with mutated("same-epoch"):
        assert run(options).law == "I4"
    assert run(options).digest == sound.digest
