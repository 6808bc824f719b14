"""Rule 12: what people may do with plain git, and what they do wrong without stopping anybody."""

from __future__ import annotations

import pytest

from aq.core.lifecycle import Stage
from aq.core.operations import Verified
from tests.support.fleet import FAST, HELLO, Fleet, git, op, wait_until
from tests.support.story import FORGED_LEASE, Story, by_hand, hand_write, story

INBOX = "queue/inbox"


def doctor_says(fleet: Fleet) -> str:
    return fleet.you.aq("doctor", ok=False).stdout


def others_go_on(tale: Story) -> None:
    """Another job can still be added, claimed and finished."""
    tale.testing("other")
    assert tale.job("other").stage is Stage.TESTING
    tale.fsck()


# --- legal ------------------------------------------------------------------------------------


def test_a_hand_committed_inbox_file_is_a_job_that_hosts_run(fleet: Fleet) -> None:
    hand_write(fleet.you.path, f"{INBOX}/x.md", HELLO)
    tale = story(fleet, "ada")
    tale.ledger.fetch()
    job = tale.job("x")
    assert (job.problem, job.stage) == ("", Stage.INBOX)
    assert job.queued, "its age is that of the commit"
    tale.do(tale.claim_of("x"))
    tale.do(tale.land_of("x"))
    tale.do(Verified(**op("ada"), fence=tale.fence("x")))


