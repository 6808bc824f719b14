"""What a signed host makes of commits that it should not obey: every one is seen, and none is acted on."""

from __future__ import annotations

import pytest

from aq.core.errors import FrozenError
from aq.core.lifecycle import Stage
from aq.core.operations import (
    AcceptCommit,
    Approve,
    Cancel,
    PauseFleet,
    Repair,
    Requeue,
    ResumeFleet,
    Ship,
    Verified,
)
from aq.core.results import Refused
from aq.ledger.commits import Identity
from tests.support.fleet import Fleet, claim_of, git, landed, op, perform
from tests.support.signing import HOST, PERSON, Ring
from tests.support.story import Story, by_hand, hand_write

X = "x"


@pytest.fixture
def ring(fleet: Fleet) -> Ring:
    fleet.audited = False
    return Ring(fleet, alice=PERSON, ann=PERSON, ada=HOST, bob=HOST | PERSON)


def tell(ring: Ring, principal: str, host: str = "ada") -> Story:
    """A story told by one principal who obeys the rules."""
    return Story(ring.ledger(principal), ring.fleet.hub, host)


def brought_to(ring: Ring, stage: Stage) -> Story:
    """The job `x` of alice's, run by ada, in a stage; as alice sees it."""
    alice, ada = tell(ring, "alice"), tell(ring, "ada")
    alice.do(alice.add_of(X))
    ada.ledger.fetch()
    if stage is not Stage.INBOX:
        ada.do(ada.claim_of(X))
    if stage is Stage.TESTING:
        ada.do(ada.land_of(X))
        ada.do(Verified(**op("ada"), fence=ada.fence(X)))
    alice.ledger.fetch()
    return alice


def problem(story: Story, job: str = X) -> str:
    story.ledger.fetch()
    return story.snapshot.distrust.jobs.get(job, "")


# --- who signed -----------------------------------------------------------------------------------


def test_a_fleet_of_trusted_keys_has_nothing_to_complain_about(ring: Ring) -> None:
    alice = brought_to(ring, Stage.TESTING)
    alice.do(Ship(**op("alice"), job=X))
    assert alice.ledger.trust
    assert alice.ledger.trust.at(alice.ledger.tip).flawed == {}
    assert X in alice.snapshot.archive
    allowed = ring.fleet.root / "allowed"
    allowed.write_text(f"alice {ring.keys.public('alice')}\n")
    settings = ("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={allowed}")
    git(ring.fleet.hub, *settings, "verify-commit", "main")


@pytest.mark.attack("S3")
def test_unsigned_work_is_shown_and_not_taken(ring: Ring) -> None:
    alice = brought_to(ring, Stage.TESTING)
    landed(perform(ring.fleet.machine("eve").ledger(), Ship(**op("alice"), job=X)))
    assert "is not signed" in problem(alice)
    assert X not in alice.snapshot.archive
    assert alice.snapshot.known(X)
    assert alice.snapshot.archive.undelivered() == []


@pytest.mark.attack("S3")
def test_a_key_that_nobody_knows_counts_for_nothing(ring: Ring) -> None:
    alice = brought_to(ring, Stage.TESTING)
    landed(perform(ring.reckless("mallory"), Ship(**op("alice"), job=X)))
    assert "signed by a key that nobody here knows, SHA256:" in problem(alice)


@pytest.mark.attack("S3")
def test_the_author_of_a_commit_proves_nothing(ring: Ring) -> None:
    alice = brought_to(ring, Stage.TESTING)
    forger = ring.reckless("ada")
    forger.who = Identity("alice", "alice@example.invalid")
    landed(perform(forger, Ship(**op("alice"), job=X)))
    assert "is signed by ada, who may not ship x (that takes the role approve)" in problem(alice)


def test_a_changed_commit_keeps_no_good_signature(ring: Ring) -> None:
    alice = brought_to(ring, Stage.INBOX)
    good = git(ring.fleet.hub, "cat-file", "commit", "main")
    forged = good.replace("add x", "add y").encode() + b"\n"
    oid = git(ring.fleet.hub, "hash-object", "-t", "commit", "-w", "--stdin", data=forged)
    git(ring.fleet.hub, "update-ref", "refs/heads/other", oid)
    fresh = ring.ledger("ann", "fresh")
    assert fresh.trust
    git(ring.fleet.hub, "update-ref", "refs/heads/main", oid)
    fresh.fetch()
    assert "has a signature that is not good" in fresh.trust.at(oid).flawed[oid].why
    assert alice.snapshot.distrust.jobs == {}


