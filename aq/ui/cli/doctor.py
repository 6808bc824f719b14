"""`aq doctor`: what is wrong here or in the queue, and what to do about it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from aq.core.change import Refusal
from aq.core.errors import AqError, FrozenError
from aq.core.event import subject
from aq.core.instants import instant
from aq.core.operations import AcceptRewind, Operation, RemoveStray, Repair
from aq.ui.cli.common import asked, ignored, perform
from aq.ui.diagnosis import queue_findings
from aq.ui.finding import Finding
from aq.ui.out import clean, say, say_json, style
from aq.wiring import Queue, open_queue

if TYPE_CHECKING:
    from aq.host.config import HostConfig

_MIN_GIT = (2, 31)
_COLOURS = {"ok": "green", "note": "yellow", "BAD": "red"}


def doctor(
    fix: bool = typer.Option(
        False, "--fix", help="Do what is safe: repair hand-edited jobs, remove stray files."
    ),
    accept_rewind: bool = typer.Option(
        False, "--accept-rewind", help="Say that the rewound history is the queue from now on."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> int:
    """Exit code 1 when something is bad."""
    with open_queue(Path.cwd()) as queue:
        if accept_rewind:
            _accept(queue)
            return 0
        findings = list(_host_findings(queue))
        if fix:
            findings += _repair(queue)
        findings += _look_at_queue(queue)
    bad = [finding for finding in findings if finding.level == "BAD"]
    if as_json:
        say_json({"findings": [{"level": f.level, "what": f.what, "do": f.do} for f in findings]})
        return 1 if bad else 0
    for finding in findings:
        say(f"{style(finding.level.ljust(4), _COLOURS[finding.level])}  {clean(finding.what)}")
        if finding.do:
            say(f"      {clean(finding.do)}")
    say(f"{len(bad)} bad, {sum(f.level == 'note' for f in findings)} to note")
    return 1 if bad else 0


def _host_findings(queue: Queue) -> Iterator[Finding]:
    import re

    from aq.host.config import load_host_config
    from aq.host.place import config_path
    from aq.ledger.gitproc import check
    from aq.ledger.paths import state_home
    from aq.ledger.remote import is_local
    from aq.ui.confinement import sandbox_findings

    version = check(["--version"])
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    yield Finding(
        "ok" if numbers >= _MIN_GIT else "BAD",
        version,
        "" if numbers >= _MIN_GIT else "install git 2.31 or newer",
    )
    try:
        config = load_host_config()
        where = f"{config_path()}" if config_path().exists() else "no host.yaml: built-in settings"
        yield Finding("ok", f"host {config.name}, {config.slots} slots ({where})")
        yield from _engine_findings(config)
        yield from sandbox_findings(config)
    except AqError as error:
        yield Finding("BAD", f"host config: {error}", "correct the file")
    free = (
        shutil.disk_usage(state_home().parent if state_home().parent.exists() else Path.home()).free / 1024**3
    )
    yield Finding(
        "ok" if free >= 1 else "BAD",
        f"{free:.1f} GiB of disk free",
        "" if free >= 1 else "make room: no job is claimed below min-disk",
    )
    if is_local(queue.config.url) and Path(queue.config.url) == queue.paths.hub:
        yield Finding(
            "note",
            "this machine holds the only copy of the queue",
            "`aq remote set URL` moves it to a forge or another machine",
        )
    trust = queue.ledger.trust
    if trust:
        name = trust.name(queue.ledger.tip)
        yield Finding(
            "ok" if name else "note",
            f"signed commits only; this key is {name or 'of nobody whom the queue knows'}",
            "" if name else "`aq trust init` says how it is let in",
        )
    damaged = list(queue.paths.spool.glob("*.damaged")) if queue.paths.spool.is_dir() else []
    if damaged:
        yield Finding(
            "BAD",
            f"{len(damaged)} damaged spool entries in {queue.paths.spool}",
            "look at them: each holds a submission that never arrived",
        )


def _engine_findings(config: HostConfig) -> Iterator[Finding]:
    from aq.host.engines import engine_problems
    from aq.host.engines.base import Auth
    from aq.host.probe import look_at_engines

    seen = look_at_engines(config)
    ready = [
        f"{name} {probe.version}".strip()
        + ("" if probe.auth is Auth.YES else " (whether it is logged in cannot be seen)")
        for name, (_, probe) in seen.items()
        if probe.auth is not Auth.NO
    ]
    yield Finding(
        "ok" if ready else "BAD",
        f"engines: {', '.join(ready) or 'none'}",
        "" if ready else "install an agent CLI, or allow the shell engine",
    )
    for name, (_, probe) in seen.items():
        if probe.auth is Auth.NO:
            yield Finding(
                "note", f"engine {name} is here and has no credentials", "log in with it, or deny it"
            )
    for problem in engine_problems():
        yield Finding("BAD", str(problem), "correct the file; until then there is no such engine")


def _look_at_queue(queue: Queue) -> list[Finding]:
    try:
        queue.ledger.fetch()
    except FrozenError as error:
        return [Finding("BAD", error.what, error.hint)]
    except AqError as error:
        return [Finding("BAD", error.what, error.hint)]
    snapshot, now = queue.ledger.snapshot(), instant(time.time())
    found = list(queue_findings(snapshot, queue.ledger.beats, now))
    do = "name it NAME.md and put it into queue/inbox, or take it away"
    found += [Finding("note", line, do) for line in ignored(queue)]
    view = queue.clone.view.refresh()
    if view.behind:
        found.append(Finding("note", view.behind, "the queue itself is not harmed"))
    return found or [Finding("ok", f"the queue at {snapshot.tip[:10]} is well")]


def _repair(queue: Queue) -> Iterator[Finding]:
    queue.ledger.fetch()
    snapshot = queue.ledger.snapshot()
    fixes: list[Operation] = [
        RemoveStray(**asked(queue.who.name), path=problem.path) for problem in snapshot.problems
    ]
    for job in snapshot.jobs():
        if job.id in snapshot.distrust.jobs:
            continue  # an admin's word is needed, see `aq trust`
        # A file that never parsed has no good version to go back to: only its author can mend it.
        if job.problem and (job.record.epoch or "out of play" in job.problem or "by hand" in job.problem):
            other = snapshot.find(job.id)
            if (other is not None and other.folder != job.folder) or "this newer file" in job.problem:
                fixes.append(RemoveStray(**asked(queue.who.name), path=f"queue/{job.folder}/{job.id}.md"))
            else:
                fixes.append(Repair(**asked(queue.who.name), job=job.id))
    for fix in fixes:
        try:
            done = perform(queue, fix)
        except AqError as error:
            yield Finding("BAD", f"not repaired: {error.what}", error.hint)
            continue
        yield Finding("ok", done.reason if isinstance(done, Refusal) else subject(done.change.event))


def _accept(queue: Queue) -> None:
    ledger = queue.ledger
    try:
        ledger.fetch()
        say("nothing was rewound: the remote descends from what this clone saw")
        return
    except FrozenError:
        old, new = ledger.rewound
        if not new:
            raise
    ledger.tip = new
    perform(queue, AcceptRewind(**asked(queue.who.name), old=old, new=new))
    say(f"accepted: {old[:12]} -> {new[:12]}; every host goes on")
