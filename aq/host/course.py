"""The course of one run, in a thread of its own: a workspace, the engine, and the checks once the landing is
in the queue. It reports facts; what they mean is decided in core."""

from __future__ import annotations

import contextlib
import os

from aq.core.settle import Ending, Outcome
from aq.core.work import Checked, Ended
from aq.host.asking import ask
from aq.host.fixing import check_base, judge, keep_artifacts
from aq.host.gitproc import WorkspaceError
from aq.host.logfile import note
from aq.host.ownfiles import write_own
from aq.host.repos import ConflictError
from aq.host.resuming import place_of, session_of
from aq.host.run import OVER, Run
from aq.host.setting_up import SetupError, set_up


def follow(run: Run) -> None:
    """Take a run from its beginning to its end. Raises nothing: whatever happens is reported."""
    order, judging = run.order, bool(run.order.verify_tip)
    try:
        run.dir.create(run.note)
        write_own(run.prompt, order.prompt)
        if run.confinement.remark:
            note(run.kit.log_path(order.fence), run.confinement.remark)
        if judging:
            _take_up(run)
        elif not _landed(run):
            return
        judging = True
        judge(run)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        failed = Checked(order.fence, (), what)
        run.kit.report(failed if judging else Ended(order.fence, Outcome(Ending.INFRA, reason=what)))
    finally:
        _put_away(run)


def _landed(run: Run) -> bool:
    """Whether the engine did its work, and that is in the queue."""
    outcome = _work(run)
    done = outcome.ending is Ending.DONE
    if not done:
        keep_artifacts(run)
    run.kit.report(Ended(run.order.fence, outcome))
    return done and run.next_step() != OVER


def _work(run: Run) -> Outcome:
    run.probe = run.engine.probe(os.environ)
    try:
        if refused := run.kit.refused_cwd(run.order.manifest):
            raise WorkspaceError(refused)
        run.confinement.check()
        run.workspace = run.kit.workspaces.prepare(place_of(run), run.kit.wanted(run.order), run.branch)
        set_up(run)
        run.baseline = check_base(run)
    except ConflictError as error:
        return Outcome(Ending.HELD, reason=f"its base: {error.what}")
    except SetupError as error:
        return Outcome(Ending.FAILED, "unknown", error.what)
    except (WorkspaceError, OSError) as error:
        return Outcome(Ending.INFRA, reason=f"workspace: {error}")
    if run.stop_reason:
        return Outcome(Ending.STOPPED, reason=run.stop_reason)
    return ask(run, session_of(run))


def _take_up(run: Run) -> None:
    """Fetch the work that another host landed and did not verify."""
    order, wanted = run.order, run.kit.wanted(run.order)
    run.workspace = run.kit.workspaces.at_branch(run.dir.path, wanted, order.verify_branch, order.verify_tip)
    set_up(run)


def _put_away(run: Run) -> None:
    run.dir.finish()
    if run.lasting:
        run.kit.sessions.end(run.order.fence.job)
    if run.workspace:
        with contextlib.suppress(WorkspaceError, OSError):
            run.kit.workspaces.set_aside(run.workspace)
