"""Rule 13: commit messages are the event log, in one vocabulary that git itself can read."""

from __future__ import annotations

import pytest

from aq.core.event import FLEET_OPS, Event, parse, render, subject
from aq.core.lifecycle import Stage, Trigger
from aq.core.operations import Cancel, Land, PauseFleet, Reject, ResumeFleet, Verified
from tests.support.fleet import Fleet, git, op
from tests.support.story import TIP, Story, story


def trailers(tale: Story, commit: str = "main") -> dict[str, str]:
    """As git's own trailer parser sees them."""
    message = git(tale.hub, "log", "-1", "--format=%B", commit)
    lines = git(tale.hub, "interpret-trailers", "--parse", data=message.encode()).splitlines()
    return dict(line.split(": ", 1) for line in lines)


def test_the_claim_reads_as_the_design_writes_it(fleet: Fleet) -> None:
    tale = story(fleet, host="mac-2")
    tale.inbox("fix-login")
    claim = tale.claim_of("fix-login")
    tale.do(claim)
    assert fleet.events()[-1] == "claim fix-login on mac-2 (attempt 1)"
    assert trailers(tale) == {
        "Aq-Job": "fix-login",
        "Aq-Op": "claim",
        "Aq-From": "inbox",
        "Aq-To": "building",
        "Aq-Host": "mac-2",
        "Aq-Epoch": "1",
        "Aq-Attempt": "1",
        "Aq-By": "mac-2",
        "Aq-Op-Id": claim.op_id,
        "Aq-Engine": "shell",
        "Aq-Lease": claim.nonce,
    }


def test_a_landing_names_cost_tokens_and_branch(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.building("x")
    tale.do(
        Land(**op("ada"), fence=tale.fence("x"), branch="aq/x/1", tip=TIP, pushed=True, usd=0.25, tokens=1200)
    )
    found = trailers(tale)
    assert (found["Aq-Branch"], found["Aq-Cost-Usd"], found["Aq-Tokens"]) == ("aq/x/1", "0.25", "1200")


def test_a_large_token_count_is_written_in_full(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.building("x")
    tale.do(tale.land_of("x", tokens=12_345_678, usd=1234.5678))
    found = trailers(tale)
    assert (found["Aq-Tokens"], found["Aq-Cost-Usd"]) == ("12345678", "1234.5678")


@pytest.mark.parametrize(
    "text",
    [
        "no\n\nAq-Op: ship\nAq-Job: other",
        "no\nAq-To: shipped",
        "no\r\n\r\nAq-Op: ship",
        "\x1b[31mred\x1b[0m \x00 \u202e",
        "x" * 5000,
    ],
    ids=["a paragraph of trailers", "a trailer", "carriage returns", "control characters", "very long"],
)
def test_what_a_person_types_cannot_forge_or_break_the_event(fleet: Fleet, text: str) -> None:
    tale = story(fleet)
    tale.testing("x")
    tale.do(Reject(**op(), job="x", message=text))
    event = tale.event()
    assert (event.op, event.job, event.source, event.target) == ("reject", "x", Stage.TESTING, Stage.FAILED)
    message = git(tale.hub, "log", "-1", "--format=%B", "main")
    assert message.count("\nAq-Op: ") == 1
    assert len(message) < 1500
    assert all(line.isprintable() for line in message.splitlines())
    assert trailers(tale)["Aq-Op"] == "reject"


def test_a_name_that_is_no_git_identity_still_commits(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.inbox("x")
    tale.do(Cancel(**op("al<ice>\nAq-Op: ship"), job="x"))
    assert tale.event().op == "cancel"
    tale.fsck()


def test_fleet_operations_are_events_without_a_job(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.do(PauseFleet(**op(), why="deploy"))
    tale.do(ResumeFleet(**op()))
    assert fleet.events()[-2:] == ["pause: deploy", "resume"]
    assert tale.event("main^").get("Aq-Reason") == "deploy"
    assert "Aq-Job" not in trailers(tale)


def test_the_queue_begins_with_an_init_event(fleet: Fleet) -> None:
    first = git(fleet.hub, "rev-list", "--max-parents=0", "main")
    event = parse(git(fleet.hub, "log", "-1", "--format=%B", first))
    assert event
    assert event.op == "init"


@pytest.mark.parametrize("op_name", [*Trigger, *FLEET_OPS])
def test_every_event_reads_back_as_it_was_written(op_name: str) -> None:
    moves = (
        {}
        if op_name in FLEET_OPS
        else {"job": "x", "source": Stage.INBOX, "target": Stage.BUILDING, "epoch": 3, "attempt": 2}
    )
    event = Event(op_name, "alice", "0123", host="ada", extra=(("Aq-Reason", "because: of this"),), **moves)  # type: ignore[arg-type]
    assert parse(render(event)) == event


@pytest.mark.parametrize(
    "message",
    [
        "",
        "fix typo\n",
        "Merge branch 'main'\n",
        "x\n\nAq-Op: no-such-op\n",
        "x\n\nAq-Op: claim\n\nSigned-off-by: bob\n",
    ],
    ids=["empty", "a person's", "a merge", "an unknown operation", "trailers that are not at the end"],
)
def test_a_commit_by_hand_is_no_event(message: str) -> None:
    assert parse(message) is None


def test_a_subject_is_one_bounded_line() -> None:
    assert len(subject(Event("reject", "alice", "1", job="x", detail="y " * 400))) <= 120


def test_git_log_follow_tells_a_jobs_story_across_its_moves(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.building("x")
    tale.do(tale.release_of("x", "quota"))
    tale.building("x")
    tale.do(tale.land_of("x"))
    tale.do(Verified(**op("ada"), fence=tale.fence("x")))
    told = git(fleet.hub, "log", "--follow", "--format=%s", "main", "--", "queue/testing/x.md").splitlines()
    assert told == [
        "verified x on ada",
        "land x on ada",
        "claim x on ada (attempt 1)",
        "release x on ada: quota",
        "claim x on ada (attempt 1)",
        "add x",
    ]
