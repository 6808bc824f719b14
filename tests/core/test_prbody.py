"""The text of a pull request."""

from __future__ import annotations

from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.prbody import pr_body
from aq.core.record import CheckResult, Record, Run, Verdict
from aq.core.value import replace
from tests.support.builders import NOW, job

FIRST = Run(1, "ada", "n1", "claude", NOW, 1, ended=NOW, usd=0.5, tokens=1000, model="m-1")
LAST = Run(2, "bob", "n2", "claude", NOW, 2, ended=NOW, usd=0.25, model="m-1")
CHECK = Run(3, "bob", "n3", "claude", NOW, 2, ended=NOW, usd=9, verify_only=True)
CHECKS = (CheckResult("pytest -q", True, "12 passed"), CheckResult("ruff\ncheck", False))


def shipped(*runs: Run, verdict: Verdict | None = None, **keys: object) -> Job:
    record = Record(queued=NOW, epoch=3, branch="aq/fix/2", tip="c0ffee", runs=runs, verdict=verdict)
    return job("fix", Stage.SHIPPED, record=record, **keys)


def test_it_has_the_summary_the_checks_the_cost_and_the_trailers() -> None:
    found = shipped(FIRST, LAST, CHECK, verdict=Verdict(3, "passed", NOW, "bob", CHECKS), tracker_item="T-1")
    assert pr_body(found, "Did it.\n\nAnd this.\n") == (
        "Did it.\n\nAnd this.\n\n"
        "## Checks: passed\n\n- passed: `pytest -q`: 12 passed\n- FAILED: `ruff check`\n\n"
        "## Cost\n\n0.75 usd, 1000 tokens, in 2 runs of claude m-1\n\n"
        "Aq-Job: fix\nAq-Epoch: 3\nAq-Branch: aq/fix/2\nAq-Tip: c0ffee\nAq-Item: T-1\n"
    )


def test_what_is_unknown_is_said_to_be() -> None:
    made = pr_body(shipped(replace(FIRST, usd=None, tokens=None, model="")), "")
    assert made.startswith("## Checks\n\nNone were asked for.\n\n")
    assert "an unknown cost, unknown tokens, in 1 run of claude\n" in made
    assert "in 0 runs\n" in pr_body(shipped(verdict=Verdict(3, "none", NOW, "bob")), "")


def test_what_a_person_should_look_at_is_there() -> None:
    work = replace(LAST, outside=("a\nb",), warnings=("c:1 looks odd",))
    made = pr_body(shipped(work, CHECK), "")
    assert "## Outside the job's scope\n\n- `a b`\n" in made
    assert "## Worth a look\n\n- c:1 looks odd\n" in made
