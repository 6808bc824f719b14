"""Verify: the mechanical checks of a job, run in its workspace, with a structured report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from aq.core.manifest import Check, CheckKind, Manifest
from aq.core.record import CheckResult, Suite
from aq.core.value import Value, field, replace
from aq.host.config import HostConfig
from aq.host.junit import Reports, in_words
from aq.host.process import Exit

_DETAIL = 400
_GIT_STATUS = "git -c core.fsmonitor=false status --porcelain 2> /dev/null"
_LINES = (CheckKind.COMMAND, CheckKind.TEST_PASSES)
# A command line's end, and the last lines of its output, fit to be kept.
RunCommand = Callable[[str], tuple[Exit, Sequence[str]]]


def command_lines(checks: Sequence[Check]) -> tuple[str, ...]:
    """The lines that these checks run."""
    return tuple(check.value for check in checks if check.kind in _LINES)


def refused_command(manifest: Manifest, config: HostConfig) -> str:
    """Why the owner of this machine does not let a job's commands run, or nothing. A script of the shell
    engine is no line that could be listed."""
    if config.job_commands == "any":
        return ""
    if "shell" in (manifest.engine, manifest.engine_class):
        return f"host.yaml has `job-commands: {config.job_commands}`, and the shell engine runs scripts"
    listed = [line.strip() for line in config.commands] if config.job_commands == "listed" else []
    asked = (*command_lines(manifest.verify), *((manifest.setup,) if manifest.setup else ()))
    wrong = next((line for line in asked if line.strip() not in listed), "")
    return f"host.yaml does not allow the command {wrong!r} (job-commands, commands)" if wrong else ""


class Place(Value):
    """Where checks run, and how. `artifacts` are the job's patterns: test reports may be among them;
    `clean` takes secrets out of words that a check left in files."""

    workspace: Path
    run_command: RunCommand
    artifacts: tuple[str, ...] = ()
    clean: Callable[[str], str] = field(default=str)


class Checks(Value):
    """The results in order, and the last lines of output of the last check."""

    results: tuple[CheckResult, ...] = ()
    output: tuple[str, ...] = ()

    @property
    def failed(self) -> CheckResult | None:
        """The check that failed, if one did."""
        return next((result for result in self.results if not result.passed), None)


def check_all(checks: tuple[Check, ...], place: Place) -> Checks:
    """Each check in order; the first that fails ends the list."""
    results: list[CheckResult] = []
    output: tuple[str, ...] = ()
    for check in checks:
        began = time.monotonic()
        result, lines = _run(check, place)
        results.append(replace(result, seconds=round(time.monotonic() - began, 2)))
        output = tuple(lines)
        if not result.passed:
            break
    return Checks(tuple(results), output)


def _run(check: Check, place: Place) -> tuple[CheckResult, Sequence[str]]:
    name = f"{check.kind} {check.value}" if check.kind is not CheckKind.COMMAND else check.value
    match check.kind:
        case CheckKind.FILE_EXISTS:
            return _file_exists(name, check.value, place.workspace), ()
        case CheckKind.GIT_CLEAN:
            return _git_clean(name, place.run_command)
        case _:
            return _command(name, check, place)


def _command(name: str, check: Check, place: Place) -> tuple[CheckResult, Sequence[str]]:
    """A command passes when it ends with 0. `test_passes` asks more where there is a report: tests ran,
    and none failed, whatever the exit code says."""
    reports = Reports(place.workspace, check.value, place.artifacts)
    ended, lines = place.run_command(check.value)
    if ended.stopped:
        return CheckResult(name, passed=False, detail=f"stopped: {ended.stopped}"), lines
    suite = _cleaned(reports.collect(), place.clean)
    detail = _wrong(ended, suite, last_line(lines), strict=check.kind is CheckKind.TEST_PASSES)
    return CheckResult(name, passed=not detail, detail=detail, suite=suite), lines


def _wrong(ended: Exit, suite: Suite | None, last: str, *, strict: bool) -> str:
    """What is wrong with how a command ended, or nothing."""
    failing = in_words(suite) if suite and suite.failed else ""
    if ended.code:
        code = ended.signal_name or f"exit code {ended.code}"
        words = failing[:_DETAIL] or last[-_DETAIL:]
        return f"{code}: {words}" if words else code
    if not strict or suite is None:
        return ""
    if failing:
        return f"exit code 0, but {failing[:_DETAIL]}"
    return "exit code 0, but no test ran" if suite.total == suite.skipped else ""


def _cleaned(suite: Suite | None, clean: Callable[[str], str]) -> Suite | None:
    return replace(suite, names=tuple(map(clean, suite.names))) if suite else None


def _file_exists(name: str, value: str, workspace: Path) -> CheckResult:
    try:
        root = workspace.resolve()
        path = (root / value).resolve()
        if not path.is_relative_to(root):
            return CheckResult(name, passed=False, detail="it leaves the workspace")
        there = path.exists()
    except (OSError, RuntimeError, ValueError):
        # A link to itself, or a name that no file can have.
        return CheckResult(name, passed=False, detail="it leads nowhere")
    return CheckResult(name, passed=there, detail="" if there else "there is no such file")


def _git_clean(name: str, run_command: RunCommand) -> tuple[CheckResult, Sequence[str]]:
    # In the run's own environment: what the agent planted in its repository may run here.
    ended, lines = run_command(_GIT_STATUS)
    if ended.stopped:
        return CheckResult(name, passed=False, detail=f"stopped: {ended.stopped}"), lines
    if ended.code:
        return CheckResult(name, passed=False, detail="not a git work tree"), lines
    last = last_line(lines)
    return CheckResult(name, passed=not last, detail=f"changed: {last}" if last else ""), lines


def last_line(lines: Sequence[str]) -> str:
    """The last line of output that is not blank."""
    return next((line for line in reversed(lines) if line.strip()), "")
