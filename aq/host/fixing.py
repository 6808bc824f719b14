"""The second half of a run: its checks, and the fix rounds in which the engine gets what they said. Works
on a run in that run's own thread; the runner says when each step may begin."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from aq.core.engine.usage import Usage
from aq.core.fixprompt import fix_prompt
from aq.core.judge import Progress, red_before, rounds_of
from aq.core.record import CheckResult
from aq.core.secrecy.secrets import redact
from aq.core.settle import Ending, Outcome
from aq.core.value import replace
from aq.core.work import Checked, Fixed
from aq.host.artifacts import collect
from aq.host.asking import ask
from aq.host.baseline import Baseline, Baselines, baseline_of, is_wanted, restore
from aq.host.checks import Checks, Place, check_all
from aq.host.gitproc import WorkspaceError
from aq.host.logfile import note
from aq.host.ownfiles import write_own
from aq.host.process import Exit
from aq.host.run import FIX, OVER, Run
from aq.host.sessions import Session


def judge(run: Run) -> None:
    """Run the checks and report them; then what the runner asks for, until the run is settled."""
    while True:
        done = _verified(run)
        if not _askable(run) or done.failed is None:
            return
        step = run.next_step()
        if step == FIX:
            outcome = _fixed(run, done)
            run.kit.report(Fixed(run.order.fence, run.round, done.results, outcome))
            if outcome.ending is not Ending.DONE:
                return
            step = run.next_step()
        if step == OVER:
            return


def _askable(run: Run) -> bool:
    """Whether the engine can be asked again: not where it never worked."""
    return not run.order.verify_tip and rounds_of(run.order.manifest, run.order.engine) > 0


def _verified(run: Run) -> Checks:
    order, last = run.order, run.outcome
    done = _checks(run)
    keep_artifacts(run)
    if run.stop_reason:
        run.kit.report(Checked(order.fence, (), run.stop_reason))
        return Checks()
    progress = Progress(
        run.round,
        _askable(run),
        last.usd if last else None,
        last.tokens if last else None,
        run.seconds,
        run.baseline.failed if run.baseline else None,
        last.tip if last else order.verify_tip,
    )
    run.kit.report(Checked(order.fence, done.results, progress=progress))
    return done


def _checks(run: Run) -> Checks:
    """Run the job's checks in the run's workspace."""
    workspace, manifest = run.workspace, run.order.manifest
    assert workspace
    shell = shutil.which("sh") or "sh"

    def command(line: str) -> tuple[Exit, Sequence[str]]:
        child = run.spawn((shell, "-c", line), workspace, run.environment())
        ended = child.wait(manifest.timeout)
        return ended, tuple(child.tail)

    def clean(text: str) -> str:
        return redact(text, run.kit.secrets)

    return check_all(manifest.verify, Place(workspace.path, command, manifest.artifacts, clean))


def keep_artifacts(run: Run) -> None:
    """Copy what the job asks for beside its log."""
    workspace, fence, kit = run.workspace, run.order.fence, run.kit
    if workspace:
        target = kit.logs / fence.job / str(fence.epoch) / "artifacts"
        patterns = run.order.manifest.artifacts
        collect(workspace.path, patterns, target, lambda text: redact(text, kit.secrets), kit.secrets)


def check_base(run: Run) -> Baseline | None:
    """What the checks say before the engine begins; None when it is not asked, or was stopped. Raises
    WorkspaceError."""
    manifest, workspace = run.order.manifest, run.workspace
    assert workspace
    if run.stop_reason or not is_wanted(manifest, workspace, run.order.engine):
        return None
    kept = Baselines(run.kit.runs.parent / "baselines")
    return baseline_of(manifest, workspace, kept, lambda: _checks(run))


def _fixed(run: Run, done: Checks) -> Outcome:
    """One fix round: the engine again, in the same workspace and within what is left of its budget."""
    workspace, before = run.workspace, run.outcome
    failed = done.failed
    assert workspace
    assert before
    assert failed
    run.round += 1
    try:
        if workspace.mirror:
            # What the checks left there is not the engine's work.
            restore(workspace, run.whole)
    except (WorkspaceError, OSError) as error:
        return Outcome(Ending.INFRA, reason=f"workspace: {error}")
    if run.stop_reason:
        ending = Ending.FENCED if run.stop_reason == "fenced" else Ending.STOPPED
        return Outcome(ending, reason=run.stop_reason)
    session = _session(run)
    _tell(run, failed, done.output, resumed=session is not None)
    outcome = ask(run, session)
    if before.tip and not outcome.tip and outcome.ending is Ending.DONE:
        return replace(outcome, ending=Ending.FAILED, failure="agent", reason="it took all its work back")
    return outcome


def _tell(run: Run, failed: CheckResult, output: Sequence[str], *, resumed: bool) -> None:
    """Write the prompt of the round, and a line into the log for people."""
    known = run.kit.secrets
    text = fix_prompt(
        run.order.prompt,
        failed,
        output,
        number=run.round,
        most=run.order.manifest.fix_max,
        resumed=resumed,
        red_before=red_before(run.baseline.failed if run.baseline else None, failed),
    )
    run.prompt = run.dir.path / f"prompt-fix{run.round}.md"
    write_own(run.prompt, redact(text, known))
    words = redact(f"[aq] fix round {run.round}: {failed.words}", known)
    note(run.kit.log_path(run.order.fence), words)


def _session(run: Run) -> Session | None:
    """The engine's session to go on with, if it has one that can."""
    report = run.played.report if run.played else None
    if report is None or not report.session or not run.engine.resumes:
        return None
    return Session(run.order.engine, report.session, report.session_usage or Usage())