# --- what the signer may --------------------------------------------------------------------------


@pytest.mark.attack("S3")
def test_a_good_key_in_the_wrong_role_is_not_obeyed(ring: Ring) -> None:
    alice = tell(ring, "alice")
    for job in ("x", "y", "z"):
        alice.do(alice.add_of(job))
    landed(perform(ring.reckless("alice"), claim_of("x", "alice")))
    landed(perform(ring.reckless("bob"), claim_of("y", "ada")))
    landed(perform(ring.reckless("ada"), Cancel(**op("ada"), job="z")))
    assert "who may not claim x (that takes the role host)" in problem(alice, "x")
    assert "is signed by bob and speaks for ada" in problem(alice, "y")
    assert "who may not cancel z" in problem(alice, "z")


@pytest.mark.attack("S3")
def test_nobody_ships_or_approves_what_their_own_key_ran(ring: Ring) -> None:
    bob = tell(ring, "bob", "bob")
    bob.do(bob.add_of(X))
    bob.testing(X)
    ledger = ring.reckless("bob")
    landed(perform(ledger, Approve(**op("bob"), job=X)))
    assert "is signed by bob, whose own run it is" in problem(bob)


def test_an_approval_in_the_name_of_another_does_not_count(ring: Ring) -> None:
    alice = brought_to(ring, Stage.TESTING)
    landed(perform(ring.reckless("ann"), Approve(**op("carol"), job=X)))
    assert "is signed by ann and adds the approval of carol" in problem(alice)


def test_ones_own_wrong_commit_is_refused_before_it_is_pushed(ring: Ring) -> None:
    alice, tip = brought_to(ring, Stage.TESTING), ring.fleet.tip
    before = tip()
    refused = perform(ring.ledger("ada"), Ship(**op("ada"), job=X))
    assert isinstance(refused, Refused)
    assert "this commit is signed by ada, who may not ship x" in refused.refusal.reason
    assert "aq trust add" in refused.refusal.hint
    assert tip() == before
    assert problem(alice) == ""


@pytest.mark.attack("S3")
def test_an_old_lease_that_is_put_back_is_not_believed(ring: Ring) -> None:
    """The very files of a trusted claim, in a commit of somebody else's."""
    alice = brought_to(ring, Stage.BUILDING)
    claim = ring.fleet.tip()
    ada = tell(ring, "ada")
    ada.ledger.fetch()
    ada.do(ada.release_of(X))
    message = git(ring.fleet.hub, "log", "-1", "--format=%B", claim)
    tree = git(ring.fleet.hub, "rev-parse", f"{claim}^{{tree}}")
    git(ring.fleet.hub, "config", "user.name", "eve")
    git(ring.fleet.hub, "config", "user.email", "eve@example.invalid")
    replayed = git(ring.fleet.hub, "commit-tree", tree, "-p", "main", "-m", message)
    git(ring.fleet.hub, "update-ref", "refs/heads/main", replayed)
    assert "is not signed" in problem(alice)
    refusal = alice.refusal(Requeue(**op("alice"), job=X))
    assert "building" in refusal.reason


# --- by hand --------------------------------------------------------------------------------------


def test_plain_git_counts_when_the_right_key_signed_it(ring: Ring) -> None:
    alice = tell(ring, "alice")
    clone = ring.fleet.machine("desk").path
    ring.sign_plain_git(clone, "alice")
    hand_write(clone, "queue/inbox/mine.md", "---\nengine: shell\n---\ntrue\n")
    assert problem(alice, "mine") == ""
    assert alice.job("mine").problem == ""
    ring.sign_plain_git(clone, "ada")
    hand_write(clone, "queue/inbox/theirs.md", "---\nengine: shell\n---\ntrue\n")
    assert "who may not change queue/inbox/theirs.md (that takes the role admin or submit)" in problem(
        alice, "theirs"
    )


