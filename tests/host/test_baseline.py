"""The base is verified before the engine begins: once for each base, and nothing of it gets into the work."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aq.core.manifest import Check, CheckKind, Manifest
from aq.core.record import CheckResult, Suite
from aq.core.settle import Ending, Outcome
from aq.core.work import Checked, Ended
from aq.host import baseline
from aq.host.baseline import LASTING_SECONDS, Baseline, Baselines, is_wanted, restore
from aq.host.config import HostConfig
from aq.host.repos import Mirror
from aq.host.workspace import Workspace
from tests.host.fakes import DONE, FENCE, Fake, fake_engine
from tests.host.targets import Target
from tests.support.fleet import git, wait_until

KEY = "a" * 32
RED = Baseline(CheckResult("pytest -q", False, "exit code 1", 1.5, Suite(3, 1, 0, ("t::a",))))


def commands(*lines: str) -> tuple[Check, ...]:
    return tuple(Check(CheckKind.COMMAND, line) for line in lines)


def test_a_result_is_kept_whole(tmp_path: Path) -> None:
    kept = Baselines(tmp_path / "new")
    assert kept.of(KEY) is None
    for found in (RED, Baseline()):
        kept.keep(KEY, found)
        assert Baselines(tmp_path / "new").of(KEY) == found


def test_a_result_does_not_last_for_ever(tmp_path: Path) -> None:
    kept = Baselines(tmp_path)
    kept.keep(KEY, RED)
    old = time.time() - LASTING_SECONDS - 1
    os.utime(tmp_path / f"{KEY}.json", (old, old))
    assert kept.of(KEY) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"failed": 3}', '{"failed": {"check": "x"}}', "\x00"])
def test_a_result_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / f"{KEY}.json").write_text(text)
    assert Baselines(tmp_path).of(KEY) is None


def test_only_the_newest_results_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "_KEPT", 2)
    kept = Baselines(tmp_path)
    for n in range(4):
        kept.keep(str(n), RED)
        os.utime(tmp_path / f"{n}.json", (time.time() - 100 + n,) * 2)
    assert [n for n in range(4) if kept.of(str(n))] == [2, 3]


def test_where_nothing_can_be_kept_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    Baselines(tmp_path / "file").keep(KEY, RED)


GIT, PLAIN = Workspace(Path("/w"), Mirror(Path("/m"), "url"), "c0ffee"), Workspace(Path("/w"))
GOING_ON = Workspace(Path("/w"), Mirror(Path("/m"), "url"), "c0ffee", "beef")
WANTED = {
    "an agent with checks": (Manifest(verify=commands("x")), GIT, "claude", True),
    "no checks": (Manifest(), GIT, "claude", False),
    "a job that does not want it": (Manifest(verify=commands("x"), baseline=False), GIT, "claude", False),
    "work that goes on": (Manifest(verify=commands("x")), GOING_ON, "claude", False),
    "a folder without a base": (Manifest(verify=commands("x")), PLAIN, "claude", False),
    "a script": (Manifest(verify=commands("x")), GIT, "shell", False),
    "a script that wants it": (Manifest(verify=commands("x"), given=("baseline",)), GIT, "shell", True),
}


@pytest.mark.parametrize(("manifest", "workspace", "engine", "wanted"), WANTED.values(), ids=WANTED)
def test_the_base_is_verified_for(
    manifest: Manifest, workspace: Workspace, engine: str, wanted: bool
) -> None:
    assert is_wanted(manifest, workspace, engine) is wanted


def test_a_workspace_is_restored_to_the_letter_and_what_git_ignores_stays(
    tmp_path: Path, target: Target
) -> None:
    target.push(".gitignore", "*.o\n")
    target.push("odd \n ünï.txt", "odd\n")
    mirror = Mirror.of(tmp_path / "mirrors", target.url)
    work = tmp_path / "work"
    git(tmp_path, "clone", "--quiet", target.url, str(work))
    (work / "README").write_text("changed")
    (work / "README").chmod(0o755)
    (work / "odd \n ünï.txt").unlink()
    (work / "new" / "deep").mkdir(parents=True)
    for name in ("new/deep/file", "new \n ünï", "keep.o", ".aider.chat.history.md"):
        (work / name).write_text("x")
    (work / "link").symlink_to(tmp_path / "mirrors")
    git(work, "init", "--quiet", "nested")
    (work / "nested" / "file").write_text("x")
    restore(Workspace(work, mirror, mirror.tip("main")), mirror.tip("main"))
    assert git(work, "status", "--porcelain").split() == ["??", ".aider.chat.history.md", "??", "nested/"]
    assert (work / "keep.o").exists()
    assert not (work / "new").exists()
    assert (tmp_path / "mirrors").is_dir()


def test_a_planted_filter_does_not_run_when_a_workspace_is_restored(tmp_path: Path, target: Target) -> None:
    mirror = Mirror.of(tmp_path / "mirrors", target.url)
    work = tmp_path / "work"
    git(tmp_path, "clone", "--quiet", target.url, str(work))
    for name in ("filter.spy.clean", "filter.spy.smudge", "core.fsmonitor"):
        git(work, "config", name, f"sh -c 'touch {tmp_path}/ran; cat'")
    (work / ".gitattributes").write_text("* filter=spy\n")
    (work / "README").write_text("changed")
    restore(Workspace(work, mirror, mirror.tip("main")), mirror.tip("main"))
    assert not (tmp_path / "ran").exists()
    assert (work / "README").read_text() == "a target\n"


@pytest.fixture
def fake(tmp_path: Path, target: Target) -> Iterator[Fake]:
    config = HostConfig("ada", repos={"target": target.url}, stop_grace=0.5)
    with fake_engine(tmp_path, config) as made:
        yield made


def run(fake: Fake, line: str, body: str = "echo x > new\n", **keys: Any) -> Outcome:
    return fake.run(body + DONE, repo="target", verify=commands("true", line), **keys)


def test_a_red_base_is_named_and_the_engine_works_all_the_same(
    fake: Fake, tmp_path: Path, target: Target
) -> None:
    outcome = run(fake, f"echo x >> {tmp_path}/ran; touch left; echo y > README; test -e new")
    assert (outcome.ending, outcome.baseline) == (
        Ending.DONE,
        f"echo x >> {tmp_path}/ran; touch left; echo y > README; test -e new",
    )
    assert git(target.bare, "ls-tree", "-r", "--name-only", outcome.branch).split() == ["README", "new"]
    assert target.show(f"{outcome.branch}:README") == "a target"


def test_a_base_is_verified_once_on_a_host(fake: Fake, tmp_path: Path, target: Target) -> None:
    line, ran = f"echo x >> {tmp_path}/ran; false", tmp_path / "ran"
    for epoch in (3, 4):
        assert run(fake, line, epoch=epoch).baseline == line
        assert ran.read_text() == "x\n"
    assert run(fake, line, epoch=5, setup="true").baseline == line
    assert ran.read_text() == "x\n" * 2, "another setup is another base"
    target.push("more", "x")
    run(fake, line, epoch=6)
    assert ran.read_text() == "x\n" * 3


def test_a_green_base_says_nothing(fake: Fake) -> None:
    assert run(fake, "true").baseline == ""


def test_a_stop_during_the_check_of_the_base_starts_no_engine(fake: Fake, tmp_path: Path) -> None:
    fake.start(DONE, repo="target", verify=commands(f"touch {tmp_path}/begun; sleep 60"))
    wait_until((tmp_path / "begun").exists, 20)
    fake.bench.stop(FENCE, "stopped by the operator")
    found = wait_until(lambda: fake.bench.take_reports(0.1), 30)[0]
    assert isinstance(found, Ended)
    assert (found.outcome.ending, found.outcome.reason) == (Ending.STOPPED, "stopped by the operator")
    assert fake.briefs == []
    assert list((tmp_path / "state" / "baselines").glob("*.json")) == []


def test_the_engine_and_the_checks_find_what_the_setup_made_whether_the_base_was_known_or_not(
    fake: Fake, target: Target
) -> None:
    line = "test -e made.cfg && grep -q patched README"
    for epoch in (3, 4):
        fence = fake.start(
            f"{line} && echo x > new; {DONE}",
            epoch=epoch,
            repo="target",
            setup="echo cfg > made.cfg; echo patched > README",
            verify=commands(line),
        )
        found = wait_until(lambda: fake.bench.take_reports(0.1), 30, "the end")[0]
        assert isinstance(found, Ended)
        assert found.outcome.baseline == ""
        assert git(target.bare, "diff", "--name-only", "main", found.outcome.tip) == "new"
        fake.bench.verify(fence)
        checked = wait_until(lambda: fake.bench.take_reports(0.1), 30, "the verdict")[0]
        assert isinstance(checked, Checked)
        assert [result.passed for result in checked.checks] == [True]
        fake.bench.finish(fence)
