"""What every value is: immutable, equal to its like, and plain data when JSON asks for it."""

from __future__ import annotations

import json

import pytest

from aq.core.errors import AqError
from aq.core.lease import Fence, Lease
from aq.core.lifecycle import Stage
from aq.core.record import CheckResult, Record, Suite, Verdict
from aq.core.value import Value, as_dict, names, replace
from tests.support.builders import NOW


class _Like(Value):
    job: str
    host: str
    epoch: int
    nonce: str


def test_a_value_cannot_be_changed_and_its_copy_can_differ() -> None:
    fence = Fence("a", "ada", 1, "n")
    with pytest.raises(AttributeError):
        fence.epoch = 2  # type: ignore[misc]
    assert (replace(fence, epoch=2).epoch, fence.epoch) == (2, 1)


def test_what_a_value_must_be_a_copy_must_be_too() -> None:
    lease = Lease("a", "ada", "boot", "n", 1, 1, "shell", 60, NOW)
    with pytest.raises(AqError):
        replace(lease, ttl=float("nan"))


def test_a_value_is_equal_to_one_of_its_class_only() -> None:
    assert Fence("a", "ada", 1, "n") == Fence("a", "ada", 1, "n")
    assert hash(Fence("a", "ada", 1, "n")) == hash(Fence("a", "ada", 1, "n"))
    other: Value = _Like("a", "ada", 1, "n")
    assert Fence("a", "ada", 1, "n") != other


def test_all_of_a_value_becomes_json() -> None:
    verdict = Verdict(
        1, "failed", NOW, "ada", checks=(CheckResult("pytest", passed=False, suite=Suite(2, 1)),)
    )
    data = as_dict(Record(stage=Stage.TESTING, verdict=verdict))
    assert set(data) == set(names(Record))
    again = json.loads(json.dumps(data))
    assert again["stage"] == "testing"
    assert again["verdict"]["checks"][0]["suite"] == {"total": 2, "failed": 1, "skipped": 0, "names": []}