def test_settings_profiles_and_spend_stay_the_last_trusted_ones(ring: Ring) -> None:
    alice = tell(ring, "alice")
    clone = ring.fleet.machine("desk").path
    ring.sign_plain_git(clone, "root")
    hand_write(clone, "queue/aq.yaml", "wip: {building: 3}\n")
    ring.sign_plain_git(clone, "alice")
    hand_write(clone, "queue/aq.yaml", "wip: {building: 99}\n")
    hand_write(clone, "profiles/developer.md", "obey me\n")
    alice.ledger.fetch()
    snapshot = alice.snapshot
    assert snapshot.settings.wip_building == 3
    assert "obey me" not in snapshot.profiles["developer"].body
    assert set(snapshot.distrust.files) == {"queue/aq.yaml", "profiles/developer.md"}
    git(clone, "rm", "-q", "queue/aq.yaml")
    by_hand(clone)
    alice.ledger.fetch()
    assert alice.snapshot.settings.wip_building == 3
    ring.sign_plain_git(clone, "root")
    hand_write(clone, "queue/aq.yaml", "wip: {building: 4}\n")
    alice.ledger.fetch()
    assert alice.snapshot.settings.wip_building == 4
    assert set(alice.snapshot.distrust.files) == {"profiles/developer.md"}


def test_a_stop_by_anybody_holds_and_only_a_trusted_key_lifts_it(ring: Ring) -> None:
    alice, eve = brought_to(ring, Stage.INBOX), ring.fleet.machine("eve").ledger()
    landed(perform(eve, PauseFleet(**op("eve"), why="ha")))
    alice.ledger.fetch()
    assert alice.snapshot.pause
    alice.do(ResumeFleet(**op("alice")))
    alice.do(PauseFleet(**op("alice"), why="maintenance"))
    landed(perform(eve, ResumeFleet(**op("eve"))))
    alice.ledger.fetch()
    assert alice.snapshot.pause
    assert alice.snapshot.pause.why == "maintenance"
    assert "queue/PAUSED" in alice.snapshot.distrust.files


def test_a_merge_brings_in_what_its_signer_may_bring(ring: Ring) -> None:
    alice = brought_to(ring, Stage.INBOX)
    clone = ring.fleet.machine("desk").path
    git(clone, "pull", "-q", "--no-rebase")
    (clone / "queue/inbox/local.md").write_text("---\nengine: shell\n---\ntrue\n")
    git(clone, "add", "queue/inbox/local.md")
    git(clone, "commit", "-q", "-m", "local, unsigned")
    alice.do(alice.add_of("other"))
    ring.sign_plain_git(clone, "alice")
    git(clone, "pull", "-q", "--no-rebase", "--no-edit")
    git(clone, "push", "-q", "origin", "HEAD:main")
    alice.ledger.fetch()
    assert alice.snapshot.distrust.jobs == {}
    assert {"local", "other", X} <= set(alice.snapshot.stages[Stage.INBOX])


@pytest.mark.attack("S3")
@pytest.mark.parametrize("order", [0, 1])
def test_a_merge_that_takes_operations_back_is_not_followed_past_them(ring: Ring, order: int) -> None:
    """Its tree is legal against a side that holds nothing: that side is not the queue."""
    old = ring.fleet.tip()
    alice = brought_to(ring, Stage.BUILDING)
    hub, tip = ring.fleet.hub, ring.fleet.tip()
    git(hub, "config", "user.name", "eve")
    git(hub, "config", "user.email", "eve@example.invalid")
    side = git(hub, "commit-tree", f"{old}^{{tree}}", "-p", old, "-m", "nothing")
    parents = [side, tip] if order else [tip, side]
    merge = git(hub, "commit-tree", f"{old}^{{tree}}", *(f"-p{oid}" for oid in parents), "-m", "merge")
    git(hub, "update-ref", "refs/heads/main", merge)
    assert "is not signed" in problem(alice)
    assert alice.ledger.trust
    assert merge in alice.ledger.trust.at(merge).flawed


# --- putting it right -----------------------------------------------------------------------------


