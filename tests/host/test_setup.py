"""`setup:` prepares the workspace once; with the same lock files the next run takes over what it made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from aq.core.lease import Fence
from aq.core.manifest import Check, CheckKind, Manifest
from aq.core.settle import Ending
from aq.core.work import Checked, Ended, Order, Report
from aq.host.bench import Bench
from aq.host.config import HostConfig
from tests.host.targets import Target
from tests.support.fleet import git, wait_until

MAKE = "echo x >> count; mkdir -p deps/a; echo made > deps/a/lib; ln -s lib deps/a/link"


@dataclass
class Stage:
    """A host, and a repository with a lock file."""

    bench: Bench
    root: Path
    target: Target
    epoch: int = 0

    def run(self, setup: str, body: str = "true", **more: object) -> Ended:
        self.epoch += 1
        fence = Fence("job", "ada", self.epoch, "abcdef")
        keys = {name: more.pop(name) for name in ("verify", "base", "allowed_scope") if name in more}
        manifest = Manifest(engine="shell", repo="target", setup=setup, sandbox="off", **keys)  # type: ignore[arg-type]
        self.bench.start(Order(fence, 1, "shell", manifest, body, "x\n", "A job", **more))  # type: ignore[arg-type]
        found = self.report()
        assert isinstance(found, Ended)
        return found

    def report(self) -> Report:
        return wait_until(lambda: self.bench.take_reports(0.2), 30, "a report")[0]

    @property
    def work(self) -> Path:
        return self.root / "state" / "runs" / "job" / str(self.epoch) / "work"

    @property
    def log(self) -> str:
        return (self.root / "logs" / "job" / f"{self.epoch}.log").read_text()

    @property
    def cached(self) -> bool:
        return "setup taken from an earlier run" in self.log


@pytest.fixture
def stage(tmp_path: Path, target: Target) -> Iterator[Stage]:
    target.push(".gitignore", "deps/\ncount\n")
    target.push("thing.lock", "1\n")
    config = HostConfig("ada", repos={"target": target.url}, stop_grace=0.5)
    made = Stage(Bench(config, tmp_path / "state", tmp_path / "logs"), tmp_path, target)
    yield made
    for fence in made.bench.running:
        made.bench.finish(fence)


def test_the_engine_finds_what_the_setup_made_and_it_is_no_work(stage: Stage) -> None:
    found = stage.run(MAKE, "cat deps/a/lib")
    assert found.outcome.ending is Ending.DONE
    assert (found.outcome.tip, found.outcome.outside) == ("", ())
    assert stage.log.endswith("made\n")


def test_with_the_same_lock_files_it_is_not_run_again_but_all_is_there(stage: Stage) -> None:
    stage.run(MAKE)
    stage.run(MAKE, "cat deps/a/link; readlink deps/a/link; cat count; echo poison > deps/a/lib")
    assert stage.cached
    assert stage.log.endswith("made\nlib\nx\n")
    stage.run(MAKE, "cat deps/a/lib")
    assert stage.log.endswith("made\n"), "what a run writes never reaches another"


@pytest.mark.parametrize("change", ["a lock file", "the command"])
def test_another_lock_file_or_command_runs_it_again(stage: Stage, change: str) -> None:
    stage.run(MAKE)
    if change == "a lock file":
        stage.target.push("thing.lock", "2\n")
    stage.run(MAKE if change == "a lock file" else f"{MAKE}; true")
    assert not stage.cached


NOT_KEPT = {
    "a file that names its own place": f'{MAKE}; echo "$PWD/deps" > deps/where',
    "a link that names its own place": f'{MAKE}; ln -s "$PWD/count" deps/where',
    "an installation that leads back": f"{MAKE}; mkdir deps/x.egg-info; touch deps/x.egg-info/top",
    "a file that git sees": f"{MAKE}; touch new",
    "a changed file": f"{MAKE}; echo 2 >> README",
    "nothing at all": "true",
}


@pytest.mark.parametrize("setup", NOT_KEPT.values(), ids=NOT_KEPT)
def test_what_would_be_wrong_elsewhere_is_made_anew(stage: Stage, setup: str) -> None:
    stage.run(setup)
    stage.run(setup)
    assert not (stage.root / "logs" / "job" / "2.log").exists() or not stage.cached


def test_without_a_lock_file_nobody_knows_what_would_be_installed(stage: Stage) -> None:
    stage.target.push("thing.lock", "")
    os.unlink(stage.target.seed / "thing.lock")
    stage.target.push("README", "no lock\n")
    stage.run(MAKE)
    stage.run(f"{MAKE}; true")
    assert not (stage.root / "state" / "setup").exists()


def test_what_an_agent_had_a_hand_in_is_not_kept(stage: Stage) -> None:
    partial = stage.run("", "echo half > work.txt").outcome.tip
    stage.run(MAKE, start_from=partial)
    stage.run(MAKE)
    assert not (stage.root / "logs" / "job" / "3.log").exists() or not stage.cached


POISON = {
    "work of another job is merged into its base": ("main", True),
    "its base is the branch of a run": ("aq/dep/1", False),
}


@pytest.mark.parametrize(("base", "under"), POISON.values(), ids=POISON)
def test_what_is_set_up_on_an_agents_work_reaches_no_other_job(stage: Stage, base: str, under: bool) -> None:
    setup = "sh ./prepare"
    stage.target.push("prepare", "mkdir deps; echo good > deps/lib\n")
    stage.target.push("prepare", "mkdir deps; echo poison > deps/lib\n", "aq/dep/1")
    work = stage.target.tip("aq/dep/1")
    stage.run(setup, "cat deps/lib", base=base, under=(work,) if under else ())
    assert stage.log.endswith("poison\n")
    stage.run(setup, "cat deps/lib")
    assert stage.log.endswith("good\n")
    stage.run(setup, "cat deps/lib", base=base, under=(work,) if under else ())
    assert stage.log.endswith("poison\n"), "nor is another job's taken for it"


def test_what_one_branch_sets_up_reaches_no_other(stage: Stage) -> None:
    setup = "sh ./prepare"
    stage.target.push("prepare", "mkdir deps; echo one > deps/lib\n")
    stage.target.push("prepare", "mkdir deps; echo two > deps/lib\n", "next")
    stage.run(setup)
    stage.run(setup, "cat deps/lib", base="next")
    assert stage.log.endswith("two\n")
    stage.run(setup, "cat deps/lib")
    assert stage.cached


def test_a_setup_that_fails_is_told_with_its_last_words_and_no_engine_starts(stage: Stage) -> None:
    outcome = stage.run("echo no such package; exit 4", "touch ran").outcome
    assert (outcome.ending, outcome.failure, outcome.reason) == (
        Ending.FAILED,
        "unknown",
        "setup: exit code 4: no such package",
    )
    assert not (stage.work / "ran").exists()


def test_a_verify_alone_is_set_up_as_well(stage: Stage) -> None:
    stage.target.push("new", "x\n", "aq/job/7")
    stage.epoch += 1
    fence = Fence("job", "ada", stage.epoch, "abcdef")
    check = Check(CheckKind.COMMAND, "cat deps/a/lib")
    manifest = Manifest(engine="shell", repo="target", setup=MAKE, verify=(check,), sandbox="off")
    tip = stage.target.tip("aq/job/7")
    stage.bench.start(
        Order(fence, 1, "shell", manifest, "x", "x\n", "A job", verify_branch="aq/job/7", verify_tip=tip)
    )
    found = stage.report()
    assert isinstance(found, Checked)
    assert [result.passed for result in found.checks] == [True], found


SEEN = "echo cfg > made; mkdir more; echo 1 > more/a; echo 2 > more/b; echo patched >> README; rm thing.lock"
WORK = {
    "nothing": ("true", ""),
    "a file of its own": ("echo x > new", "A new"),
    "what the setup made": ("echo x >> more/a", "A more/a"),
    "what the setup changed": ("echo mine >> README", "M README"),
    "what the setup made, taken away": ("rm more/b", ""),
    "what the setup took away, made again": ("echo 3 > thing.lock", "M thing.lock"),
    "a folder in place of a file of the setup": ("rm made; mkdir made; echo x > made/x", "A made/x"),
}


@pytest.mark.parametrize(("body", "changed"), WORK.values(), ids=WORK)
def test_what_the_setup_did_and_nobody_touched_since_is_no_work(
    stage: Stage, body: str, changed: str
) -> None:
    outcome = stage.run(SEEN, body, allowed_scope=("new", "more/*", "made/*", "thing.lock")).outcome
    assert outcome.ending is Ending.DONE
    assert bool(outcome.tip) is bool(changed)
    assert outcome.outside == (("README",) if "README" in changed else ())
    if changed:
        found = git(stage.target.bare, "diff", "--name-status", "main", outcome.tip)
        assert found.split() == changed.split()


@pytest.mark.parametrize("body", ["echo x >> README/a", "echo x > README/new"])
def test_work_in_a_folder_that_the_setup_made_of_a_file_is_kept(stage: Stage, body: str) -> None:
    tip = stage.run("rm README; mkdir README; echo 1 > README/a; echo 2 > README/b", body).outcome.tip
    found = git(stage.target.bare, "diff", "--no-renames", "--name-status", "main", tip).split()
    assert found == ["D", "README", "A", body.split()[-1]]


def test_a_setup_whose_files_cannot_be_taken_has_failed(stage: Stage) -> None:
    outcome = stage.run("rm -rf ../work; ln -s / ../work", "touch ran").outcome
    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "setup: the workspace was replaced")
