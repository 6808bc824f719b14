"""`aq init` makes or joins a queue, and may be repeated (DESIGN section 4)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aq.core.errors import AqError
from aq.core.lifecycle import Stage
from aq.ledger.setup import Made, check_branch, initialize
from aq.ledger.store import load_config
from tests.support.fleet import HELLO, Fleet, git


def aq(folder: Path, *args: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "aq", *args], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or not ok, done.stdout + done.stderr
    return done


def bare(folder: Path, *options: str) -> Path:
    git(folder, "init", "--quiet", "--bare", "-b", "main", *options, "hub.git")
    return folder / "hub.git"


def code_repository(folder: Path) -> Path:
    """A repository of code with a commit on main and an origin of its own."""
    git(folder, "init", "--quiet", "--bare", "-b", "main", "code.git")
    code = folder / "code"
    git(folder, "clone", "--quiet", "code.git", "code")
    (code / "a.py").write_text("a = 1\n")
    git(code, "add", "a.py")
    git(code, "commit", "--quiet", "-m", "first")
    git(code, "push", "--quiet", "origin", "HEAD:main")
    return code


def test_a_plain_init_makes_a_queue_with_a_hub_of_its_own(tmp_path: Path) -> None:
    made = initialize(tmp_path / "q")
    assert made.created
    assert made.config.url == str(tmp_path / "q/.git/aq/hub.git")
    assert made.config.remote == "origin"
    assert "only copy" in made.note
    clone = made.paths.clone
    assert git(clone, "status", "--porcelain") == ""
    for stage in Stage:
        assert (clone / "queue" / stage / ".gitkeep").is_file()
    assert (clone / ".gitattributes").read_text() == "queue/** -text\n"
    assert git(clone, "check-attr", "text", "queue/inbox/x.md").endswith("unset")
    assert git(clone, "rev-parse", "HEAD") == git(clone, "rev-parse", "origin/main")
    (clone / "logs" / "x").mkdir(parents=True)
    (clone / "logs" / "x" / "1.log").write_text("log\n")
    assert git(clone, "status", "--porcelain", "--untracked-files=all") == "", "logs are ignored"
    assert not list(clone.glob("queue/**/__init__.py"))


def test_init_with_an_empty_remote_starts_the_queue_there(tmp_path: Path) -> None:
    hub = bare(tmp_path)
    made = initialize(tmp_path / "q", str(hub))
    assert made.created
    assert made.note == ""
    assert git(hub, "rev-parse", "main") == git(made.paths.clone, "rev-parse", "HEAD")
    assert git(hub, "for-each-ref", "--format=%(refname)") == "refs/heads/main", "the probe leaves nothing"


def test_init_with_a_remote_that_has_a_queue_joins_it(fleet: Fleet, tmp_path: Path) -> None:
    before = fleet.tip()
    made = initialize(tmp_path / "second", str(fleet.hub))
    assert not made.created
    assert fleet.tip() == before
    assert git(made.paths.clone, "rev-parse", "HEAD") == before


def test_init_in_a_plain_git_clone_of_a_queue_joins_it(fleet: Fleet, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", str(fleet.hub), "cloned")
    made = initialize(tmp_path / "cloned")
    assert (made.created, made.config.url, made.config.remote) == (False, str(fleet.hub), "origin")


def test_a_repeated_init_is_harmless(fleet: Fleet, tmp_path: Path) -> None:
    first = initialize(tmp_path / "q")
    (tmp_path / "q/queue/inbox/x.md").write_text(HELLO)
    tip = git(first.paths.hub, "rev-parse", "main")
    again = initialize(tmp_path / "q")
    assert not again.created
    assert again.config == first.config
    assert git(first.paths.hub, "rev-parse", "main") == tip
    assert (tmp_path / "q/queue/inbox/x.md").read_text() == HELLO
    joined = initialize(fleet.you.path, str(fleet.hub))
    assert not joined.created
    assert load_config(fleet.you.paths) == joined.config


def test_init_from_a_folder_inside_the_clone_is_the_same_queue(tmp_path: Path) -> None:
    first = initialize(tmp_path / "q")
    assert initialize(tmp_path / "q" / "queue" / "inbox").paths.clone == first.paths.clone


def test_a_code_repository_gets_a_work_tree_beside_it_and_keeps_its_origin(tmp_path: Path) -> None:
    code = code_repository(tmp_path)
    main, origin = git(code, "rev-parse", "main"), git(code, "remote", "get-url", "origin")
    made = initialize(code, branch="queue")
    assert made.paths.clone == tmp_path / "code-queue"
    assert git(code, "rev-parse", "main") == main
    assert git(code, "status", "--porcelain") == ""
    assert git(code, "symbolic-ref", "--short", "HEAD") == "main"
    assert git(code, "remote", "get-url", "origin") == origin
    assert made.config.remote == "aq"
    assert git(tmp_path / "code.git", "for-each-ref", "--format=%(refname:short)") == "main", (
        "nothing is pushed unasked"
    )
    beside = made.paths.clone
    assert git(beside, "symbolic-ref", "--short", "HEAD") == "queue"
    assert not (beside / "a.py").exists(), "the queue branch does not carry the code"
    assert git(beside, "rev-list", "--count", "HEAD") == "1"
    again = initialize(code, branch="queue")
    assert (again.created, again.paths.clone) == (False, beside)


def test_a_queue_beside_code_works_end_to_end_from_both_folders(tmp_path: Path) -> None:
    code = code_repository(tmp_path)
    said = aq(code, "init", "--branch", "queue").stdout
    assert str(tmp_path / "code-queue") in said
    beside = tmp_path / "code-queue"
    aq(beside, "add", "--engine", "shell", "--name", "x", "true")
    assert "x" in aq(code, "status").stdout
    aq(beside, "run", "--until-idle", "--host", "ada")
    assert '"review": 1' in aq(beside, "status", "--json").stdout
    assert git(code, "status", "--porcelain") == ""


def test_a_code_repositorys_origin_is_the_hub_only_when_asked(tmp_path: Path) -> None:
    code = code_repository(tmp_path)
    made = initialize(code, str(tmp_path / "code.git"), branch="queue")
    assert made.config.remote == "origin"
    assert git(tmp_path / "code.git", "rev-parse", "queue") == git(made.paths.clone, "rev-parse", "HEAD")
    other = tmp_path / "other"
    joined = initialize(other, str(tmp_path / "code.git"), branch="queue")
    assert not joined.created


@pytest.mark.parametrize("branch", ["aq", "aq/x", "aq/x/y", "-x", "a..b", "x.lock", "a b", ""])
def test_a_branch_that_would_block_task_branches_or_is_no_name_is_refused(
    tmp_path: Path, branch: str
) -> None:
    with pytest.raises(AqError) as error:
        initialize(tmp_path / "q", branch=branch)
    assert error.value.hint
    assert not (tmp_path / "q").exists()


@pytest.mark.parametrize("branch", ["main", "queue", "aqua", "team/queue", "aq-queue"])
def test_an_ordinary_branch_is_taken(branch: str) -> None:
    assert check_branch(branch) == branch


@pytest.mark.attack("S13")
@pytest.mark.parametrize("url", ["-oops", "ext::sh -c touch% x", "a\nb"])
def test_a_remote_that_git_would_take_for_something_else_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(AqError):
        initialize(tmp_path / "q", url)


def test_a_remote_that_is_away_is_try_later(tmp_path: Path) -> None:
    (tmp_path / "q").mkdir()
    done = aq(tmp_path / "q", "init", "--remote", str(tmp_path / "nowhere.git"), ok=False)
    assert done.returncode == 75
    assert "cannot be reached" in done.stderr


@pytest.mark.attack("S14")
def test_init_does_not_run_the_clones_hooks_or_take_staged_files(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "-b", "main", "q")
    hook = tmp_path / "q/.git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    (tmp_path / "q/private").write_text("mine\n")
    git(tmp_path / "q", "add", "private")
    made = initialize(tmp_path / "q")
    assert "private" not in git(made.paths.hub, "ls-tree", "--name-only", "main")


def test_remote_set_moves_the_queue_and_leaves_the_old_hub(tmp_path: Path) -> None:
    made: Made = initialize(tmp_path / "q")
    q = tmp_path / "q"
    aq(q, "add", "--engine", "shell", "--name", "x", "true")
    hub = bare(tmp_path)
    aq(q, "remote", "set", "../hub.git")
    tip = git(made.paths.hub, "rev-parse", "main")
    assert git(hub, "rev-parse", "main") == tip
    assert git(q, "remote", "get-url", "origin") == str(hub)
    aq(q / "queue", "add", "--engine", "shell", "--name", "y", "true")
    assert git(hub, "rev-list", "--count", "main") == "3"
    assert git(made.paths.hub, "rev-parse", "main") == tip
    joined = initialize(tmp_path / "second", str(hub))
    assert not joined.created
    assert "only copy" not in aq(q, "doctor", ok=False).stdout


def test_remote_set_refuses_a_remote_that_holds_something_else(fleet: Fleet, tmp_path: Path) -> None:
    initialize(tmp_path / "q")
    aq(tmp_path / "q", "status")
    done = aq(tmp_path / "q", "remote", "set", str(fleet.hub), ok=False)
    assert done.returncode == 1
    assert "did not take the queue" in done.stderr
    assert load_config(initialize(tmp_path / "q").paths).url == str(tmp_path / "q/.git/aq/hub.git")


def test_a_hub_that_refuses_other_refs_gets_its_beats_in_branches(tmp_path: Path) -> None:
    hub = bare(tmp_path)
    hook = hub / "hooks" / "update"
    hook.write_text('#!/bin/sh\ncase "$1" in refs/heads/*) exit 0;; esac\nexit 1\n')
    hook.chmod(0o755)
    made = initialize(tmp_path / "q", str(hub))
    assert made.config.beats == "branches"
    assert made.config.beat_refs == "refs/heads/aq-hosts"
    aq(tmp_path / "q", "add", "--engine", "shell", "true")
    aq(tmp_path / "q", "run", "--until-idle", "--host", "ada")
    assert git(hub, "rev-parse", "refs/heads/aq-hosts/ada")


def test_a_second_queue_in_one_repository_is_refused(tmp_path: Path) -> None:
    made = initialize(tmp_path / "q")
    with pytest.raises(AqError, match="has a queue already, on its branch main"):
        initialize(tmp_path / "q", branch="other")
    assert load_config(made.paths) == made.config


def test_a_repeated_init_keeps_to_the_branch_of_the_queue(tmp_path: Path) -> None:
    made = initialize(tmp_path / "q", branch="jobs")
    assert initialize(tmp_path / "q").config == made.config


@pytest.mark.parametrize("kind", ["another repository", "a plain folder", "a work tree of another branch"])
def test_a_folder_beside_the_code_that_is_somebody_elses_is_left_alone(tmp_path: Path, kind: str) -> None:
    code = code_repository(tmp_path)
    beside = tmp_path / "code-queue"
    if kind == "another repository":
        git(tmp_path, "init", "--quiet", "-b", "queue", "code-queue")
    elif kind == "a plain folder":
        beside.mkdir()
    else:
        git(code, "worktree", "add", "--quiet", "-b", "other", str(beside))
    (beside / "theirs").write_text("kept\n")
    before = sorted(path.name for path in beside.iterdir())
    with pytest.raises(AqError, match="is in the way"):
        initialize(code, branch="queue")
    assert sorted(path.name for path in beside.iterdir()) == before


def test_a_branch_with_code_does_not_become_a_queue(tmp_path: Path) -> None:
    code_repository(tmp_path)
    hub = tmp_path / "code.git"
    before = git(hub, "rev-parse", "main")
    with pytest.raises(AqError, match="a branch main that is no queue"):
        initialize(tmp_path / "q", str(hub))
    assert git(hub, "rev-parse", "main") == before


def test_a_branch_with_what_a_forge_puts_there_becomes_a_queue(tmp_path: Path) -> None:
    code = code_repository(tmp_path)
    git(code, "mv", "a.py", "README.md")
    git(code, "commit", "--quiet", "-m", "first words")
    git(code, "push", "--quiet", "origin", "main")
    assert initialize(tmp_path / "q", str(tmp_path / "code.git")).created


def test_the_last_line_of_a_persons_files_stays_a_line(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "-b", "main", "q")
    attributes, exclude = tmp_path / "q/.gitattributes", tmp_path / "q/.git/info/exclude"
    attributes.write_bytes(b"# caf\xe9\n*.png binary")
    exclude.write_bytes(b"mine")
    initialize(tmp_path / "q")
    initialize(tmp_path / "q")
    assert attributes.read_bytes() == b"# caf\xe9\n*.png binary\nqueue/** -text\n"
    assert exclude.read_bytes() == b"mine\n/logs/*/\n"
