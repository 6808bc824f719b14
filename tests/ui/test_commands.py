"""Every command's ordinary use, in words and as JSON."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from aq.core.operations import Hold, Reject
from tests.support.beats import writer_of
from tests.support.fleet import HELLO, Fleet, git, op, wait_until
from tests.support.story import Story, story
from tests.ui.conftest import Person


def test_add_submits_files_text_and_standard_input(
    aq: Person, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fleet.root / "fix-login.md").write_text(HELLO)
    first = aq("add", str(fleet.root / "fix-login.md"))
    assert first.out.startswith("added fix-login-")
    second = aq("add", "Make the tea", "--priority", "high", "--engine", "shell", "--json").json
    (job,) = (entry["job"] for entry in second["added"])
    assert job.startswith("make-the-tea-")
    found = fleet.job(job)
    assert found
    assert (str(found.manifest.priority), found.manifest.engine) == ("high", "shell")
    piped = fleet.you.aq("add", "-", "--name", "piped", stdin=HELLO).stdout
    assert piped.startswith("added piped-")
    assert len(fleet.snapshot().stages[Stage.INBOX]) == 3


def test_add_submits_nothing_when_one_file_of_several_is_bad(aq: Person, fleet: Fleet) -> None:
    (fleet.root / "good.md").write_text(HELLO)
    (fleet.root / "bad.md").write_text("---\nenigne: shell\n---\nx\n")
    said = aq("add", str(fleet.root / "good.md"), str(fleet.root / "bad.md"), code=1)
    assert "bad.md:2: unknown key 'enigne'; did you mean 'engine'?" in said.err
    assert fleet.snapshot().stages[Stage.INBOX] == {}


def test_check_names_each_bad_file_and_its_line(aq: Person, fleet: Fleet) -> None:
    assert aq("check").out.startswith("ok")
    fleet.you.drop("good")
    fleet.you.drop("bad", "---\nengine: shell\npriority: urgent\n---\nx\n")
    said = aq("check", code=1)
    assert "queue/inbox/bad.md:3: " in said.out
    problems = aq("check", "--json", code=1).json["problems"]
    assert [problem["file"] for problem in problems] == ["queue/inbox/bad.md"]
    assert aq("check", "queue/inbox/good.md", "queue/aq.yaml", "--json").json["checked"] == 2


def test_status_shows_every_stage_and_why_a_job_waits(aq: Person, told: Story) -> None:
    for stage in (Stage.REVIEW, Stage.TESTING, Stage.FAILED, Stage.SHIPPED):
        told.in_stage(stage, f"in-{stage}")
    told.inbox("waiting")
    said = aq("status")
    assert "inbox 1  building 0  review 1  testing 1  shipped 1  failed 1  dead_letter 0" in said.out
    assert "waits for `aq ship in-testing`" in said.out
    assert "waits for `aq promote in-review`" in said.out
    assert "no live host" in said.out
    board = aq("status", "--json").json
    assert {row["job"]: row["stage"] for row in board["rows"]} == {
        "in-review": "review",
        "in-testing": "testing",
        "in-failed": "failed",
        "waiting": "inbox",
    }
    only = aq("status", "--stage", "testing").out
    assert "in-testing" in only
    assert "waiting" not in only.split("in-testing")[1]


def test_status_lists_twenty_jobs_of_a_stage_and_says_how_many_more(aq: Person, fleet: Fleet) -> None:
    for n in range(23):
        fleet.you.drop(f"job-{n:02d}")
    said = aq("status")
    assert "… 3 more: `aq status --all`" in said.out
    assert aq("status", "--all").out.count("job-") == 23


def test_status_shows_what_is_not_submitted_and_not_pushed(aq: Person, fleet: Fleet) -> None:
    fleet.you.drop("broken", "---\nengine: [\n---\nx\n")
    (fleet.you.path / "queue/inbox/committed.md").write_text(HELLO)
    git(fleet.you.path, "add", "queue/inbox/committed.md")
    git(fleet.you.path, "commit", "--quiet", "-m", "mine")
    said = aq("status", "--json").json
    alerts = " ".join(said["alerts"])
    assert "not taken in: queue/inbox/broken.md" in alerts
    assert "not pushed: queue/inbox/committed.md" in alerts


@pytest.mark.parametrize("command", ["status", "log", "hosts"])
def test_a_dropped_file_that_a_command_submits_is_no_obstacle_for_git_pull(
    aq: Person, fleet: Fleet, command: str
) -> None:
    fleet.you.drop("dropped")
    said = aq(command)
    assert "submitted dropped" in said.err
    clone = fleet.you.path
    assert git(clone, "rev-parse", "HEAD") == fleet.tip()
    assert git(clone, "status", "--porcelain", "--untracked-files=all") == ""
    story(fleet, "ada").inbox("other")
    git(clone, "pull", "--quiet")
    assert git(clone, "rev-parse", "HEAD") == fleet.tip()


def test_a_view_that_cannot_follow_a_submitted_file_says_why(aq: Person, fleet: Fleet) -> None:
    fleet.you.drop("dropped")
    git(fleet.you.path, "checkout", "--quiet", "-b", "mine")
    assert "the clone is on mine, the queue is on main" in aq("status").err


ONLY = "(only .md files directly in the inbox are jobs)"


@pytest.mark.parametrize(
    "name", ["notes.txt", "job.markdown", "job.md.txt", "sub/nested.md", "sub/deep/a.md"]
)
def test_a_file_that_can_never_be_a_job_is_named(aq: Person, fleet: Fleet, name: str) -> None:
    path = fleet.you.path / "queue/inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HELLO)
    line = f"ignored: queue/inbox/{name} {ONLY}"
    for shown in (aq("status").out, aq("status", "--offline").out, aq("doctor").out):
        assert shown.count(line) == 1
        assert shown.count("ignored: ") == 1
    assert line in aq("status", "--json").json["alerts"]


def test_what_is_no_attempt_at_a_job_is_not_called_ignored(aq: Person, fleet: Fleet) -> None:
    inbox = fleet.you.path / "queue/inbox"
    (inbox / ".git-like").mkdir()
    (inbox / "empty").mkdir()
    for name in (".x.txt", "x.txt~", ".x.md.swp", "x.swp", "x.tmp", "#x.md#", ".git-like/x.md", "README.md"):
        (inbox / name).write_text(HELLO)
    (inbox / "later.draft.md").write_text(HELLO)
    told = story(fleet)
    told.testing("once")
    told.do(Reject(**op(), job="once", message="more", requeue=True))
    aq("doctor")
    assert (inbox / "once.record.yaml").exists()
    for command in ("status", "doctor"):
        assert "ignored" not in aq(command).out


def test_of_many_ignored_files_five_are_named_and_none_can_harm_a_terminal(aq: Person, fleet: Fleet) -> None:
    folder = fleet.you.path / "queue/inbox" / "0\n\x1b[2J"
    folder.mkdir()
    for n in range(40):
        (folder / f"{n:02d}.md").write_text(HELLO)
    (folder / os.fsdecode(b"\xff.txt")).write_text(HELLO)
    shown = aq("status").out
    assert shown.count("ignored: queue/inbox/0 ?[2J/0") == 5
    assert shown.count("ignored: more files in queue/inbox") == 1
    assert "\x1b" not in shown
    assert len(aq("doctor", "--json").json["findings"]) > 5


def test_a_stray_file_that_was_pushed_is_named_once(aq: Person, fleet: Fleet) -> None:
    (fleet.you.path / "queue/inbox/notes.txt").write_text("mine\n")
    git(fleet.you.path, "add", ".")
    git(fleet.you.path, "commit", "--quiet", "-m", "notes")
    git(fleet.you.path, "push", "--quiet")
    assert aq("status").out.count("notes.txt") == 1
    assert aq("doctor", code=1).out.count("queue/inbox/notes.txt") == 1


def test_offline_status_asks_no_remote(aq: Person, fleet: Fleet) -> None:
    fleet.you.ledger().perform([], writer_of(fleet.you.ledger(), fleet.you.state))
    aq("status")
    story(fleet, "elsewhere").inbox("unseen")
    fleet.hub.rename(fleet.hub.with_name("gone.git"))
    assert "unseen" not in aq("status", "--offline").out
    said = aq("status")
    assert "showing what was seen last" in said.out
    assert "hosts 1" in said.out
    assert "hosts 1" in aq("status", "--offline").out


def test_show_tells_everything_about_one_job(aq: Person, told: Story) -> None:
    told.testing("done", HELLO)
    said = aq("show", "done")
    assert "done  testing" in said.out
    assert "verdict    passed (epoch 1, ada" in said.out
    assert said.out.endswith(HELLO)
    facts = aq("show", "done", "--json").json
    assert (facts["stage"], facts["record"]["epoch"], facts["file"]) == ("testing", 1, HELLO)


def test_log_rebuilds_the_timeline_of_a_job_and_of_the_queue(aq: Person, told: Story) -> None:
    told.shipped("done")
    told.inbox("other")
    said = aq("log", "done")
    ops = ["add", "claim", "land", "verified", "ship"]
    assert [line.split()[2] for line in said.out.splitlines()] == ops
    events = aq("log", "done", "--json").json["events"]
    assert [event["op"] for event in events] == ops
    assert (events[-1]["from"], events[-1]["to"], events[-1]["by"]) == ("testing", "shipped", "alice")
    assert aq("log", "-n", "1", "--json").json["events"][0]["op"] == "add"
    assert "by hand: settings" in aq("log").out


def test_logs_prints_the_newest_run_here_or_the_one_asked_for(aq: Person, fleet: Fleet, told: Story) -> None:
    told.testing("done")
    aq("status")
    assert "it ran on ada: look there" in aq("logs", "done", code=1).err
    folder = fleet.you.path / "logs" / "done"
    folder.mkdir(parents=True)
    (folder / "2.log").write_text("second\n")
    (folder / "10.log").write_text("tenth\n")
    assert aq("logs", "done").out == "tenth\n"
    assert aq("logs", "done", "--epoch", "2").out == "second\n"
    assert "`aq show done` lists its runs" in aq("logs", "done", "--epoch", "3", code=1).err


def test_the_gates_ship_promote_reject_requeue_cancel_and_approve(
    aq: Person, told: Story, fleet: Fleet
) -> None:
    for name in ("a", "b", "c"):
        told.testing(name)
    told.judged("d")
    told.inbox("e")
    assert "ship a: testing -> shipped" in aq("ship", "a").out
    assert aq("approve", "b", "--json").json["results"][0]["op"] == "approve"
    assert aq("ship", "b", "--json").json["results"][0]["to"] == "shipped"
    assert "promote d: review -> testing" in aq("promote", "d").out
    assert "reject c: testing -> failed" in aq("reject", "c", "not", "like", "this").out
    assert "requeue c: failed -> inbox" in aq("requeue", "c").out
    assert "reject d: testing -> inbox" in aq("reject", "d", "-m", "again", "--requeue").out
    assert "cancel e: inbox -> failed" in aq("cancel", "e", "-m", "no need").out
    snapshot = fleet.snapshot()
    stages = {job: str(found.stage) for job in "abcde" if (found := snapshot.find(job))}
    assert stages == {"a": "shipped", "b": "shipped", "c": "inbox", "d": "inbox", "e": "failed"}
    rejected = snapshot.find("c")
    assert rejected
    assert [note.text for note in rejected.record.feedback] == ["not like this"]


def test_several_jobs_make_one_json_document_also_when_one_is_refused(aq: Person, told: Story) -> None:
    told.testing("a")
    told.testing("b")
    told.inbox("c")
    both = aq("ship", "a", "b", "--json").json["results"]
    assert [(entry["job"], entry["changed"]) for entry in both] == [("a", True), ("b", True)]
    again = aq("ship", "a", "--json").json["results"]
    assert [entry["changed"] for entry in again] == [False]
    some = aq("cancel", "nowhere", "c", "--json", code=1)
    assert [(entry["job"], entry["changed"]) for entry in some.json["results"]] == [
        ("nowhere", False),
        ("c", True),
    ]
    assert "there is no job nowhere" in some.err


def test_pause_and_resume_of_the_fleet_and_of_one_job(aq: Person, told: Story, fleet: Fleet) -> None:
    told.inbox("one")
    assert "pause-job one: inbox" in aq("pause", "one", "--why", "lunch").out
    assert "paused by Alice: lunch" in aq("why", "one").out
    assert "resume-job one: inbox" in aq("resume", "one").out
    aq("pause", "--why", "a fire")
    assert (fleet.you.path / "queue" / "PAUSED").exists()
    assert "PAUSED by Alice: a fire" in aq("status").out
    assert "the queue is paused by Alice: a fire" in aq("why", "one").out
    assert "paused already" in aq("pause").out
    assert aq("resume", "--json").json["results"][0]["op"] == "resume"
    assert not (fleet.you.path / "queue" / "PAUSED").exists()
    assert "not paused" in aq("resume").out


def test_resume_lifts_a_hold(aq: Person, told: Story) -> None:
    told.testing("held")
    told.do(Hold(**op("ada"), job="held", reason="look at the licence"))
    assert "look at the licence" in aq("ship", "held", code=1).err
    aq("resume", "held")
    aq("ship", "held")


def test_hosts_lists_beats_slots_and_offers(aq: Person, fleet: Fleet) -> None:
    assert "No host yet" in aq("hosts").out
    assert aq("hosts", "--json").json["hosts"] == []
    assert fleet.start("ada", "--once", "--slots", "3").wait(60) == 1
    said = aq("hosts").out
    assert "ada" in said
    assert "stopped" in said
    (host,) = aq("hosts", "--json").json["hosts"]
    assert (host["host"], host["slots"], host["leases"]) == ("ada", 3, 0)
    assert "engine:shell" in host["offers"]


def test_init_makes_a_queue_with_its_own_hub_and_doctor_says_so(aq: Person, tmp_path: Path) -> None:
    said = aq("init", str(tmp_path / "mine"))
    assert "new queue" in said.out
    assert "next: drop a .md file" in said.out
    assert (tmp_path / "mine" / "queue" / "inbox" / ".gitkeep").exists()
    doctor = aq("-C", str(tmp_path / "mine"), "doctor")
    assert "this machine holds the only copy of the queue" in doctor.out
    assert "joined the queue" in aq("init", str(tmp_path / "mine")).out


def test_doctor_repairs_what_a_hand_edit_broke(aq: Person, fleet: Fleet, told: Story) -> None:
    assert aq("doctor", "--json").json["findings"]
    told.testing("moved")
    git(fleet.you.path, "pull", "--quiet")
    for suffix in ("md", "record.yaml"):
        git(fleet.you.path, "mv", f"queue/testing/moved.{suffix}", f"queue/failed/moved.{suffix}")
    git(fleet.you.path, "commit", "--quiet", "-m", "by hand")
    git(fleet.you.path, "push", "--quiet", "origin", "main")
    assert "moved is out of play" in aq("doctor", code=1).out
    fixed = aq("doctor", "--fix", "--json").json["findings"]
    assert any("repair moved" in finding["what"] for finding in fixed)
    assert aq("doctor").out.endswith(
        "no host is live, and 1 jobs are in the inbox\n      start `aq run` on a machine\n0 bad, 1 to note\n"
    )
    assert aq("show", "moved", "--json").json["stage"] == "inbox"


def test_remote_shows_the_hub_and_moves_the_queue(
    aq: Person, fleet: Fleet, told: Story, tmp_path: Path
) -> None:
    told.testing("kept")
    aq("status")
    assert str(fleet.hub) in aq("remote").out
    git(tmp_path, "init", "--quiet", "--bare", "-b", "main", "other.git")
    assert "moved" in aq("remote", "set", str(tmp_path / "other.git")).out
    assert str(tmp_path / "other.git") in aq("remote", "show").out
    aq("ship", "kept")
    assert "ship kept" in git(tmp_path / "other.git", "log", "-1", "--format=%s", "main")


def test_clean_removes_old_logs_and_silent_hosts_only_when_told(
    aq: Person, fleet: Fleet, told: Story
) -> None:
    told.shipped("done")
    folder = fleet.you.path / "logs" / "done"
    folder.mkdir(parents=True)
    assert fleet.start("ada", "--once").wait(60) in (0, 1)
    assert "would remove" in aq("clean", "--older", "0s", "--dry-run").out
    assert folder.exists()
    aq("clean", "--older", "1d")
    assert folder.exists()
    assert git(fleet.hub, "for-each-ref", "refs/aq/hosts")
    wait_until(
        lambda: "1 host refs" in aq("clean", "--older", "0s", "--dry-run").out, what="the beat to be old"
    )
    aq("clean", "--older", "0s")
    assert not folder.exists()
    assert git(fleet.hub, "for-each-ref", "refs/aq/hosts") == ""


def test_clean_keeps_what_people_put_beside_the_logs_of_jobs(aq: Person, fleet: Fleet, told: Story) -> None:
    told.shipped("done")
    logs = fleet.you.path / "logs"
    ours = [logs / "nginx" / "access.log", logs / "done" / "notes.txt"]
    for path in ours:
        path.parent.mkdir(parents=True)
        path.write_text("kept\n")
    aq("clean", "--older", "0s")
    assert all(path.exists() for path in ours)
    ours[1].rename(logs / "done" / "1.log")
    aq("clean", "--older", "0s")
    assert not (logs / "done").exists()


def test_clean_keeps_a_log_that_was_written_to_lately(aq: Person, fleet: Fleet, told: Story) -> None:
    told.shipped("done")
    log = fleet.you.path / "logs" / "done" / "1.log"
    log.parent.mkdir(parents=True)
    log.write_text("now\n")
    long_ago = time.time() - 86400
    os.utime(log.parent, (long_ago, long_ago))
    aq("clean", "--older", "1h")
    assert log.exists()


def test_clean_keeps_the_ref_of_a_host_that_holds_a_lease(aq: Person, fleet: Fleet, told: Story) -> None:
    told.building("running")
    for host in ("ada", "bob"):
        assert fleet.start(host, "--once").wait(60) in (0, 1)
    wait_until(
        lambda: "1 host refs" in aq("clean", "--older", "0s", "--dry-run").out, what="the beats to be old"
    )
    aq("clean", "--older", "0s")
    assert git(fleet.hub, "for-each-ref", "--format=%(refname)", "refs/aq/hosts") == "refs/aq/hosts/ada"


def test_completion_of_job_names_needs_no_network(
    aq: Person, fleet: Fleet, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aq.ui.cli.common import complete_jobs

    told.inbox("alpha")
    told.inbox("beta")
    aq("status")
    fleet.hub.rename(fleet.hub.with_name("gone.git"))
    monkeypatch.chdir(fleet.you.path)
    assert complete_jobs("al") == ["alpha"]
    monkeypatch.chdir(fleet.root)
    assert complete_jobs("al") == []
