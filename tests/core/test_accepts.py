"""What a host takes: every list that is given must be fitted."""

from __future__ import annotations

import pytest

from aq.core.accepts import EVERYTHING, Accepts
from aq.core.manifest import Priority
from tests.support.builders import manifest


@pytest.mark.parametrize(
    ("accepts", "keys", "clauses"),
    [
        pytest.param(EVERYTHING, {}, [], id="a host without lists takes everything"),
        pytest.param(Accepts(products=("a", "b")), {"product": "b"}, [], id="one of its products"),
        pytest.param(
            Accepts(products=("a", "b")), {}, ["accepts only products a, b"], id="no product is another one"
        ),
        pytest.param(Accepts(labels=("ui",)), {"labels": ("big", "ui")}, [], id="one label is enough"),
        pytest.param(Accepts(labels=("ui",)), {}, ["accepts only labels ui"], id="a label must be there"),
        pytest.param(
            Accepts(priorities=("high",), repos=("x",)),
            {"priority": Priority.LOW, "repo": "y"},
            ["accepts only priorities high", "accepts only repos x"],
            id="each list that is not fitted is a clause",
        ),
        pytest.param(
            Accepts(priorities=("high",), repos=("x",)),
            {"priority": Priority.HIGH, "repo": "x"},
            [],
            id="all lists fitted",
        ),
    ],
)
def test_a_job_must_fit_every_list(accepts: Accepts, keys: dict[str, object], clauses: list[str]) -> None:
    assert accepts.blockers(manifest(**keys)) == clauses
    assert accepts.given is (accepts != EVERYTHING)
