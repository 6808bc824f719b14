"""The hostile-repository pack: whatever an agent plants in its workspace, the runner that takes the work
runs none of it, and sees every file that changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aq.core.scope import Kind
from aq.host.baseline import restore
from tests.host.traps import BRANCH, Trap
from tests.support.fleet import git


def fsmonitor(trap: Trap) -> None:
    trap.config("core.fsmonitor")
    trap.config("core.fsmonitorHookVersion", value="1")


def filters(trap: Trap) -> None:
    trap.config("filter.spy.clean", "filter.spy.smudge", "filter.spy.process", "filter.lfs.clean")
    trap.config("filter.spy.required", value="true")
    trap.write(".gitattributes", "* filter=spy\n*.bin filter=lfs\n")


def filters_in_the_clone_only(trap: Trap) -> None:
    trap.config("filter.spy.clean", "filter.spy.process")
    (trap.path / ".git" / "info").mkdir(exist_ok=True)
    (trap.path / ".git" / "info" / "attributes").write_text("* filter=spy diff=spy\n")


def hooks(trap: Trap) -> None:
    trap.hooks(trap.path / ".git" / "hooks")
    trap.hooks(trap.path / "elsewhere")
    trap.config("core.hooksPath", value=str(trap.path / "elsewhere"))


def external_diff(trap: Trap) -> None:
    trap.config("diff.external", "diff.spy.command", "diff.spy.textconv", "merge.spy.driver")
    trap.write(".gitattributes", "* diff=spy merge=spy -text\n")


def ssh_and_pagers(trap: Trap) -> None:
    trap.config("core.sshCommand", "core.gitProxy", "core.pager", "core.editor", "sequence.editor")
    trap.config("core.askPass", "credential.helper", "gpg.program", "core.alternateRefsCommand")
    trap.config("commit.gpgSign", "log.showSignature", value="true")
    trap.config("uploadpack.packObjectsHook", "remote.origin.uploadpack", "remote.origin.receivepack")
    trap.config("remote.origin.url", value=f"ext::{trap.spy}")
    trap.config(f"url.ext::{trap.spy} .insteadOf", value=trap.target.url)


def promisor(trap: Trap) -> None:
    trap.config("core.repositoryFormatVersion", value="1")
    trap.config("extensions.partialClone", value="origin")
    trap.config("remote.origin.promisor", value="true")
    trap.config("remote.origin.url", value=f"ext::{trap.spy}")
    trap.sh("rm -f .git/index; head -c 40 /dev/zero | tr '\\0' b > .git/refs/heads/aq/job/1")


def alternates(trap: Trap) -> None:
    other = trap.root / "other"
    git(trap.root, "init", "--quiet", str(other))
    (trap.path / ".git" / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (trap.path / ".git" / "objects" / "info" / "alternates").write_text(f"{other}/.git/objects\n/dev/zero\n")


def replace_refs(trap: Trap) -> None:
    trap.sh(
        "h=$(git rev-parse HEAD); t=$(git mktree < /dev/null)\n"
        "c=$(git -c user.name=x -c user.email=x@y commit-tree $t -m fake); git replace -f $h $c\n"
        "mkdir -p .git/info; echo $h > .git/info/grafts"
    )


def gitmodules(trap: Trap) -> None:
    trap.write(
        ".gitmodules",
        f'[submodule "x"]\n\tpath = sub\n\turl = ext::{trap.spy}\n\tupdate = !{trap.spy}\n\tignore = none\n',
    )
    trap.config("submodule.x.update", value=f"!{trap.spy}")
    trap.config("submodule.recurse", value="true")
    trap.write("sub/file")


def own_index(trap: Trap) -> None:
    trap.write("README", "changed\n")
    trap.sh("git update-index --assume-unchanged README; git update-index --skip-worktree src/a.py")
    trap.sh(
        "git config core.worktree /; git config core.sparseCheckout true\n"
        "mkdir -p .git/info; echo nothing > .git/info/sparse-checkout"
    )


def hidden_by_excludes(trap: Trap) -> None:
    (trap.path / ".git" / "info").mkdir(exist_ok=True)
    (trap.path / ".git" / "info" / "exclude").write_text("*\n")
    trap.config("core.excludesFile", value="/dev/zero")


def linked_git_dir(trap: Trap) -> None:
    trap.hooks(trap.root / "evil" / "hooks")
    trap.sh(f"mv .git ../evil.git; cp -r ../evil.git/. ../evil; ln -s {trap.root}/evil .git")
    (trap.root / "evil" / "config").write_text(f"[core]\n\tfsmonitor = {trap.spy}\n\tbare = false\n")


def bare_inside(trap: Trap) -> None:
    trap.sh("git init -q --bare inner.git && git -C inner.git config core.fsmonitor $SPY")
    trap.sh("git -C inner.git config core.worktree ..; rm -rf inner.git/hooks")


TRICKS: dict[str, tuple[Callable[[Trap], None], set[str]]] = {
    "a file system monitor": (fsmonitor, set()),
    "clean, smudge and process filters": (filters, {".gitattributes"}),
    "filters of its own attributes file": (filters_in_the_clone_only, set()),
    "hooks, at the usual place and elsewhere": (hooks, {"elsewhere/pre-commit", "elsewhere/pre-push"}),
    "an external diff, a text conversion, a merge driver": (external_diff, {".gitattributes"}),
    "ssh, proxy, pager, editor, helper, signer": (ssh_and_pagers, set()),
    "a promisor that is asked for missing objects": (promisor, set()),
    "alternates": (alternates, set()),
    "replace refs and grafts": (replace_refs, set()),
    "submodule settings": (gitmodules, {".gitmodules", "sub/file"}),
    "an index that hides a change": (own_index, {"README"}),
    "excludes that hide everything": (hidden_by_excludes, set()),
    "a git dir that is a link to another": (linked_git_dir, set()),
    "a bare repository inside": (bare_inside, {"inner.git/config", "inner.git/HEAD"}),
}


@pytest.mark.attack("S14")
@pytest.mark.parametrize(("plant", "more"), TRICKS.values(), ids=TRICKS)
def test_nothing_planted_is_run_and_every_change_is_seen(
    trap: Trap, plant: Callable[[Trap], None], more: set[str]
) -> None:
    plant(trap)
    trap.canary.unlink(missing_ok=True)
    trap.write("new file")
    trap.write("src/a.py", "a = 2\n")
    found = trap.take("src/**")
    assert not trap.canary.exists(), trap.canary.read_text()
    assert found.pushed
    assert {"new file", "src/a.py"} | more <= trap.seen(found)
    assert {"new file"} | more <= set(found.outside)
    assert "src/a.py" not in found.outside
    assert trap.target.show(f"{BRANCH}:src/a.py") == "a = 2"
    assert trap.target.show(f"{BRANCH}:new file") == "kept"
    assert git(trap.target.bare, "rev-parse", f"{BRANCH}~") == trap.workspace.base


@pytest.mark.parametrize("plant", [fsmonitor, filters, hooks, external_diff])
def test_the_traps_are_armed_for_plain_git(trap: Trap, plant: Callable[[Trap], None]) -> None:
    plant(trap)
    trap.canary.unlink(missing_ok=True)
    trap.write("src/a.py", "a = 2\n")
    git(trap.path, "add", "--all", ok=False)
    git(trap.path, "commit", "--quiet", "-m", "x", ok=False)
    git(trap.path, "--no-pager", "show", "--ext-diff", ok=False)
    assert trap.canary.exists()


NESTED = "git init -q nested && cd nested && echo 1 > deep && echo 2 > a.o && git add deep && "
COMMIT = "git -c user.name=x -c user.email=x@y commit -qm inner"


@pytest.mark.attack("S14", "S15")
@pytest.mark.parametrize("commit", [COMMIT, "true"], ids=["with a commit", "without a commit"])
def test_a_nested_repository_becomes_plain_files_and_its_settings_are_not_looked_at(
    trap: Trap, commit: str
) -> None:
    trap.sh(f"{NESTED} {commit}")
    git(trap.path / "nested", "config", "core.fsmonitor", str(trap.spy))
    trap.hooks(trap.path / "nested" / ".git" / "hooks")
    (trap.path / "nested" / "later").write_text("kept\n")
    found = trap.take()
    assert not trap.canary.exists()
    kinds = {change.path: change.kind for change in found.changes}
    assert kinds == {"nested/deep": Kind.ADDED, "nested/later": Kind.ADDED, "nested/a.o": Kind.OUTPUT}
    assert (trap.path / "nested" / ".git").is_dir(), "what the agent has is left alone"
    assert trap.target.show(f"{BRANCH}:nested/deep") == "1"


def test_a_git_folder_planted_in_a_known_folder_hides_nothing(trap: Trap) -> None:
    trap.sh("git init -q src && git -C src config core.fsmonitor $SPY")
    trap.write("src/a.py", "a = 2\n")
    trap.write("src/b.py")
    found = trap.take()
    assert not trap.canary.exists()
    assert trap.seen(found) == {"src/a.py", "src/b.py"}


def test_another_work_tree_of_the_same_repository_is_not_taken_and_told(trap: Trap) -> None:
    trap.sh("git worktree add -q wt -b side")
    trap.write("new")
    found = trap.take()
    assert trap.seen(found) == {"new", "wt/"}
    assert found.warnings == ("wt/: another work tree of the same repository is not taken",)
    assert git(trap.target.bare, "ls-tree", "--name-only", BRANCH, "wt") == ""


def with_submodule(trap: Trap) -> str:
    """A base that has a submodule; the commit that it links to."""
    inner = trap.root / "inner"
    git(trap.root, "init", "--quiet", str(inner))
    (inner / "f").write_text("1\n")
    git(inner, "add", "f")
    git(inner, "commit", "--quiet", "-m", "inner")
    link = git(inner, "rev-parse", "HEAD")
    git(trap.target.seed, "update-index", "--add", "--cacheinfo", f"160000,{link},sub")
    (trap.target.seed / "sub").mkdir()
    (trap.target.seed / "README").write_text("with a submodule\n")
    git(trap.target.seed, "commit", "--quiet", "-am", "submodule")
    git(trap.target.seed, "push", "--quiet", "origin", "HEAD:main")
    trap.workspace = trap.prepare()
    return link


def test_a_submodule_of_the_base_stays_as_it_is_and_what_is_put_into_it_is_told(trap: Trap) -> None:
    link = with_submodule(trap)
    trap.sh(
        f"rmdir sub; git clone -q {trap.root}/inner sub; cd sub; echo 2 > f; git config core.fsmonitor $SPY"
    )
    trap.sh(f"cd sub; {COMMIT.replace('commit', 'commit -a')}")
    trap.write("new")
    found = trap.take("new")
    restore(trap.workspace, found.tip)
    assert not trap.canary.exists()
    assert found.outside == ("sub/",)
    assert git(trap.target.bare, "rev-parse", f"{BRANCH}:sub") == link


@pytest.mark.attack("S14")
@pytest.mark.parametrize("harm", ["rm -rf sub", "rm -rf sub; echo x > sub", "rm -rf sub; ln -s / sub"])
def test_a_submodule_of_the_base_that_was_replaced_hides_nothing(trap: Trap, harm: str) -> None:
    link = with_submodule(trap)
    trap.sh(harm)
    trap.write("new")
    found = trap.take()
    assert trap.seen(found) >= {"new"}
    assert len(trap.seen(found)) < 10, "what a link leads to is not walked"
    assert git(trap.target.bare, "rev-parse", f"{BRANCH}:sub") == link
