"""Rule 9: the task branch first, then the queue operation that names its tip; delivery is its own fact."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from aq.core.operations import Delivered, Hold, ResumeJob, Ship
from aq.host.workspace import Wanted, Workspace, Workspaces
from tests.support.fleet import Fleet, git, op, wait_until
from tests.support.story import TIP, story

CODE = "---\nengine: shell\nrepo: code\nverify: test -f made\n---\n{body}\n"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A target repository with one commit."""
    bare = tmp_path / "code.git"
    git(tmp_path, "init", "--quiet", "--bare", "-b", "main", str(bare))
    work = tmp_path / "code"
    git(tmp_path, "clone", "--quiet", str(bare), str(work))
    (work / "a").write_text("a\n")
    git(work, "add", "a")
    git(work, "commit", "--quiet", "-m", "first")
    git(work, "push", "--quiet", "origin", "HEAD:main")
    return bare


def test_a_landing_is_refused_while_its_tip_is_not_on_the_remote(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.building("x")
    refusal = tale.refusal(tale.land_of("x", TIP, pushed=False))
    assert "is not on its remote" in refusal.reason
    assert not refusal.done
    assert tale.job("x").stage is Stage.BUILDING
    tale.do(tale.land_of("x", TIP, pushed=True))
    job = tale.job("x")
    assert (job.record.branch, job.record.tip) == ("aq/x/1", TIP)
    assert tale.event().get("Aq-Branch") == "aq/x/1"


def test_a_task_branch_is_create_only_and_a_taken_name_gets_the_nonce(code: Path, tmp_path: Path) -> None:
    taken = git(code, "rev-parse", "main")
    git(code, "branch", "aq/x/1", taken)
    work = _prepared(tmp_path, code)
    captured = work.capture("aq/x/1", "c0ffee99", lambda commits: "work\n")
    assert (captured.branch, captured.pushed) == ("aq/x/1-c0ff", True)
    assert git(code, "rev-parse", "aq/x/1") == taken, "the other commit is left alone"
    assert git(code, "rev-parse", "aq/x/1-c0ff") == captured.tip


def test_a_capture_that_cannot_push_says_so(code: Path, tmp_path: Path) -> None:
    work = _prepared(tmp_path, code)
    hook = code / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    captured = work.capture("aq/x/1", "c0ffee99", lambda commits: "work\n")
    assert captured.tip
    assert not captured.pushed


def test_pushing_the_same_work_again_is_no_conflict(code: Path, tmp_path: Path) -> None:
    work = _prepared(tmp_path, code)
    first = work.capture("aq/x/1", "c0ffee99", lambda commits: "work\n")
    assert git(code, "rev-parse", "aq/x/1") == first.tip
    assert work.mirror
    assert work.mirror.create("aq/x/1", first.tip), "the remote has it: that is what counts"


def test_a_host_pushes_the_branch_before_the_queue_names_it(
    fleet: Fleet, code: Path, hermetic_home: Path
) -> None:
    (hermetic_home / "host.yaml").write_text(f"repos: {{code: {code}}}\n")
    record = fleet.root / "at-landing"
    hook = fleet.hub / "hooks" / "update"
    look = f"env -u GIT_DIR -u GIT_QUARANTINE_PATH git --git-dir={code} rev-parse refs/heads/aq/x/1"
    hook.write_text(
        f'#!/bin/sh\ngit log -1 --format=%B "$3" | grep -q "^Aq-Op: land$" && {look} >{record}\nexit 0\n'
    )
    hook.chmod(0o755)
    fleet.you.drop("x", CODE.format(body="touch made"))
    fleet.start("ada", "--slots", "1")
    fleet.you.aq("status")
    job = wait_until(
        lambda: (found := fleet.job("x")) and found.stage is Stage.TESTING and found, 30, "x in testing"
    )
    assert job
    assert record.read_text().strip() == job.record.tip == git(code, "rev-parse", "aq/x/1")


@pytest.mark.parametrize("deliver", ["merge", "pr"])
def test_shipping_work_that_is_to_be_delivered_says_wanted_not_delivered(fleet: Fleet, deliver: str) -> None:
    tale = story(fleet)
    tale.shipped("x", f"---\nengine: shell\ndeliver: {deliver}\n---\ntrue\n", TIP)
    record = tale.job("x").record
    assert (record.delivery, record.delivered) == ("wanted", "")
    tale.do(Delivered(**op("ada"), job="x", oid="cd" * 20))
    record = tale.job("x").record
    assert (record.delivery, record.delivered) == ("delivered", "cd" * 20)
    tale.refusal(Delivered(**op("bob"), job="x", oid="ef" * 20))
    assert tale.job("x").record.delivered == "cd" * 20


def test_shipping_a_branch_job_asks_for_no_delivery(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.shipped("x", tip=TIP)
    assert tale.job("x").record.delivery == ""
    tale.refusal(Delivered(**op("ada"), job="x", oid="cd" * 20))


def test_a_conflict_holds_the_shipped_job_until_a_person_resumes_it(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.shipped("x", "---\nengine: shell\ndeliver: merge\n---\ntrue\n", TIP)
    tale.do(Hold(**op("ada"), job="x", reason="conflict in a.py"))
    assert tale.job("x").record.hold
    tale.do(ResumeJob(**op(), job="x"))
    record = tale.job("x").record
    assert (record.hold, record.delivery) == (None, "wanted")


def test_a_dependant_of_merged_work_waits_for_the_delivery(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.testing("base", "---\nengine: shell\ndeliver: merge\n---\ntrue\n", TIP)
    tale.inbox("next", "---\nengine: shell\ndeps: [base]\n---\ntrue\n")
    assert "needs base shipped" in tale.refusal(tale.claim_of("next")).reason
    tale.do(Ship(**op(), job="base"))
    assert "needs base delivered" in tale.refusal(tale.claim_of("next")).reason
    tale.do(Delivered(**op("ada"), job="base", oid="cd" * 20))
    tale.do(tale.claim_of("next"))


def test_a_host_delivers_shipped_work_to_the_target_branch_and_reads_it_back(
    fleet: Fleet, code: Path, hermetic_home: Path
) -> None:
    (hermetic_home / "host.yaml").write_text(f"repos: {{code: {code}}}\n")
    fleet.you.drop(
        "x", CODE.format(body="touch made").replace("repo: code\n", "repo: code\ndeliver: merge\n")
    )
    fleet.start("ada", "--slots", "1")
    fleet.you.aq("status")
    wait_until(lambda: (job := fleet.job("x")) and job.stage is Stage.TESTING, 30, "x in testing")
    assert git(code, "ls-tree", "--name-only", "main") == "a", "nothing is delivered before a person ships"
    fleet.you.aq("ship", "x")
    job = wait_until(
        lambda: (found := fleet.job("x")) and found.record.delivered and found, 30, "the delivery"
    )
    assert job
    assert git(code, "ls-tree", "--name-only", "main").splitlines() == ["a", "made"]
    assert git(code, "merge-base", "--is-ancestor", job.record.tip, "main") == ""
    assert job.record.delivered == git(code, "rev-parse", "main")


def _prepared(tmp_path: Path, code: Path) -> Workspace:
    folder = tmp_path / "run"
    folder.mkdir()
    work = Workspaces(tmp_path / "state").prepare(folder, Wanted(source=str(code)), "aq/x/1")
    (work.path / "made").write_text("made\n")
    return work
