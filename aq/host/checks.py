"""Verify: the mechanical checks of a job, run in its workspace, with a structured report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aq.core.manifest import Check, CheckKind
from aq.core.record import CheckResult
from aq.host.process import Child, Exit

_DETAIL = 400
_GIT_STATUS = "git -c core.fsmonitor=false status --porcelain 2> /dev/null"
RunCommand = Callable[[str], tuple[Exit, str]]


def run_checks(
    checks: tuple[Check, ...], workspace: Path, run_command: RunCommand
) -> tuple[CheckResult, ...]:
    """Each check in order; the first that fails ends the list."""
    results: list[CheckResult] = []
    for check in checks:
        result = _run(check, workspace, run_command)
        results.append(result)
        if not result.passed:
            break
    return tuple(results)


def _run(check: Check, workspace: Path, run_command: RunCommand) -> CheckResult:
    name = f"{check.kind} {check.value}" if check.kind is not CheckKind.COMMAND else check.value
    if check.kind is CheckKind.FILE_EXISTS:
        return _file_exists(name, check.value, workspace)
    if check.kind is CheckKind.GIT_CLEAN:
        return _git_clean(name, run_command)
    ended, last = run_command(check.value)
    if ended.stopped:
        return CheckResult(name, passed=False, detail=f"stopped: {ended.stopped}")
    if ended.code == 0:
        return CheckResult(name, passed=True)
    code = ended.signal_name or f"exit code {ended.code}"
    return CheckResult(name, passed=False, detail=f"{code}: {last[-_DETAIL:]}" if last else code)


def _file_exists(name: str, value: str, workspace: Path) -> CheckResult:
    root = workspace.resolve()
    path = (root / value).resolve()
    if not path.is_relative_to(root):
        return CheckResult(name, passed=False, detail="it leaves the workspace")
    return CheckResult(name, passed=path.exists(), detail="" if path.exists() else "there is no such file")


def _git_clean(name: str, run_command: RunCommand) -> CheckResult:
    # In the run's own environment: what the agent planted in its repository may run here.
    ended, last = run_command(_GIT_STATUS)
    if ended.stopped:
        return CheckResult(name, passed=False, detail=f"stopped: {ended.stopped}")
    if ended.code:
        return CheckResult(name, passed=False, detail="not a git work tree")
    return CheckResult(name, passed=not last, detail=f"changed: {last}" if last else "")


def last_line(child: Child) -> str:
    """The last line of output that is not blank."""
    return next((line for line in reversed(child.tail) if line.strip()), "")
