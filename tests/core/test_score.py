"""How well a host suits a job: each term has its reason, and the fast sum is the told one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aq.core.fleet import Beat
from aq.core.instants import later
from aq.core.job import Job
from aq.core.manifest import Priority
from aq.core.planning.recent import Past, Recent
from aq.core.planning.score import WEIGHTS, Score, Scorer, Term, feature_asked, feature_offered
from aq.core.record import Record, Run
from tests.support.builders import NOW, OFFERS, SHELL, beat, job

ENGINES = {**SHELL, "claude": "agentic-coder"}


def fleet(**offers: set[str]) -> dict[str, Beat]:
    return {
        name: beat(name, slots=4, offers=OFFERS | more | {f"host:{name}"}, engines=ENGINES)
        for name, more in offers.items()
    }


def scorer(live: dict[str, Beat], **more: Any) -> Scorer:
    return Scorer(live, Recent(**more), {}, NOW)


def terms(of: Scorer, one: Job, host: str, free: int = 4) -> dict[str, str]:
    found: dict[str, str] = {}
    for term in of.score(one, host, free).terms:
        found[term.name] = f"{found[term.name]}, {term}" if term.name in found else str(term)
    return found


def retried(outcome: str, host: str = "m1", *, ended: bool = True, **keys: Any) -> Job:
    run = Run(1, host, "n", "shell", NOW, 1, outcome=outcome, ended=NOW if ended else None)
    return job("a", record=Record(epoch=1, queued=NOW, runs=(run,)), **keys)


def test_a_host_about_which_nothing_is_known_has_load_and_health() -> None:
    assert terms(scorer(fleet(m1=set())), job("a"), "m1", 3) == {
        "load": "load +0.75 (1 of 4 slots in use)",
        "health": "health +1.00 (no run broke off lately)",
    }


def test_more_leases_than_slots_is_a_full_host() -> None:
    found = scorer({"m1": beat("m1", slots=0)})
    assert terms(found, job("a"), "m1", 0)["load"] == "load +0.00 (0 of 0 slots in use)"


@pytest.mark.parametrize(
    ("prefers", "said"),
    [
        (("host:m1",), "affinity +1.00 (prefers host:m1)"),
        (("host:m1", "gpu"), "affinity +0.50 (prefers host:m1)"),
        (("gpu",), "affinity +0.00 (not what it prefers: gpu)"),
    ],
    ids=["all of it", "half of it", "none of it"],
)
def test_what_the_job_prefers_counts_by_its_share(prefers: tuple[str, ...], said: str) -> None:
    assert terms(scorer(fleet(m1=set(), m2=set())), job("a", prefers=prefers), "m1")["affinity"] == said


def test_a_host_that_worked_in_the_repository_lately_is_warm() -> None:
    found = scorer(fleet(m1=set(), m2=set()), hosts={"m1": Past(places=frozenset({"repo:billing"}))})
    here = job("a", repo="billing")
    assert terms(found, here, "m1")["affinity"] == "affinity +0.75 (worked in repo:billing lately)"
    assert "affinity" not in terms(found, here, "m2")
    assert "affinity" not in terms(found, job("b"), "m1")


def test_the_cheaper_engine_is_the_better_one_and_an_unknown_price_is_no_term() -> None:
    found = scorer(fleet(m1=set()), costs={"shell": 1.0, "claude": 4.0, "free": 0.0})
    assert terms(found, job("a"), "m1")["cost"] == "cost +0.38 (shell cost 1.00 usd a run lately)"
    assert terms(found, job("a", engine="claude"), "m1")["cost"].startswith("cost +0.00")
    assert "cost" not in terms(scorer(fleet(m1=set()), costs={"codex": 1.0}), job("a"), "m1")
    assert "cost" not in terms(scorer(fleet(m1=set()), costs={"shell": 0.0}), job("a"), "m1")


def test_runs_that_broke_off_speak_against_a_host() -> None:
    found = scorer(fleet(m1=set()), hosts={"m1": Past(ended=4, bad=3)})
    assert terms(found, job("a"), "m1")["health"] == "health +0.50 (3 of its last 4 runs broke off)"


def test_the_host_that_started_less_lately_is_owed_a_job() -> None:
    found = scorer(fleet(m1=set(), m2=set()), hosts={"m1": Past(starts=8), "m2": Past(starts=2)})
    assert terms(found, job("a"), "m1")["starvation"] == "starvation +0.00 (8 starts within the last hour)"
    assert terms(found, job("a"), "m2")["starvation"] == "starvation +0.38 (2 starts within the last hour)"


def test_a_host_whose_special_things_the_job_does_not_need_is_kept_free() -> None:
    special = {"gpu", "xcode=16", "docker=27", "has:licence"}
    found = scorer(fleet(m1=special, m2=set(), m3=set()))
    assert terms(found, job("a"), "m1")["fit"] == "fit +0.00 (does not need its docker, gpu, licence …)"
    assert terms(found, job("a"), "m2")["fit"] == "fit +0.50 (has nothing it does not need)"
    asks = job("a", capabilities=("has:docker", "gpu", "xcode>=15"))
    assert terms(found, asks, "m1")["fit"] == "fit +0.38 (does not need its licence)"


def test_what_half_of_the_hosts_have_is_not_special() -> None:
    assert "fit" not in terms(scorer(fleet(m1={"gpu"}, m2=set())), job("a"), "m1")


@pytest.mark.parametrize(
    ("offer", "feature"),
    [("docker=27.1", "docker"), ("has:docker", "docker"), ("os:linux", "os:linux"), ("gpu", "gpu")],
)
def test_an_offer_and_a_requirement_meet_in_a_feature(offer: str, feature: str) -> None:
    assert feature_offered(offer) == feature
    assert feature_asked(offer) == feature


@pytest.mark.parametrize("outcome", ["crash", "released", "lost", "verify_failed"])
def test_a_job_is_rather_tried_where_it_did_not_fail(outcome: str) -> None:
    found = scorer(fleet(m1=set(), m2=set()))
    said = terms(found, retried(outcome), "m1")["health"]
    assert said.endswith(f"health -1.00 (its attempt 1 ended here: {outcome})")
    assert "its attempt" not in terms(found, retried(outcome), "m2")["health"]


@pytest.mark.parametrize("outcome", ["passed", "none", "preempted", "cancelled"])
def test_a_run_that_did_not_fail_is_nothing_against_a_host(outcome: str) -> None:
    found = scorer(fleet(m1=set()))
    assert "its attempt" not in terms(found, retried(outcome), "m1")["health"]
    assert "its attempt" not in terms(found, retried("", ended=False), "m1")["health"]


def test_a_session_goes_on_where_it_is() -> None:
    found = scorer(fleet(m1=set(), m2=set()))
    assert (
        terms(found, retried("none", resume=True), "m1")["affinity"] == "affinity +1.00 (its session is here)"
    )
    assert "affinity" not in terms(found, retried("none", resume=True), "m2")


def test_a_session_that_another_host_went_on_with_is_there() -> None:
    runs = tuple(Run(n, f"m{n}", "n", "shell", NOW, n, outcome="none", ended=NOW) for n in (1, 2))
    moved = job("a", resume=True, record=Record(queued=NOW, runs=runs))
    found = scorer(fleet(m1=set(), m2=set()))
    assert ("affinity" in terms(found, moved, "m1"), "affinity" in terms(found, moved, "m2")) == (False, True)


def test_weights_of_the_queue_take_the_place_of_the_built_in_ones() -> None:
    found = Scorer(fleet(m1=set()), Recent(), {"load": 3.0, "health": 0.0}, NOW)
    assert found.score(job("a"), "m1", 4).total == 3.0
    assert set(found.weights) == set(WEIGHTS)


def test_a_score_tells_its_total_and_every_term() -> None:
    score = Score((Term("load", 0.5, 2.0, "half full"), Term("health", -1.0, 0.25, "it broke off")))
    assert str(score) == "0.75: load +1.00 (half full), health -0.25 (it broke off)"


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (job("a", record=Record()), "waits since before anybody knows"),
        (job("a", record=Record(queued=later(NOW, -300))), "waits 5m"),
        (
            job("a", priority=Priority.LOW, record=Record(queued=later(NOW, -7200))),
            "waits 2h, as urgent as high by now",
        ),
    ],
    ids=["no time", "a while", "long"],
)
def test_it_is_told_how_long_a_job_waits(one: Job, said: str) -> None:
    assert scorer(fleet(m1=set())).waited(one) == said


@given(
    st.integers(0, 4),
    st.sampled_from(["", "crash", "none"]),
    st.booleans(),
    st.sampled_from(["", "billing"]),
    st.sampled_from([(), ("gpu",), ("host:m1", "gpu")]),
)
def test_the_fast_sum_is_the_told_total(
    free: int, outcome: str, resume: bool, repo: str, prefers: tuple[str, ...]
) -> None:
    found = scorer(
        fleet(m1={"gpu"}, m2=set(), m3=set()),
        hosts={"m1": Past(3, 1, 2, frozenset({"repo:billing"}))},
        costs={"shell": 0.3, "claude": 0.7},
    )
    keys: dict[str, Any] = {"resume": resume, "repo": repo, "prefers": prefers}
    one = retried(outcome, **keys) if outcome else job("a", **keys)
    for host in ("m1", "m2"):
        assert found.fast(one, host, free) == pytest.approx(found.score(one, host, free).total, abs=2e-6)
