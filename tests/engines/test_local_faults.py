"""Each fault of a model server has its class, and what may pass is waited for."""

from __future__ import annotations

import pytest

from aq.core.engine.classify import classify
from tests.engines.local_bench import DONE, WRITE, Bench, Serve, failure
from tests.engines.scripted import Json, Refusal
from tests.engines.stub import Stub

FAULTS = {
    "401": ("401", "auth", 1),
    "402": ("402", "quota", 1),
    "429 always": ("429", "rate_limit", 4),
    "429 for an hour": ("429::3600", "rate_limit", 1),
    "500": ("500", "overloaded", 4),
    "529": ("529", "overloaded", 4),
    "context overflow": ("context", "context", 2),
    "a dropped connection": ("drop", "network", 4),
    "an answer that breaks off": ("cut", "network", 4),
}


@pytest.mark.parametrize(("fault", "failed", "requests"), FAULTS.values(), ids=FAULTS)
def test_each_fault_of_the_server_has_its_class(
    bench: Bench, stub: Stub, fault: str, failed: str, requests: int
) -> None:
    stub.fail(fault)
    report = bench.play(f"{stub.url}/v1")
    assert report.finished is False
    assert failure(report, changed=False) == failed
    assert len(stub.asked) == requests
    assert len(bench.waits) == len(bench.said("retry"))


def test_a_server_that_recovers_is_asked_again_after_the_time_it_names(bench: Bench, stub: Stub) -> None:
    stub.fail("429:2:7")
    report = bench.play(f"{stub.url}/v1")
    assert failure(report) == ""
    assert bench.waits == [7.0, 7.0]
    assert [(line["status"], line["delay"], line["attempt"]) for line in bench.said("retry")] == [
        (429, 7.0, 1),
        (429, 7.0, 2),
    ]


def test_when_a_limit_resets_is_told(bench: Bench, stub: Stub) -> None:
    stub.fail("429::3600")
    verdict = classify(bench.play(f"{stub.url}/v1"), changed=False, engine="local")
    assert (verdict.failure, verdict.reset) == ("rate_limit", 3600.0)


def test_a_server_that_loads_its_model_is_waited_for(bench: Bench, model: Serve) -> None:
    loading = Refusal(503, {"error": {"message": "Loading model", "type": "unavailable_error"}})
    server = model(*[loading] * 20, WRITE, DONE)
    assert failure(bench.play(server.url)) == ""
    assert len(bench.waits) == 20


def test_a_server_that_is_not_there_is_a_failure_of_the_network(bench: Bench) -> None:
    assert failure(bench.play("http://127.0.0.1:9/v1"), changed=False) == "network"


@pytest.mark.parametrize("words", [{"error": "model not found"}, {"message": "model not found", "code": 404}])
def test_whatever_shape_an_error_has_its_words_are_told(bench: Bench, model: Serve, words: Json) -> None:
    report = bench.play(model(Refusal(404, words)).url)
    assert report.faults[0].words == "model not found"
    assert failure(report, changed=False) == "agent"


def test_the_key_goes_with_every_question(bench: Bench, model: Serve) -> None:
    server = model(WRITE, DONE)
    bench.play(server.url, key="made-up" + "-key")
    assert {headers.get("authorization") for headers in server.headers} == {"Bearer made-up" + "-key"}
