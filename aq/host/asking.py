"""Asking an engine once: launched within what is left of the run's limits, watched, and what it left
captured."""

from __future__ import annotations

from aq.core.settle import Outcome
from aq.host.checks import command_lines
from aq.host.engines.base import Brief
from aq.host.outcome import outcome_of
from aq.host.resuming import keep_session
from aq.host.run import Run
from aq.host.sessions import Session
from aq.host.supervise import Played, Watch, write_files
from aq.host.workspace import Workspace


def ask(run: Run, session: Session | None) -> Outcome:
    """Ask the engine once, and capture what it left."""
    assert run.workspace
    run.played = _played(run, run.workspace, session)
    run.outcome = outcome_of(run, run.played)
    keep_session(run, run.played, run.outcome)
    return run.outcome


def _played(run: Run, workspace: Workspace, session: Session | None) -> Played:
    engine, brief = run.engine, _brief(run, workspace, session)
    launch = engine.launch(brief)
    write_files(launch)
    watch = Watch(engine.parser(), run.limits, brief.session, session.usage if session else None)
    run.watched(watch)
    env = {**run.environment(engine.env), **launch.env}
    try:
        seen = watch if engine.verdict else None
        child = run.spawn(launch.argv, workspace, env, launch.stdin, seen, engine.name)
        watch.attach(child)
        ended = child.wait(float("inf"), watch.tick)
        played = watch.finish(child, ended, launch.artifact)
    finally:
        run.watch = None
    run.used = run.used.plus(played.report.usage)
    run.seconds += played.seconds
    return played


def _brief(run: Run, workspace: Workspace, session: Session | None) -> Brief:
    manifest, limits = run.order.manifest, run.limits
    return Brief(
        run.order.body,
        run.prompt,
        run.dir.path,
        workspace.path,
        path=run.probe.path,
        model=manifest.model,
        yolo=manifest.yolo,
        session=session.session if session else "",
        usd=limits.usd,
        tokens=limits.tokens,
        wall=min(limits.timeout, limits.wall or limits.timeout),
        commands=(*command_lines(manifest.verify), *run.kit.config.commands),
        judged=bool(manifest.verify),
        labels=manifest.labels,
        sandboxed=run.confinement.on,
    )
