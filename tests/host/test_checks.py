"""Verify steps: each kind says passed or what is wrong, and the first failure ends the list."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from aq.core.manifest import Check, CheckKind
from aq.core.record import CheckResult, Suite
from aq.core.value import replace
from aq.host.checks import Checks, Place, check_all
from aq.host.process import Child, Exit
from tests.support.fleet import git

COMMAND, EXISTS, PASSES, CLEAN = (
    CheckKind.COMMAND,
    CheckKind.FILE_EXISTS,
    CheckKind.TEST_PASSES,
    CheckKind.GIT_CLEAN,
)


class Shell:
    """Runs command lines in a folder as a run does, and remembers them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ran: list[str] = []

    def __call__(self, line: str) -> tuple[Exit, tuple[str, ...]]:
        self.ran.append(line)
        env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
        child = Child(
            ("sh", "-c", line), cwd=self.root, env=env, log=self.root.parent / "log", run_id=f"check-{line}"
        )
        ended = child.wait(60)
        return ended, tuple(child.tail)

    def checks(self, *checks: Check, artifacts: tuple[str, ...] = ()) -> Checks:
        return check_all(checks, Place(self.root, self, artifacts, lambda text: text.replace("hush", "***")))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "work").mkdir()
    return Shell(tmp_path / "work")


def check(shell: Shell, kind: CheckKind, value: str = "true") -> CheckResult:
    """How one check went, whatever time it took."""
    (found,) = shell.checks(Check(kind, value)).results
    return replace(found, seconds=0.0)


def test_a_command_that_ends_with_0_passes(shell: Shell) -> None:
    assert check(shell, COMMAND, "true") == CheckResult("true", passed=True)


FAILURES = {
    "an exit code": ("exit 3", "exit code 3"),
    "an exit code and its last words": ("echo a; echo two left; exit 3", "exit code 3: two left"),
    "a signal": ("kill -s KILL $$", "SIGKILL"),
    "no such command": ("no-such-command-here", "exit code 127"),
}


@pytest.mark.parametrize(("line", "detail"), FAILURES.values(), ids=FAILURES)
def test_a_command_that_fails_says_how(shell: Shell, line: str, detail: str) -> None:
    found = check(shell, COMMAND, line)
    assert (found.check, found.passed) == (line, False)
    assert found.detail.startswith(detail)


def test_long_last_words_are_cut_from_the_front(shell: Shell) -> None:
    found = check(shell, COMMAND, "printf 'x%.0s' $(seq 900); echo END; exit 1")
    assert found.detail.endswith("xEND")
    assert len(found.detail) < 450


def test_test_passes_is_a_command_with_a_name(shell: Shell) -> None:
    assert check(shell, PASSES, "exit 0") == CheckResult("test_passes exit 0", passed=True)
    assert not check(shell, PASSES, "exit 1").passed


def test_a_stopped_check_is_told_as_stopped_whatever_its_exit_code(shell: Shell) -> None:
    place = Place(shell.root, lambda line: (Exit(0, "timeout"), ("fine",)))
    (found,) = check_all((Check(COMMAND, "x"),), place).results
    assert found == CheckResult("x", passed=False, detail="stopped: timeout")


PLACES = {
    "a file": ("here", True, ""),
    "a folder": ("sub", True, ""),
    "a file in a folder": ("sub/below", True, ""),
    "a path that comes back": ("sub/../here", True, ""),
    "nothing": ("gone", False, "there is no such file"),
    "a file above": ("../above", False, "it leaves the workspace"),
    "an absolute path": ("/etc/hostname", False, "it leaves the workspace"),
    "a link that leaves": ("out", False, "it leaves the workspace"),
    "through a link to a folder": ("away/above", False, "it leaves the workspace"),
}


@pytest.mark.parametrize(("value", "passed", "detail"), PLACES.values(), ids=PLACES)
def test_file_exists_looks_inside_the_workspace_only(
    shell: Shell, value: str, passed: bool, detail: str
) -> None:
    root = shell.root
    (root / "here").touch()
    (root / "sub").mkdir()
    (root / "sub" / "below").touch()
    (root.parent / "above").touch()
    (root / "out").symlink_to(root.parent / "above")
    (root / "away").symlink_to(root.parent)
    assert check(shell, EXISTS, value) == CheckResult(f"file_exists {value}", passed, detail)