def test_an_admin_takes_a_commit_as_it_is_and_nobody_else_can(ring: Ring) -> None:
    alice = brought_to(ring, Stage.TESTING)
    bad = landed(perform(ring.fleet.machine("eve").ledger(), Ship(**op("eve"), job=X))).commit
    accept = AcceptCommit(**op("alice"), commit=bad, subject="ship x")
    assert "may not accept" in alice.refusal(accept).reason
    landed(perform(ring.ledger("root", "admin"), AcceptCommit(**op("root"), commit=bad, subject="ship x")))
    assert problem(alice) == ""
    assert X in alice.snapshot.archive


def test_undoing_a_forged_commit_gives_the_job_back(ring: Ring) -> None:
    alice = brought_to(ring, Stage.TESTING)
    landed(perform(ring.fleet.machine("eve").ledger(), Ship(**op("eve"), job=X)))
    assert problem(alice)
    clone = ring.fleet.machine("desk").path
    git(clone, "pull", "-q", "--no-rebase")
    git(clone, "revert", "--no-edit", "HEAD")
    git(clone, "push", "-q", "origin", "HEAD:main")
    assert problem(alice) == ""
    assert alice.job(X).stage is Stage.TESTING
    alice.do(Ship(**op("alice"), job=X))


def test_neither_repair_nor_cancel_and_requeue_washes_a_strangers_job(ring: Ring) -> None:
    alice = tell(ring, "alice")
    eve = Story(ring.fleet.machine("eve").ledger(), ring.fleet.hub)
    eve.do(eve.add_of(X))
    assert problem(alice)
    assert "is not trusted" in alice.refusal(Repair(**op("alice"), job=X)).reason
    alice.do(Cancel(**op("alice"), job=X))
    assert "out of play" in alice.refusal(Requeue(**op("alice"), job=X)).reason


def test_the_next_process_knows_what_this_one_verified(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = brought_to(ring, Stage.TESTING)
    landed(perform(ring.fleet.machine("eve").ledger(), Ship(**op("eve"), job=X)))
    said = problem(alice)
    alice.ledger.close()
    from aq.ledger import trusting

    monkeypatch.setattr(trusting, "good_keys", lambda signed: ["" for _ in signed])
    again = ring.ledger("alice")
    assert again.snapshot().distrust.jobs == {X: said}


def test_a_lost_memory_is_rebuilt_from_the_pinned_commit(ring: Ring) -> None:
    alice = brought_to(ring, Stage.TESTING)
    landed(perform(ring.fleet.machine("eve").ledger(), Ship(**op("eve"), job=X)))
    said = problem(alice)
    assert alice.ledger.trust
    alice.ledger.trust.kept.write_text("{ nonsense")
    assert ring.ledger("ann", "fresh").snapshot().distrust.jobs == {X: said}
    assert ring.ledger("alice").snapshot().distrust.jobs == {X: said}


def test_a_merge_of_two_histories_of_the_queue_freezes_a_signed_host(ring: Ring) -> None:
    """Either side would take back what the other did, and both were signed."""
    alice = tell(ring, "alice")
    alice.ledger.fetch()
    tell(ring, "ann").do(alice.add_of("one"))
    one, hub = ring.fleet.tip(), ring.fleet.hub
    git(hub, "update-ref", "refs/heads/main", git(hub, "rev-parse", "main^"))
    late = Story(ring.ledger("ann", "late"), hub)
    late.do(late.add_of("two"))
    as_person = ("-c", "user.name=eve", "-c", "user.email=eve@example.invalid")
    merge = git(hub, *as_person, "commit-tree", "main^{tree}", "-p", "main", "-p", one, "-m", "merge")
    git(hub, "update-ref", "refs/heads/main", merge)
    with pytest.raises(FrozenError, match="joins two histories"):
        alice.ledger.fetch()


def test_the_past_is_shown_as_it_was_written(ring: Ring) -> None:
    alice = brought_to(ring, Stage.TESTING)
    forged = landed(perform(ring.fleet.machine("eve").ledger(), Ship(**op("eve"), job=X))).commit
    alice.ledger.fetch()
    assert X in alice.ledger.as_written(forged).archive
    assert X not in alice.snapshot.archive
    assert X in alice.ledger.as_written(git(ring.fleet.hub, "rev-parse", "main^")).stages[Stage.TESTING]
