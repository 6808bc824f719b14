"""Intake: what people drop into the inbox is copied, settled, and submitted once (DESIGN section 4)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from aq.core.instants import instant
from aq.core.lifecycle import Stage
from aq.ledger.clone import Clone
from aq.ledger.intake import SETTLE_SECONDS
from tests.support.fleet import HELLO, Fleet, Machine, git, wait_until
from tests.support.story import story

OTHER = HELLO + "echo other\n"


def clone_of(machine: Machine, name: str = "alice") -> Clone:
    """The clone as one process of this machine sees it."""
    return Clone(machine.ledger(), machine.paths, name, lambda: instant(time.time()))


def submit(clone: Clone) -> list[str]:
    """One round of a command: take in, submit, refresh. What it says."""
    clone.intake.ledger.fetch()
    said = clone.take_in()
    results = clone.intake.ledger.perform(clone.submissions())
    said += [line for result in results if (line := clone.submitted(result))]
    return said + clone.refresh()


def fresh(path: Path, text: str) -> None:
    """Write a file now, as an editor does."""
    path.write_text(text)


def inbox(machine: Machine) -> Path:
    return machine.path / "queue" / "inbox"


def test_a_dropped_file_is_copied_to_the_spool_and_stays_where_it_is(fleet: Fleet) -> None:
    dropped = fleet.you.drop("x")
    clone = clone_of(fleet.you)
    clone.intake.ledger.fetch()
    clone.take_in()
    assert dropped.read_text() == HELLO
    assert [entry.origin for entry in clone.spool.entries()] == ["x.md"]
    assert fleet.job("x") is None


def test_a_dropped_file_becomes_a_job_once_however_often_one_looks(fleet: Fleet) -> None:
    fleet.you.drop("x")
    for _ in range(3):
        submit(clone_of(fleet.you))
    assert fleet.events().count("add x") == 1
    assert git(fleet.you.path, "status", "--porcelain", "--untracked-files=all") == ""
    assert (inbox(fleet.you) / "x.md").read_text() == HELLO, "the view shows the job"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.draft.md", HELLO),
        ("blank.md", "  \n\n"),
        ("empty.md", ""),
        (".x.md", HELLO),
        ("x.txt", HELLO),
        ("README.md", "read me\n"),
        (".x.md.swp", "b0"),
    ],
    ids=["a draft", "blank", "empty", "a dotfile", "not Markdown", "a README", "an editor's swap file"],
)
def test_what_is_no_job_yet_is_left_alone_without_a_word(fleet: Fleet, name: str, text: str) -> None:
    path = inbox(fleet.you) / name
    path.write_text(text)
    os.utime(path, (time.time() - 60,) * 2)
    before = fleet.tip()
    assert submit(clone_of(fleet.you)) == []
    assert fleet.tip() == before
    assert path.read_text() == text


def test_an_editor_that_saves_a_half_written_file_twice_submits_it_once_and_whole(fleet: Fleet) -> None:
    clone = clone_of(fleet.you)
    path = inbox(fleet.you) / "x.md"
    started = time.monotonic()
    fresh(path, "---\nengine: shell\n---\necho ha")
    submit(clone)
    time.sleep(0.3)
    fresh(path, HELLO)
    assert submit(clone) == []
    assert fleet.job("x") is None, "it has not been quiet for two seconds"

    def settled() -> bool:
        submit(clone)
        return fleet.job("x") is not None

    wait_until(settled, 10, "the file to settle")
    assert time.monotonic() - started >= SETTLE_SECONDS
    assert git(fleet.hub, "show", "main:queue/inbox/x.md") == HELLO.strip()
    assert [event for event in fleet.events() if event.endswith(" x")] == ["add x"]


def test_a_second_save_after_the_half_was_submitted_is_a_revise(fleet: Fleet) -> None:
    clone = clone_of(fleet.you)
    fleet.you.drop("x", "---\nengine: shell\n---\necho ha")
    submit(clone)
    fleet.you.drop("x", HELLO)
    submit(clone)
    assert fleet.events()[-2:] == ["add x", "revise x"]
    assert git(fleet.hub, "show", "main:queue/inbox/x.md") == HELLO.strip()
    assert git(fleet.you.path, "status", "--porcelain") == ""


def test_a_second_save_between_submission_and_refresh_is_not_lost(fleet: Fleet) -> None:
    clone = clone_of(fleet.you)
    fleet.you.drop("x", "---\nengine: shell\n---\necho ha")
    clone.intake.ledger.fetch()
    clone.take_in()
    for result in clone.intake.ledger.perform(clone.submissions()):
        clone.submitted(result)
    fleet.you.drop("x", HELLO)
    clone.refresh()
    assert (inbox(fleet.you) / "x.md").read_text() == HELLO
    submit(clone)
    submit(clone)
    assert fleet.events()[-2:] == ["add x", "revise x"]
    assert git(fleet.you.path, "status", "--porcelain") == ""


def test_the_same_file_dropped_on_two_machines_is_one_job(fleet: Fleet) -> None:
    bob = fleet.machine("bob")
    fleet.you.drop("x")
    bob.drop("x")
    submit(clone_of(fleet.you))
    submit(clone_of(bob, "bob"))
    assert fleet.events().count("add x") == 1
    assert len(list(fleet.snapshot().jobs())) == 1
    assert git(bob.path, "rev-parse", "HEAD") == fleet.tip(), (
        "an identical untracked file does not block the view"
    )


def test_the_same_name_with_other_content_gets_a_name_of_its_own_and_says_so(fleet: Fleet) -> None:
    bob = fleet.machine("bob")
    fleet.you.drop("x")
    submit(clone_of(fleet.you))
    bob.drop("x", OTHER)
    said = submit(clone_of(bob, "bob"))
    names = {job.id for job in fleet.snapshot().jobs()}
    assert len(names) == 2
    other = (names - {"x"}).pop()
    assert other.startswith("x-")
    assert len(other) == 6
    assert any(other in line and "x is in inbox already" in line for line in said)
    assert git(bob.path, "rev-parse", "HEAD") == fleet.tip()


@pytest.mark.parametrize("stage", [Stage.SHIPPED, Stage.FAILED, Stage.DEAD_LETTER, Stage.BUILDING])
def test_a_file_with_the_id_of_an_ended_or_claimed_job_is_a_new_job(fleet: Fleet, stage: Stage) -> None:
    tale = story(fleet)
    tale.in_stage(stage, "x")
    git(fleet.you.path, "pull", "--quiet")
    fleet.you.drop("x", OTHER)
    said = submit(clone_of(fleet.you))
    waiting = [job.id for job in fleet.snapshot().jobs(Stage.INBOX)]
    assert len(waiting) == 1
    assert waiting[0].startswith("x-")
    assert any(waiting[0] in line and f"x is in {stage} already" in line for line in said)
    assert fleet.job("x").stage is stage  # type: ignore[union-attr]
    assert not (inbox(fleet.you) / "x.md").exists(), "the view shows the job under its name"


def test_the_same_content_as_a_shipped_job_is_submitted_already(fleet: Fleet) -> None:
    story(fleet).shipped("x")
    before = fleet.tip()
    fleet.you.drop("x", HELLO)
    said = submit(clone_of(fleet.you))
    assert fleet.tip() == before
    assert any("is in the queue already, as x in shipped" in line for line in said)


@pytest.mark.parametrize(
    ("name", "job"),
    [
        ("Fix Login.md", "fix-login"),
        ("Ünïcode.md", "unicode"),
        ("a.b.md", "a-b"),
        ("x.MD", "x"),
        ("CON.md", "con-job"),
        ("--help.md", "help"),
        ("你好.md", "job"),
    ],
)
def test_a_file_of_any_name_is_taken_in_under_a_slug(fleet: Fleet, name: str, job: str) -> None:
    path = inbox(fleet.you) / name
    path.write_text(HELLO)
    os.utime(path, (time.time() - 60,) * 2)
    said = submit(clone_of(fleet.you))
    assert fleet.job(job)
    assert [line for line in said if job in line and name in line] or name.lower() == f"{job}.md"
    submit(clone_of(fleet.you))
    assert git(fleet.you.path, "status", "--porcelain", "--untracked-files=all") == ""
    assert len(list(fleet.snapshot().jobs())) == 1


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "a symbolic link"),
        (lambda path: path.symlink_to("nowhere"), "a symbolic link"),
        (lambda path: path.mkdir(), "not a plain file"),
        (os.mkfifo, "not a plain file"),
        (lambda path: path.write_bytes(b"x" * (2 * 1024 * 1024 + 1)), "the limit is 1048576"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "UTF-8"),
        (lambda path: path.write_text("---\nengin: shell\n---\n"), "x.md:2:"),
        (lambda path: path.write_text("---\nengine: shell\n"), "x.md:1:"),
    ],
    ids=[
        "a link to a file",
        "a dangling link",
        "a folder",
        "a pipe",
        "2 MB",
        "not UTF-8",
        "an unknown key",
        "an open fence",
    ],
)
def test_what_cannot_be_a_job_says_why_and_does_not_stop_the_others(fleet: Fleet, make, why: str) -> None:  # type: ignore[no-untyped-def]
    make(inbox(fleet.you) / "x.md")
    os.utime(inbox(fleet.you) / "x.md", (time.time() - 60,) * 2, follow_symlinks=False)
    fleet.you.drop("good")
    said = submit(clone_of(fleet.you))
    assert any("x.md" in line and why in line for line in said), said
    assert fleet.job("good")
    assert fleet.job("x") is None
    shown = fleet.you.aq("status").stdout
    assert "not taken in" in shown
    assert why in shown


CANARY = "gh" + "p_" + "A1" * 18


def test_a_file_that_looks_like_a_secret_is_refused_without_repeating_it(fleet: Fleet) -> None:
    fleet.you.drop("x", f"---\nengine: shell\n---\nuse {CANARY}\n")
    said = submit(clone_of(fleet.you))
    assert any("x.md:4: this looks like a secret" in line for line in said)
    assert CANARY not in "".join(said)
    assert fleet.job("x") is None
    assert not list(clone_of(fleet.you).spool.entries())
    assert CANARY not in git(fleet.hub, "log", "-p", "--all")


def test_add_refuses_a_secret_and_allow_secret_lets_it_run(fleet: Fleet) -> None:
    text = f"---\nengine: shell\n---\n: {CANARY}\n"
    refused = fleet.you.aq("add", "-", ok=False, stdin=text)
    assert refused.returncode == 1
    assert "looks like a secret" in refused.stderr
    assert CANARY not in refused.stderr + refused.stdout
    fleet.you.aq("add", "--allow-secret", "--name", "x", "-", stdin=text)
    tale = story(fleet, "ada")
    tale.ledger.fetch()
    (job,) = tale.snapshot.jobs()
    assert job.problem == ""
    tale.do(tale.claim_of(job.id))
    fleet.machine("bob").aq("status")
    assert "INVALID" not in fleet.machine("bob").aq("status").stdout
