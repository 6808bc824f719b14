"""A job gets only those variables by name that a host's owner listed."""

from __future__ import annotations

import pytest

from aq.core.planning.eligible import host_blockers
from aq.core.variables import always, withheld
from tests.support.builders import OFFERS, SHELL, manifest

OFFERED = frozenset({"cred:NPM_TOKEN"})


@pytest.mark.parametrize(
    ("names", "kept"),
    [((), 0), (("NPM_TOKEN",), 0), (("PATH", "LC_TIME"), 0), (("NPM_TOKEN", "AWS_KEY", "_X"), 2)],
)
def test_what_is_not_offered_is_withheld(names: tuple[str, ...], kept: int) -> None:
    assert len(withheld(names, OFFERED)) == kept


def test_a_host_that_does_not_offer_a_variable_is_blocked_by_name() -> None:
    asked = manifest(env=("AWS_KEY",))
    (reason,) = host_blockers(asked, OFFERS | OFFERED, SHELL)
    assert reason == "gives jobs no variable AWS_KEY (`job-env` in its host.yaml, and set there)"
    assert host_blockers(asked, OFFERS | {"cred:AWS_KEY"}, SHELL) == []
    assert not always("AWS_KEY")
