"""The protocol model holds its laws, and each of its mutants breaks the law that it should."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from tests.model.search import FULL, MODEL, SHORT, Search, absent, build, declared, laws, mutants, run

needs_spin = pytest.mark.skipif(bool(absent()), reason=f"needs {absent()}")


@needs_spin
@pytest.mark.parametrize("search", SHORT, ids=lambda search: search.name)
def test_the_model_holds_its_laws_and_each_mutant_breaks_its_own(search: Search, tmp_path: Path) -> None:
    pan = build(search, tmp_path / "search")
    found = run(pan, search)
    assert found.law == ""
    assert found.states > 10_000
    mine = [mutant for mutant in declared() if mutant.search == search.name]
    broken = {mutant.name: run(pan, search, mutant.number).law for mutant in mine}
    assert broken == {mutant.name: mutant.law for mutant in mine}


@needs_spin
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(os.environ.get("AQ_FULL") != "1", reason="full size runs with AQ_FULL=1")
@pytest.mark.parametrize("search", FULL, ids=lambda search: search.name)
def test_the_full_searches_find_no_broken_law(search: Search, tmp_path: Path) -> None:
    found = run(build(search, tmp_path / "search"), search, hash_bits=26)
    assert found.law == ""
    assert found.states > 1_000_000


def test_every_law_is_broken_by_a_mutant_and_every_mutant_has_a_search() -> None:
    assert len(mutants()) >= 12
    assert len({mutant.number for mutant in declared()}) == len(declared())
    assert {mutant.law for mutant in declared()} == set(laws())
    assert {mutant.search for mutant in declared()} == {search.name for search in SHORT}


def test_every_mutant_changes_the_model() -> None:
    text = MODEL.read_text("utf-8")
    unused = [one.name for one in declared() if not re.search(rf"(mutant [!=]= |sight\(){one.name}\b", text)]
    assert unused == []


def test_the_model_has_the_stages_of_the_code() -> None:
    named = re.findall(r"^#define ([A-Z]+) (\d+)$", MODEL.read_text("utf-8"), re.MULTILINE)
    bits = {name: int(value) for name, value in named}
    stages = [stage.name.removesuffix("_LETTER") for stage in Stage]
    assert [bits.get(stage) for stage in stages] == [1 << n for n in range(len(stages))]
