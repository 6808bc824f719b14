"""Mirrors: merging without a work tree, create-only branches, and delivery that is read back."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aq.host.gitproc import WorkspaceError
from aq.host.gitproc import git as runner_git
from aq.host.repos import ConflictError, Mirror
from tests.host.targets import Target
from tests.support.fleet import git, wait_until
from tests.support.processes import gone


@pytest.fixture
def mirror(tmp_path: Path, target: Target) -> Mirror:
    return Mirror.of(tmp_path / "mirrors", target.url)


def work(mirror: Mirror, name: str, text: str, base: str = "") -> str:
    """A commit of aq's in the mirror, with one more file than its base."""
    base = base or mirror.tip("main")
    blob = mirror.must("hash-object", "-w", "--stdin", data=text.encode())
    listed = mirror.must("ls-tree", base).splitlines()
    entries = {line.split("\t")[1]: line for line in listed} | {name: f"100644 blob {blob}\t{name}"}
    tree = mirror.must("mktree", data=("\n".join(entries.values()) + "\n").encode())
    return mirror.commit(tree, base, f"work on {name}\n")


def test_a_mirror_follows_the_repositorys_branches(mirror: Mirror, target: Target) -> None:
    later = target.push("more", "x\n")
    assert not mirror.has(later)
    mirror.fetch()
    assert mirror.tip("main") == later
    assert mirror.default_branch == "main"


def test_a_branch_that_was_deleted_there_is_unknown_here(mirror: Mirror, target: Target) -> None:
    target.push("more", "x\n", "topic")
    mirror.fetch()
    assert mirror.tip("topic")
    git(target.bare, "branch", "-D", "topic")
    mirror.fetch()
    with pytest.raises(WorkspaceError, match="has no branch topic"):
        mirror.tip("topic")


def test_a_clone_without_a_branch_of_its_own_has_no_default_branch(tmp_path: Path, target: Target) -> None:
    git(tmp_path, "clone", "--quiet", str(target.bare), "clone")
    clone = tmp_path / "clone"
    assert Mirror.of(tmp_path / "mirrors", str(clone)).default_branch == "main"
    git(clone, "switch", "--quiet", "--detach")
    with pytest.raises(WorkspaceError, match="has no default branch"):
        _ = Mirror.of(tmp_path / "mirrors", str(clone)).default_branch


def test_a_repository_that_is_not_there_is_infrastructure(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"^git fetch failed: "):
        Mirror.of(tmp_path / "mirrors", str(tmp_path / "nowhere.git"))


def test_no_helper_of_a_git_that_ran_out_of_time_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung, note = tmp_path / "hung", tmp_path / "pid"
    hung.write_text(f"#!/bin/sh\necho $$ > {note}.new\nmv {note}.new {note}\nexec tail -f /dev/null\n")
    hung.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(hung))
    with pytest.raises(WorkspaceError, match=r"^git ls-remote did not end within 2 s$"):
        runner_git("--git-dir=/nowhere", "ls-remote", "ssh://far.invalid/r.git", timeout=2)
    helper = int(wait_until(lambda: note.exists() and note.read_text()))
    wait_until(lambda: gone(helper), 10)


def left_behind(mirror: Mirror, name: str) -> Path:
    """A file of a git process that was killed a minute ago."""
    path = mirror.path / name
    path.write_text("")
    os.utime(path, (time.time() - 60,) * 2)
    return path


