"""What a person sees of engines that rest or have fallen silent."""

from __future__ import annotations

from aq.core.fleet import Cooling
from aq.ledger.beatwriter import BeatWriter
from tests.support.fleet import Fleet, beat
from tests.support.story import Story
from tests.ui.conftest import Person

UNTIL = "2037-01-01T10:00:00Z"


def publish(fleet: Fleet, host: str = "ada", **more: object) -> None:
    """A beat as a host would write it."""
    machine = fleet.machine(host)
    ledger = machine.ledger()
    ledger.fetch()
    writer = BeatWriter(ledger.committer, ledger.who, host, ledger.config.beat_refs, machine.state)
    writer.compose = lambda: beat(host, ttl=300.0, **more)
    ledger.perform([], writer)
    assert writer.confirmed


def test_a_resting_engine_is_shown_with_its_reason(aq: Person, fleet: Fleet, told: Story) -> None:
    told.inbox("job", "---\nengine: claude\n---\nDo it.\n")
    publish(fleet, cooling={"claude": Cooling(UNTIL, "rate_limit", 2)})
    words = f"claude rests until {UNTIL} (rate_limit)"
    assert words in aq("hosts").out
    (host,) = aq("hosts", "--json").json["hosts"]
    assert host["cooling"] == {"claude": {"until": UNTIL, "failure": "rate_limit", "times": 2}}
    assert words in aq("why", "job").out


def test_a_stalled_job_is_shown_as_such_while_its_host_says_so(aq: Person, fleet: Fleet, told: Story) -> None:
    told.building("job")
    publish(fleet, stalled=("job",))
    assert "attempt 1, stalled" in aq("status").out
    publish(fleet)
    assert "stalled" not in aq("status").out


def test_a_host_cannot_call_anothers_job_stalled(aq: Person, fleet: Fleet, told: Story) -> None:
    told.building("job")
    publish(fleet, "bob", stalled=("job",))
    assert "stalled" not in aq("status").out
