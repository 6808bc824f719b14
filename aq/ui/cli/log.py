"""`aq log`: the timeline, rebuilt from commits."""

from __future__ import annotations

import typer

from aq.core.errors import AqError
from aq.core.event import subject
from aq.core.instants import instant
from aq.ui.cli.common import complete_jobs, here
from aq.ui.out import clean, say, say_json, style


def log(
    job: str = typer.Argument(
        "", help="The job's id; without it, the whole queue.", autocompletion=complete_jobs
    ),
    limit: int = typer.Option(0, "--limit", "-n", min=0, help="At most so many, the newest."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show what happened, oldest first."""
    with here(fetch=True) as queue:
        found = queue.ledger.history.events(queue.ledger.tip, job, limit or (0 if job else 50))
        trust = queue.ledger.trust
        flawed = trust.at(queue.ledger.tip).flawed if trust else {}
    if job and not found:
        raise AqError(f"no commit names {job}", "`aq status --all` lists the jobs")
    entries = []
    for oid, info, event in reversed(found):
        words = (
            subject(event) if event else f"by hand: {info.message.splitlines()[0] if info.message else ''}"
        )
        details = dict(event.extra) if event else {}
        entries.append(
            {
                "commit": oid,
                "at": instant(info.time),
                "what": words,
                "op": event.op if event else "",
                "by": event.by if event else "",
                "from": event.source if event else None,
                "to": event.target if event else None,
                "details": details,
                "distrusted": flawed[oid].why if oid in flawed else "",
            }
        )
    if as_json:
        say_json({"job": job, "events": entries})
        return
    for entry in entries:
        move = (
            f"{entry['from'] or 'new'} -> {entry['to']}"
            if entry["to"] and entry["from"] != entry["to"]
            else ""
        )
        commit = style(str(entry["commit"])[:10], "yellow")
        why = f"  (not obeyed: it {clean(str(entry['distrusted']))})" if entry["distrusted"] else ""
        say(f"{entry['at']}  {commit}  {clean(str(entry['what']))}  {style(move, 'dim')}".rstrip() + why)