@pytest.fixture
def repository(shell: Shell) -> Path:
    git(shell.root, "init", "--quiet")
    (shell.root / "file").write_text("x\n")
    git(shell.root, "add", ".")
    git(shell.root, "commit", "--quiet", "-m", "x")
    return shell.root


def test_git_clean_passes_without_changes(shell: Shell, repository: Path) -> None:
    assert check(shell, CLEAN) == CheckResult("git_clean true", passed=True)


@pytest.mark.parametrize("name", ["file", "new"], ids=["a changed file", "a new file"])
def test_git_clean_names_what_is_not_committed(shell: Shell, repository: Path, name: str) -> None:
    (repository / name).write_text("changed\n")
    found = check(shell, CLEAN)
    assert not found.passed
    assert found.detail.startswith("changed: ")
    assert found.detail.endswith(f" {name}")


def test_git_clean_outside_git_fails(shell: Shell) -> None:
    assert check(shell, CLEAN) == CheckResult("git_clean true", passed=False, detail="not a git work tree")


def test_what_the_agent_planted_in_its_repository_never_sees_this_hosts_environment(
    shell: Shell, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = repository.parent / "seen"
    monkeypatch.setenv("HOST_CANARY", "of-the-host")
    for name in ("filter.spy.clean", "core.fsmonitor"):
        git(repository, "config", name, f"sh -c 'env >> {seen}; cat'")
    (repository / ".git" / "info" / "attributes").write_text("* filter=spy\n")
    subprocess.run(("touch", "-d", "2001-01-01", str(repository / "file")), check=True)
    check(shell, CLEAN)
    assert not seen.exists() or "of-the-host" not in seen.read_text()


def test_the_first_failure_ends_the_list(shell: Shell) -> None:
    done = shell.checks(Check(COMMAND, "true"), Check(EXISTS, "gone"), Check(COMMAND, "touch ran"))
    assert [result.passed for result in done.results] == [True, False]
    assert done.failed == done.results[-1]
    assert shell.ran == ["true"]


def test_no_checks_give_no_results(shell: Shell) -> None:
    assert shell.checks() == Checks()
    assert Checks().failed is None


def test_the_last_lines_of_the_last_check_are_kept_and_its_time_is_taken(shell: Shell) -> None:
    done = shell.checks(Check(COMMAND, "echo fine"), Check(COMMAND, "echo one; echo two; sleep 0.1; exit 1"))
    assert done.output == ("one", "two")
    assert 0.1 <= done.results[1].seconds < 5


def report(*failed: str, passed: int = 1, skipped: int = 0) -> str:
    """A command that writes a test report."""
    cases = [f"<testcase name='{name}'><failure/></testcase>" for name in failed]
    cases += ["<testcase name='p'/>"] * passed + ["<testcase><skipped/></testcase>"] * skipped
    return f'echo "<testsuite>{"".join(cases)}</testsuite>" > report.xml'


def test_a_failed_command_says_which_tests_failed(shell: Shell) -> None:
    found = check(shell, COMMAND, report("a", "hush", skipped=1) + "; echo last words; exit 1")
    assert found.detail == "exit code 1: 2 of 4 tests failed (1 skipped): a, ***"
    assert found.suite == Suite(4, 2, 1, ("a", "***"))


def test_a_command_passes_by_its_exit_code_whatever_a_report_says(shell: Shell) -> None:
    found = check(shell, COMMAND, report("a"))
    assert (found.passed, found.suite) == (True, Suite(2, 1, 0, ("a",)))


STRICT = {
    "tests failed": (report("a"), "exit code 0, but 1 of 2 tests failed: a"),
    "no test ran": (report(passed=0, skipped=2), "exit code 0, but no test ran"),
    "a test passed": (report(skipped=1), ""),
    "there is no report": ("true", ""),
    "it failed": (report("a") + "; exit 3", "exit code 3: 1 of 2 tests failed: a"),
}


@pytest.mark.parametrize(("line", "detail"), STRICT.values(), ids=STRICT)
def test_test_passes_believes_the_report_before_the_exit_code(shell: Shell, line: str, detail: str) -> None:
    found = check(shell, PASSES, line)
    assert (found.passed, found.detail) == (not detail, detail)


@pytest.mark.parametrize("value", ["round", "round/below", "n" * 300, "here/below/it"])
def test_a_file_that_cannot_be_there_is_a_failed_check(shell: Shell, value: str) -> None:
    (shell.root / "round").symlink_to("round")
    (shell.root / "here").touch()
    assert not check(shell, EXISTS, value).passed
