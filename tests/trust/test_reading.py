"""The less common ways in: file modes, the day's money, schedules, hosts that ship, SHA-256."""

from __future__ import annotations

import pytest

from aq.core.change import Change, Refusal
from aq.core.files.jobfile import parse_job
from aq.core.lifecycle import Stage, Trigger
from aq.core.operations import Add, Operation, Ship, Spawn, Verified
from aq.core.snapshot import Snapshot
from aq.core.value import replace
from tests.support.fleet import Fleet, git, landed, op, perform
from tests.support.signing import HOST, PERSON, Ring
from tests.support.story import Story, by_hand, hand_write

SCHEDULE = "---\nengine: shell\nevery: 1h\n---\ntrue\n"
AUTO = "---\nengine: shell\nreview-policy: auto\nverify: 'true'\n---\ntrue\n"


@pytest.fixture
def ring(fleet: Fleet) -> Ring:
    fleet.audited = False
    return Ring(fleet, alice=PERSON, ada=HOST)


def tell(ring: Ring, principal: str) -> Story:
    story = Story(ring.ledger(principal), ring.fleet.hub, principal)
    story.ledger.fetch()
    return story


def test_settings_that_turn_into_a_program_are_still_the_trusted_ones(ring: Ring) -> None:
    before = tell(ring, "alice").snapshot.settings
    clone = ring.fleet.machine("desk").path
    git(clone, "update-index", "--chmod=+x", "queue/aq.yaml")
    by_hand(clone)
    assert git(ring.fleet.hub, "ls-tree", "main", "queue/aq.yaml").startswith("100755")
    snapshot = tell(ring, "alice").snapshot
    assert snapshot.settings == before
    assert list(snapshot.distrust.files) == ["queue/aq.yaml"]


def test_money_that_somebody_gives_back_by_hand_stays_spent(ring: Ring) -> None:
    clone = ring.fleet.machine("desk").path
    ring.sign_plain_git(clone, "root")
    hand_write(clone, "queue/aq.yaml", "budgets: {fleet: {usd: 5, per: day}, default-usd: 3}\n")
    alice = tell(ring, "alice")
    alice.inbox("x")
    ada = tell(ring, "ada")
    ada.do(ada.claim_of("x"))
    (day,) = ada.snapshot.spend
    assert ada.snapshot.spend[day].fleet.total == 3
    git(clone, "config", "commit.gpgsign", "false")
    git(clone, "pull", "-q", "--no-rebase")
    git(clone, "rm", "-q", f"queue/spend/{day}.yaml")
    by_hand(clone)
    alice.ledger.fetch()
    assert alice.snapshot.spend[day].fleet.total == 3
    ada.ledger.fetch()
    ada.do(ada.release_of("x"))
    assert ada.snapshot.distrust.files == {}, "what a trusted host writes on top is trusted"


def test_a_host_submits_copies_of_a_schedule_and_nothing_else(ring: Ring) -> None:
    alice = tell(ring, "alice")
    alice.do(alice.add_of("nightly", SCHEDULE))
    ada = tell(ring, "ada")
    ada.do(Spawn(**op("ada"), schedule="nightly"))
    alice.ledger.fetch()
    assert alice.snapshot.distrust.jobs == {}
    assert len(alice.snapshot.stages[Stage.INBOX]) == 2

    class Smuggled(Spawn):
        """A copy with a text of its own."""

        def decide(self, snapshot: Snapshot) -> Change | Refusal:
            change = Spawn.decide(self, snapshot)
            assert isinstance(change, Change)
            after = replace(change.jobs[0].after, blob=self.op_id)
            return replace(change, jobs=(replace(change.jobs[0], after=after),))

    reckless = ring.reckless("ada")
    blob = reckless.write_blob(b"---\nengine: shell\n---\nrm -rf ~\n")
    later = {**op("ada"), "at": "2030-01-01T00:00:00Z", "op_id": blob}
    landed(perform(reckless, Smuggled(**later, schedule="nightly")))
    alice.ledger.fetch()
    (why,) = alice.snapshot.distrust.jobs.values()
    assert "says spawn, and changes the file of nightly-2030" in why


@pytest.mark.parametrize(("text", "obeyed"), [(AUTO, True), (AUTO.replace("auto", "manual"), False)])
def test_a_host_ships_what_its_job_lets_hosts_ship(ring: Ring, text: str, obeyed: bool) -> None:
    class HostShips(Ship):
        """A ship by a host, as its commit says."""

        def change(self, trigger: Trigger, *args: object, **more: object) -> Change:
            return Operation.change(self, trigger, *args, **{**more, "host": self.by})  # type: ignore[arg-type]

    alice = tell(ring, "alice")
    blob = alice.ledger.write_blob(text.encode())
    alice.do(Add(**op("alice"), job="x", blob=blob, manifest=parse_job(text.encode())[0]))
    ada = tell(ring, "ada")
    ada.do(ada.claim_of("x"))
    ada.do(ada.land_of("x"))
    ada.do(Verified(**op("ada"), fence=ada.fence("x")))
    landed(perform(ring.reckless("ada"), HostShips(**op("ada"), job="x")))
    alice.ledger.fetch()
    assert ("x" in alice.snapshot.archive) is obeyed
    assert alice.snapshot.archive.get("x") is None or obeyed
    assert len(alice.snapshot.archive.recent(None)) == len(alice.snapshot.archive) == int(obeyed)