def test_a_hand_edit_of_a_job_that_nobody_claimed_yet_counts(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.inbox("x")
    hand_write(fleet.you.path, f"{INBOX}/x.md", "---\nengine: shell\npriority: high\n---\ntrue\n")
    tale.ledger.fetch()
    assert tale.job("x").problem == ""
    assert tale.job("x").manifest.priority == "high"
    tale.do(tale.claim_of("x"))


def test_a_hand_edit_of_the_settings_applies_at_once(fleet: Fleet) -> None:
    tale = story(fleet)
    hand_write(fleet.you.path, "queue/aq.yaml", FAST + "wip: {building: 7}\ndefaults: {priority: low}\n")
    tale.ledger.fetch()
    assert tale.snapshot.settings.wip_building == 7
    tale.inbox("x")
    assert tale.job("x").manifest.priority == "low"


@pytest.mark.parametrize(
    ("text", "who", "stop"),
    [
        ("by: alice\nwhy: deploy\nat: 2026-12-01T09:00:00Z\nstop: true\n", "alice", True),
        ("by: alice\nwhy: deploy\n", "alice", False),
        ("", "", False),
        ("please stop\n", "", False),
        ("[[[", "", False),
    ],
    ids=["in full", "without a time", "empty", "prose", "broken YAML"],
)
def test_a_hand_made_kill_switch_stops_claims_whatever_is_in_it(
    fleet: Fleet, text: str, who: str, stop: bool
) -> None:
    tale = story(fleet)
    tale.inbox("x")
    hand_write(fleet.you.path, "queue/PAUSED", text)
    tale.ledger.fetch()
    pause = tale.snapshot.pause
    assert pause
    assert (pause.by, pause.stop) == (who, stop)
    assert "paused" in tale.refusal(tale.claim_of("x")).reason
    assert "PAUSED" in fleet.you.aq("status").stdout
    fleet.you.aq("resume")
    tale.do(tale.claim_of("x"))


def test_a_persons_pull_merge_and_push_is_legal_and_the_queue_goes_on(fleet: Fleet) -> None:
    clone = fleet.you.path
    (clone / INBOX / "mine.md").write_text(HELLO)
    git(clone, "add", f"{INBOX}/mine.md")
    git(clone, "commit", "--quiet", "-m", "my job")
    tale = story(fleet, "ada")
    tale.building("theirs")
    git(clone, "pull", "--quiet", "--no-rebase", "--no-edit")
    git(clone, "push", "--quiet")
    assert len(git(fleet.hub, "log", "-1", "--format=%P", "main").split()) == 2, "a merge is on the hub"

    tale.do(tale.land_of("theirs"))
    assert tale.job("mine").problem == ""
    assert tale.job("mine").queued
    tale.building("mine")
    ops = [event.op for _, _, event in tale.ledger.history.events(tale.ledger.tip, "theirs") if event]
    assert ops == ["land", "claim", "add"], "its story is whole across the merge"
    tale.fsck()


def test_files_outside_the_queue_are_none_of_our_business(fleet: Fleet) -> None:
    tale = story(fleet)
    hand_write(fleet.you.path, "docs/notes.md", "notes\n")
    hand_write(fleet.you.path, "profiles/reviewer.md", "---\n---\nYou review.\n")
    tale.inbox("x")
    assert tale.snapshot.problems == ()
    assert "reviewer" in tale.snapshot.profiles
    assert git(fleet.hub, "show", "main:docs/notes.md") == "notes"


# --- illegal: the job is out of play, the others go on ----------------------------------------


def test_a_hand_edit_of_a_claimed_job_quarantines_it_and_doctor_repairs_it(fleet: Fleet) -> None:
    tale = story(fleet)
    original = tale.building("x").blob
    hand_write(fleet.you.path, "queue/building/x.md", "---\nengine: shell\n---\nrm -r everything\n")
    tale.ledger.fetch()
    assert "edited by hand after the first claim" in tale.job("x").problem
    assert "out of play" in tale.refusal(tale.land_of("x")).reason
    others_go_on(tale)
    assert "x is out of play: its file was edited by hand after the first claim" in doctor_says(fleet)
    assert "INVALID its file was edited by hand" in fleet.you.aq("status").stdout

    fleet.you.aq("doctor", "--fix", ok=False)
    tale.ledger.fetch()
    job = tale.job("x")
    assert (job.stage, job.problem, job.blob, job.lease) == (Stage.INBOX, "", original, None)
    assert job.record.epoch == 1
    tale.building("x")
    assert tale.job("x").record.epoch == 2


def test_a_repair_ends_the_run_it_took_the_lease_of_and_settles_its_money(fleet: Fleet) -> None:
    hand_write(fleet.you.path, "queue/aq.yaml", FAST + "budgets: {fleet: {usd: 5}}\n")
    tale = story(fleet)
    tale.building("x", "---\nengine: shell\nbudget: {usd: 3}\n---\ntrue\n")
    hand_write(fleet.you.path, "queue/building/x.md", "other\n")
    fleet.you.aq("doctor", "--fix", ok=False)
    tale.ledger.fetch()
    assert tale.job("x").record.runs[-1].ended
    spend = next(iter(tale.snapshot.spend.values())).fleet
    assert (spend.reserved, spend.settled) == (0.0, 3.0)


def _moves(source: str, target: str, *ends: str) -> list[tuple[str, ...]]:
    return [("mv", f"queue/{source}/x.{end}", f"queue/{target}/x.{end}") for end in ends]


HAND_MOVES = {
    "with its record": _moves("testing", "failed", "md", "record.yaml"),
    "without its record": _moves("testing", "inbox", "md"),
    "to shipped": _moves("testing", "shipped", "md", "record.yaml"),
    "to a folder of theirs": [("mv", "queue/testing/x.md", "docs.md")],
    "to another name": [("mv", "queue/testing/x.md", "queue/testing/y.md")],
    "away": [("rm", "--quiet", "queue/testing/x.md")],
    "away, as an executable": [("update-index", "--chmod=+x", "queue/testing/x.md")],
}


@pytest.mark.parametrize("moved", HAND_MOVES)
def test_a_job_moved_by_hand_is_named_and_repaired_and_never_lost(fleet: Fleet, moved: str) -> None:
    tale = story(fleet)
    original = tale.testing("x").blob
    by_hand(fleet.you.path, *HAND_MOVES[moved])
    tale.ledger.fetch()
    others_go_on(tale)
    shown = fleet.you.aq("status").stdout
    assert "x" in shown
    assert "hand" in shown
    for _ in range(2):
        fleet.you.aq("doctor", "--fix", ok=False)
    tale.ledger.fetch()
    job = tale.job("x")
    assert (job.stage, job.problem, job.blob) == (Stage.INBOX, "", original)
    copies = {path for path in tale.files_of("x") if path.endswith(".md")}
    assert copies == {"inbox/x.md"}
    tale.do(tale.claim_of("x"))


@pytest.mark.attack("S3")
def test_a_job_put_straight_into_testing_is_out_of_play(fleet: Fleet) -> None:
    tale = story(fleet)
    hand_write(fleet.you.path, "queue/testing/x.md", HELLO)
    tale.ledger.fetch()
    assert "moved by hand" in tale.job("x").problem
    assert fleet.you.aq("ship", "x", ok=False).returncode == 1
    others_go_on(tale)


@pytest.mark.parametrize("claimed", [True, False], ids=["a claimed job", "a waiting job"])
def test_a_hand_made_duplicate_keeps_the_older_job_in_play(fleet: Fleet, claimed: bool) -> None:
    tale = story(fleet)
    tale.building("x") if claimed else tale.inbox("x")
    place = "inbox" if claimed else "failed"
    hand_write(fleet.you.path, f"queue/{place}/x.md", "newer\n")
    tale.ledger.fetch()
    job = tale.job("x")
    assert job.problem == "", "the older one"
    assert job.manifest.engine == "shell"
    newer = tale.snapshot.stages[Stage(place)]["x"]
    assert newer.problem
    if claimed:
        tale.do(tale.land_of("x"))
    else:
        tale.do(tale.claim_of("x"))
    fleet.you.aq("doctor", "--fix", ok=False)
    tale.ledger.fetch()
    assert "x" not in tale.snapshot.stages[Stage(place)]
    assert tale.job("x").problem == ""


def test_a_file_with_the_id_of_a_shipped_job_is_out_of_play(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.shipped("x")
    hand_write(fleet.you.path, f"{INBOX}/x.md", "newer\n")
    tale.ledger.fetch()
    assert "shipped before" in tale.snapshot.stages[Stage.INBOX]["x"].problem
    assert tale.refusal(tale.claim_of("x"))
    fleet.you.aq("doctor", "--fix", ok=False)
    tale.ledger.fetch()
    assert tale.job("x").stage is Stage.SHIPPED


@pytest.mark.attack("S3")
@pytest.mark.parametrize(
    ("stage", "text"),
    [
        (Stage.INBOX, FORGED_LEASE),
        (Stage.INBOX, "not a lease\n"),
        (Stage.BUILDING, "not a lease\n"),
        (Stage.BUILDING, FORGED_LEASE),
        (Stage.REVIEW, FORGED_LEASE),
        (Stage.TESTING, FORGED_LEASE),
    ],
    ids=[
        "a waiting job",
        "a waiting job, nonsense",
        "a running job, nonsense",
        "a running job, forged",
        "a judged job",
        "a job in testing",
    ],
)
def test_a_lease_written_by_hand_gives_nobody_the_job(fleet: Fleet, stage: Stage, text: str) -> None:
    tale = story(fleet)
    tale.in_stage(stage, "x")
    hand_write(fleet.you.path, f"queue/{stage}/x.lease.yaml", text)
    tale.ledger.fetch()
    assert tale.job("x").problem
    others_go_on(tale)
    assert "x is out of play" in doctor_says(fleet)
    fleet.you.aq("doctor", "--fix", ok=False)
    tale.ledger.fetch()
    job = tale.job("x")
    assert (job.stage, job.problem, job.lease) == (Stage.INBOX, "", None)
    assert not any(path.endswith("x.lease.yaml") for path in tale.tree())


def test_a_record_that_was_garbled_by_hand_is_out_of_play(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.testing("x")
    hand_write(fleet.you.path, "queue/testing/x.record.yaml", "epoch: many\n")
    tale.ledger.fetch()
    assert "x.record.yaml" in tale.job("x").problem
    others_go_on(tale)
    assert fleet.you.aq("ship", "x", ok=False).returncode == 1


@pytest.mark.attack("S19")
def test_a_file_that_looks_like_a_secret_is_never_claimed_when_pushed_by_hand(fleet: Fleet) -> None:
    canary = "gh" + "p_" + "A1" * 18
    hand_write(fleet.you.path, f"{INBOX}/x.md", f"---\nengine: shell\n---\nuse {canary}\n")
    tale = story(fleet)
    tale.ledger.fetch()
    assert "looks like a secret" in tale.job("x").problem
    assert "secret" in str(tale.refusal(tale.claim_of("x")))
    shown = fleet.you.aq("status").stdout
    assert "looks like a secret" in shown
    assert canary not in shown


def test_a_running_host_goes_on_beside_a_quarantined_job(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.building("x")
    hand_write(fleet.you.path, "queue/building/x.md", "changed\n")
    fleet.start("bob", "--slots", "1")
    fleet.you.drop("y")
    fleet.you.aq("status")
    wait_until(lambda: (job := fleet.job("y")) and job.stage is Stage.TESTING, 20, "y in testing")
    assert fleet.job("x").lease, "its expired lease is left alone: the job is out of play"  # type: ignore[union-attr]


# --- folders ------------------------------------------------------------------------------------


def test_a_stage_folder_that_vanished_does_not_stop_the_queue(fleet: Fleet) -> None:
    gone = [("rm", "-r", "--quiet", f"queue/{stage}") for stage in Stage]
    by_hand(fleet.you.path, *gone, ("rm", "--quiet", "queue/aq.yaml"))
    tale = story(fleet)
    tale.ledger.fetch()
    assert not [path for path in tale.tree() if ".gitkeep" in path]
    tale.shipped("x")
    for folder in ("inbox", "building", "review", "testing"):
        assert f"queue/{folder}/.gitkeep" in tale.tree(), (
            "a folder that an operation empties keeps a .gitkeep"
        )
    tale.failed("y")
    tale.dead("z")
    tale.fsck()


def test_a_file_named_like_a_stage_folder_is_shown_and_stops_nobody(fleet: Fleet) -> None:
    by_hand(fleet.you.path, ("rm", "-r", "--quiet", "queue/failed"))
    hand_write(fleet.you.path, "queue/failed", HELLO)
    tale = story(fleet)
    tale.ledger.fetch()
    assert "queue/failed: a file has the name of a stage folder" in fleet.you.aq("status").stdout
    tale.testing("x")