@contextmanager
def at_work(mirror: Mirror) -> Iterator[None]:
    """A git process that works in the mirror."""
    command = ["git", f"--git-dir={mirror.path}", "hash-object", "--stdin-paths"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        yield
        assert process.stdin
        process.stdin.close()


@pytest.mark.parametrize("lock", ["refs/target/main.lock", "packed-refs.lock"])
def test_a_lock_of_a_git_that_was_killed_stops_no_fetch(mirror: Mirror, target: Target, lock: str) -> None:
    target.push("more", "x\n", "topic")
    mirror.fetch()
    git(target.bare, "branch", "-D", "topic")
    later = target.push("more", "y\n")
    path = left_behind(mirror, lock)
    mirror.fetch()
    assert mirror.tip("main") == later
    assert not mirror.does("rev-parse", "--verify", "refs/target/topic")
    assert not path.exists()


def test_a_lock_that_a_live_git_may_own_stays(mirror: Mirror, target: Target) -> None:
    later = target.push("more", "x\n")
    lock = mirror.path / "refs/target/main.lock"
    with at_work(mirror):
        lock.write_text("")
        with pytest.raises(WorkspaceError, match="File exists"):
            mirror.fetch()
        assert lock.exists()
        left_behind(mirror, "refs/target/main.lock")
        mirror.fetch()
        assert mirror.tip("main") == later


def test_half_a_pack_goes_when_no_live_git_can_be_writing_it(mirror: Mirror) -> None:
    old = left_behind(mirror, "objects/pack/tmp_pack_old")
    with at_work(mirror):
        young = mirror.path / "objects" / "pack" / "tmp_pack_young"
        young.write_text("")
        mirror.fetch()
        assert young.exists()
        assert not old.exists()


def test_two_sources_have_two_mirrors(tmp_path: Path, target: Target, mirror: Mirror) -> None:
    assert Mirror.of(tmp_path / "mirrors", f"{target.url}/").path != mirror.path


def test_merged_is_the_line_that_contains_the_other(mirror: Mirror) -> None:
    base = mirror.tip("main")
    ahead = work(mirror, "new", "x\n")
    assert mirror.merged(ahead, base, "m\n") == ahead
    assert mirror.merged(base, ahead, "m\n") == ahead
    assert mirror.merged(base, base, "m\n") == base


def test_two_lines_become_a_merge_with_both(mirror: Mirror) -> None:
    ours, theirs = work(mirror, "a", "a\n"), work(mirror, "b", "b\n")
    whole = mirror.merged(ours, theirs, "both\n")
    assert mirror.must("rev-list", "--parents", "-1", whole).split() == [whole, ours, theirs]
    assert mirror.must("ls-tree", "--name-only", whole).split() == ["README", "a", "b"]
    assert mirror.must("log", "-1", "--format=%an|%cn|%s", whole) == "aq|aq|both"


def test_lines_that_contradict_each_other_are_a_conflict_that_names_the_files(mirror: Mirror) -> None:
    ours, theirs = work(mirror, "a", "one\n"), work(mirror, "a", "two\n")
    with pytest.raises(ConflictError, match=r"^conflict in a; ") as caught:
        mirror.merged(ours, theirs, "both\n")
    assert caught.value.hint == "merge it by hand, or reject the job"


def test_a_merge_with_a_commit_that_is_not_here_is_infrastructure(mirror: Mirror) -> None:
    with pytest.raises(WorkspaceError):
        mirror.merged(mirror.tip("main"), "0" * 40, "m\n")


def test_a_branch_is_made_once_and_never_moved(mirror: Mirror, target: Target) -> None:
    first, second = work(mirror, "a", "1\n"), work(mirror, "a", "2\n")
    assert mirror.create("aq/job/1", first)
    assert mirror.create("aq/job/1", first), "the same again is fine"
    assert not mirror.create("aq/job/1", second)
    assert not mirror.create("aq/job/1", work(mirror, "b", "x\n", first)), "not even forward"
    assert target.tip("aq/job/1") == first


def test_a_branch_is_there_though_the_reply_was_lost(mirror: Mirror, target: Target) -> None:
    target.hook("post-receive", "exit 1")
    tip = work(mirror, "a", "1\n")
    assert mirror.create("aq/job/1", tip)


def test_a_refused_branch_is_no_branch(mirror: Mirror, target: Target) -> None:
    target.hook("pre-receive", "exit 1")
    assert not mirror.create("aq/job/1", work(mirror, "a", "1\n"))


def test_a_branch_brings_its_own_commits_only_though_the_repository_moved_on(
    mirror: Mirror, target: Target
) -> None:
    for n in range(20):
        target.push(f"old-{n}", f"{n}\n")
    mirror.fetch()
    tip = work(mirror, "a", "1\n")
    target.push("new", "meanwhile\n")
    git(target.bare, "config", "receive.unpackLimit", "1")
    assert mirror.create("aq/job/1", tip)
    packs = dict(line.split(": ") for line in git(target.bare, "count-objects", "-v").splitlines())
    assert int(packs["in-pack"]) == 3


@pytest.mark.attack("S14")
def test_hooks_of_the_mirror_are_not_run(mirror: Mirror, tmp_path: Path) -> None:
    hook = mirror.path / "hooks" / "pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    assert mirror.create("aq/job/1", work(mirror, "a", "1\n"))
    assert not (tmp_path / "ran").exists()


def test_delivery_moves_the_branch_forward_and_reads_it_back(mirror: Mirror, target: Target) -> None:
    tip = work(mirror, "a", "1\n")
    assert mirror.deliver(tip, "main", "merge\n") == tip == target.tip()


def test_delivery_merges_with_what_came_meanwhile(mirror: Mirror, target: Target) -> None:
    tip = work(mirror, "a", "1\n")
    target.push("b", "2\n")
    whole = mirror.deliver(tip, "main", "merge\n")
    assert target.tip() == whole
    assert (target.show("main:a"), target.show("main:b")) == ("1", "2")


def test_work_that_is_in_already_is_delivered(mirror: Mirror, target: Target) -> None:
    tip = work(mirror, "a", "1\n")
    mirror.deliver(tip, "main", "merge\n")
    git(target.seed, "pull", "--quiet", "origin", "main")
    later = target.push("b", "2\n")
    assert mirror.deliver(tip, "main", "merge\n") == later == target.tip()


def test_delivery_that_loses_a_race_merges_again(mirror: Mirror, target: Target, tmp_path: Path) -> None:
    tip = work(mirror, "a", "1\n")
    rival = work(mirror, "b", "2\n")
    mirror.create("rival", rival)
    once = tmp_path / "once"
    once.touch()
    target.hook(
        "pre-receive",
        f"[ -e {once} ] || exit 0\nrm {once}\nunset GIT_QUARANTINE_PATH\n"
        f"git update-ref refs/heads/main {rival}",
    )
    whole = mirror.deliver(tip, "main", "merge\n")
    assert not once.exists(), "there was a race"
    assert target.tip() == whole
    assert (target.show("main:a"), target.show("main:b")) == ("1", "2")


def test_delivery_that_conflicts_touches_nothing(mirror: Mirror, target: Target) -> None:
    tip = work(mirror, "a", "one\n")
    before = target.push("a", "two\n")
    with pytest.raises(ConflictError, match="conflict in a"):
        mirror.deliver(tip, "main", "merge\n")
    assert target.tip() == before


def test_a_refused_delivery_is_for_a_person_and_tells_the_remotes_words(
    mirror: Mirror, target: Target
) -> None:
    before = target.tip()
    target.hook("update", "exit 1")
    with pytest.raises(ConflictError, match=r"did not take it: .*hook declined") as caught:
        mirror.deliver(work(mirror, "a", "1\n"), "main", "merge\n")
    assert caught.value.hint == "deliver it by hand"
    assert target.tip() == before


def test_delivery_to_a_branch_that_is_not_there_says_so(mirror: Mirror) -> None:
    with pytest.raises(WorkspaceError, match="has no branch release"):
        mirror.deliver(mirror.tip("main"), "release", "merge\n")
