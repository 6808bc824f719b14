"""How risky work is: by what it touches, how large it is, and what nobody could see."""

from __future__ import annotations

from typing import Any

import pytest

from aq.core.record import Changes, Record, Run
from aq.core.risk import Level, Risk, risk_now, risk_of
from aq.core.settings import RiskRules
from aq.core.value import replace
from tests.support.builders import NOW

LOW, MEDIUM, HIGH = Level
RULES = RiskRules(max_files=3, max_lines=10, high=("Billing/**",), low=("docs/**", ".github/labels.yml"))

PATHS = [
    ("src/a.py", LOW),
    ("tests/test_a.py", LOW),
    ("README.md", LOW),
    ("docs/package.json", LOW),
    (".github/labels.yml", LOW),
    ("pyproject.toml", MEDIUM),
    ("web/package-lock.json", MEDIUM),
    ("requirements.txt", MEDIUM),
    ("requirements-dev.txt", MEDIUM),
    ("requirements/base.txt", MEDIUM),
    ("go.mod", MEDIUM),
    ("Cargo.toml", MEDIUM),
    ("Gemfile", MEDIUM),
    ("pom.xml", MEDIUM),
    ("app/build.gradle.kts", MEDIUM),
    ("src/App.CsProj", MEDIUM),
    ("Dockerfile", MEDIUM),
    ("docker/Dockerfile.dev", MEDIUM),
    ("docker-compose.prod.yml", MEDIUM),
    ("Makefile", MEDIUM),
    ("app/migrations/0001_init.py", MEDIUM),
    ("db/schema.SQL", MEDIUM),
    (".github/workflows/ci.yml", HIGH),
    (".gitlab-ci.yml", HIGH),
    ("sub/AGENTS.md", HIGH),
    (".claude/settings.json", HIGH),
    ("billing/docs/a", HIGH),
    ("BILLING/a", HIGH),
]


def of(changes: Changes | None = Changes(1, 1, 0, ("src/a",)), **more: Any) -> Risk:
    facts: dict[str, Any] = {"outside": (), "warnings": (), "rules": RULES, **more}
    return risk_of(changes, **facts)


@pytest.mark.parametrize(("path", "level"), PATHS, ids=[path for path, _ in PATHS])
def test_a_path_has_its_risk_wherever_it_is(path: str, level: Level) -> None:
    for paths in ((path,), ("src/first", path), (path, "src/last")):
        found = of(Changes(1, 1, 0, paths))
        assert found.level is level
        assert (path in "".join(found.reasons)) is (level is not LOW)


SIZES = [
    (3, 10, 0, LOW, ""),
    (4, 0, 0, MEDIUM, "4 files, more than 3"),
    (15, 0, 0, MEDIUM, "15 files, more than 3"),
    (16, 0, 0, HIGH, "16 files, more than 3"),
    (1, 5, 6, MEDIUM, "11 lines, more than 10"),
    (1, 0, 51, HIGH, "51 lines, more than 10"),
]


@pytest.mark.parametrize(("files", "added", "removed", "level", "why"), SIZES)
def test_a_large_change_is_risky_and_a_far_larger_one_more(
    files: int, added: int, removed: int, level: Level, why: str
) -> None:
    assert of(Changes(files, added, removed, ("src/a",))) == Risk(level, (why,) if why else ())


FACTS: dict[str, tuple[Risk, Level, str]] = {
    "work that nobody could see": (of(None), HIGH, "nobody could tell what it changed"),
    "no change at all": (of(Changes()), LOW, ""),
    "work outside its scope": (
        of(outside=("a", "b", "c", "d")),
        HIGH,
        "outside its scope: a, b, c and 1 more",
    ),
    "paths that the record has not": (
        of(Changes(1, 1, 0, (), more=1)),
        HIGH,
        "1 changed paths are not in the record",
    ),
    "what is no text": (of(Changes(1, 0, 0, ("a",), odd=("a: a link",))), MEDIUM, "no plain text: a: a link"),
    "a warning": (of(warnings=("a:1 looks like a token",)), MEDIUM, "worth a look: a:1 looks like a token"),
}


@pytest.mark.parametrize(("found", "level", "why"), FACTS.values(), ids=FACTS)
def test_other_facts_have_their_risk(found: Risk, level: Level, why: str) -> None:
    assert found == Risk(level, (why,) if why else ())


def test_the_worst_reason_comes_first_and_none_is_left_out() -> None:
    found = of(Changes(4, 1, 0, ("go.mod", "Gemfile", ".github/x")), warnings=("look",))
    assert found == Risk(
        HIGH,
        (
            "steers agents, checks or checkouts: .github/x",
            "dependencies: go.mod, Gemfile",
            "4 files, more than 3",
            "worth a look: look",
        ),
    )
    assert str(found).startswith("high (steers agents")
    assert str(of()) == "low"


def test_the_risk_of_now_is_that_of_the_work_that_would_be_shipped() -> None:
    work = Run(1, "mac-1", "n", "shell", NOW, tip="f" * 40, changes=Changes(1, 1, 0, ("src/a",)))
    record = Record(tip="f" * 40, runs=(work,))
    assert risk_now(record, RULES).level is LOW
    later = Run(2, "mac-2", "m", "shell", NOW, verify_only=True)
    assert risk_now(replace(record, runs=(work, later)), RULES).level is LOW
    assert risk_now(record, replace(RULES, max_lines=0)).level is HIGH
    assert risk_now(replace(record, tip="e" * 40), RULES).level is HIGH
    assert risk_now(replace(record, runs=(later,)), RULES).level is HIGH
