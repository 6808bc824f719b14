"""What the fleet did lately, from the records: bounded, and the same in whatever order they are seen."""

from __future__ import annotations

import pytest

from aq.core.engine.usage import MOST
from aq.core.errors import AqError
from aq.core.instants import later
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.planning.recent import FAIR_WINDOW, MAX_JOBS, WINDOW, Past, Recent, look_back, place_of
from aq.core.record import MAX_ROUNDS, Record, Round, Run
from aq.core.value import replace
from tests.support.builders import NOW, job, snapshot


def ran(
    name: str, host: str, outcome: str, ago: float = 60.0, stage: Stage = Stage.TESTING, **more: object
) -> Job:
    """A job that ran once."""
    keys = {key: more.pop(key) for key in ("product", "repo", "cwd") if key in more}
    run = Run(1, host, "n", "claude", later(NOW, -ago), 1, outcome=outcome, **more)  # type: ignore[arg-type]
    return job(name, stage, record=Record(epoch=1, since=later(NOW, -ago), runs=(run,)), **keys)


def test_a_host_s_past_has_what_ended_what_broke_off_and_where_it_worked() -> None:
    seen = snapshot(
        [
            ran("a", "m1", "passed", repo="billing", product="shop"),
            ran("b", "m1", "lost", stage=Stage.FAILED, cwd="/srv"),
            ran("c", "m1", "", stage=Stage.BUILDING),
            ran("d", "m1", "cancelled", FAIR_WINDOW + 1, product="old"),
            ran("e", "m2", "crash", stage=Stage.DEAD_LETTER, usd=2.0),
            ran("f", "m2", "passed", usd=1.0),
        ]
    )
    recent = look_back(seen, [], NOW)
    assert recent.of("m1") == Past(2, 1, 3, frozenset({"repo:billing", "/srv"}))
    assert recent.of("m2") == Past(2, 1, 2)
    assert recent.of("m3") == Past()
    assert recent.products == {"shop": 1, "": 4}
    assert recent.costs == {"claude": 1.5}


def test_what_is_older_than_the_window_and_what_only_verified_is_left_out() -> None:
    old, verify = ran("a", "m1", "passed", WINDOW + 60), ran("b", "m1", "passed", verify_only=True)
    no_time = replace(ran("c", "m1", "passed"), record=replace(ran("c", "m1", "passed").record, since=None))
    assert look_back(snapshot([old, verify, no_time]), [], NOW) == Recent()


def test_an_old_run_of_a_job_that_moved_lately_is_left_out() -> None:
    moved = ran("a", "m1", "passed", WINDOW + 60)
    assert look_back(snapshot([replace(moved, record=replace(moved.record, since=NOW))]), [], NOW) == Recent()


def test_the_runs_of_waiting_jobs_count() -> None:
    again = ran("a", "m1", "released", stage=Stage.INBOX)
    assert look_back(snapshot([again]), [again, job("b")], NOW).of("m1") == Past(1, 1, 1)


def test_the_look_is_bounded_to_the_newest() -> None:
    many = [ran(f"j{n}", "m1", "passed", 10.0) for n in range(MAX_JOBS)]
    older = [ran(f"o{n}", "m2", "passed", 20.0) for n in range(5)]
    recent = look_back(snapshot(older + many), [], NOW)
    assert (recent.of("m1").ended, recent.of("m2").ended) == (MAX_JOBS, 0)


@pytest.mark.parametrize(
    ("keys", "place"),
    [({"repo": "x"}, "repo:x"), ({"cwd": "/srv"}, "/srv"), ({}, "")],
    ids=["a repository", "a folder", "nowhere"],
)
def test_a_job_works_in_a_place(keys: dict[str, str], place: str) -> None:
    assert place_of(job("a", **keys)) == place


def test_a_job_that_was_changed_by_hand_in_an_illegal_way_says_nothing() -> None:
    odd = replace(ran("a", "m1", "passed", usd=5.0), problem="changed by hand")
    again = replace(ran("b", "m1", "released", stage=Stage.INBOX), problem="changed by hand")
    assert look_back(snapshot([odd, again]), [again], NOW) == Recent()


@pytest.mark.parametrize("usd", [1.7e308, -0.01, float("inf"), float("nan")])
def test_an_amount_that_cannot_be_added_up_is_none_of_a_record(usd: float) -> None:
    with pytest.raises(AqError, match="is not an amount in usd"):
        ran("a", "m1", "passed", usd=usd)
    with pytest.raises(AqError, match="is not an amount in usd"):
        ran("a", "m1", "passed", reserved=usd)
    with pytest.raises(AqError, match="is not an amount in usd"):
        Round(1, usd=usd)


def test_what_engines_may_report_at_most_can_be_written_and_added_up() -> None:
    many = [ran(f"j{n}", "m1", "passed", usd=float(MAX_ROUNDS * MOST)) for n in range(9)]
    assert look_back(snapshot(many), [], NOW).costs == {"claude": MAX_ROUNDS * MOST}
