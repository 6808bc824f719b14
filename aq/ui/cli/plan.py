"""`aq plan`: what the fleet would do next."""

from __future__ import annotations

import time
from collections.abc import Iterator

import typer

from aq.core.instants import instant
from aq.core.planning.plan import Plan
from aq.ui.cli.common import here
from aq.ui.out import clean, say, say_json, style
from aq.ui.routing import Routing, score_json

_LISTED = 20


def plan(
    all_jobs: bool = typer.Option(False, "--all", "-a", help="List every waiting job, not the first 20."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show which host would take which job now. Nothing is changed."""
    with here(fetch=True) as queue:
        planned = Routing(queue.ledger.snapshot(), queue.ledger.beats, instant(time.time())).plan()
    if as_json:
        say_json(_as_json(planned))
        return
    for line in _lines(planned, None if all_jobs else _LISTED):
        say(line)


def _as_json(planned: Plan) -> dict[str, object]:
    return {
        "assignments": [
            {"job": a.job, "host": a.host, "engine": a.engine, "verify": a.verify, **score_json(a.score)}
            for a in planned.assignments
        ],
        "waiting": dict(planned.waiting),
        "preemptions": [{"job": p.job, "victim": p.victim, "host": p.host} for p in planned.preemptions],
    }


def _lines(planned: Plan, limit: int | None) -> Iterator[str]:
    for a in planned.assignments:
        what = "verify" if a.verify else a.engine
        yield f"{style(clean(a.job), 'bold')} -> {clean(a.host)} ({clean(what)})"
        if a.score:
            yield style(f"    {clean(str(a.score))}", "dim")
    for p in planned.preemptions:
        yield f"{style(clean(p.job), 'bold')} {clean(p.words)}"
    if not planned.assignments and not planned.preemptions:
        yield "No job starts now."
    taking = {p.job for p in planned.preemptions}
    waiting = [(job, reason) for job, reason in planned.waiting.items() if job not in taking]
    for job, reason in waiting[:limit]:
        yield f"{clean(job)} waits: {clean(reason)}"
    if limit is not None and len(waiting) > limit:
        yield style(f"… {len(waiting) - limit} more: `aq plan --all`", "dim")
