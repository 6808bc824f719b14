"""The support itself works."""

from tests.support.fleet import Fleet, add, claim_of, landed, perform


def test_a_job_is_added_and_claimed(fleet: Fleet) -> None:
    ledger = fleet.you.ledger()
    landed(add(ledger, "one"))
    landed(perform(ledger, claim_of("one", "ada")))
    assert fleet.events()[-2:] == ["add one", "claim one on ada (attempt 1)"]
