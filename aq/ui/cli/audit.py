"""`aq audit`: the whole history replayed against the invariants."""

from __future__ import annotations

import time

import typer

from aq.core.value import as_dict
from aq.ui.cli.common import here
from aq.ui.out import clean, say, say_json, style

_SHOWN = 20


def audit(
    since: str = typer.Option("", "--since", help="Begin at this commit or time; default: the first commit."),
    all_breaches: bool = typer.Option(False, "--all", "-a", help="List every breach, not the first 20."),
    offline: bool = typer.Option(False, "--offline", help="Do not ask the remote: audit what was seen last."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> int:
    """Exit code 1 when a commit breaks an invariant; the first is named first."""
    from aq.core.audit.auditor import Auditor
    from aq.ledger.line import BlobReading

    began = time.monotonic()
    with here(fetch=not offline, intake=False) as queue:
        ledger = queue.ledger
        line = ledger.line()
        auditor = Auditor(BlobReading(ledger.objects))
        start = line.resolve(since) if since else ""
        if start:
            auditor.begin(line.files_at(start))
        found = [breach for commit in line.commits(start) for breach in auditor.step(commit)]
        tip = ledger.tip
    facts = {"tip": tip, "commits": auditor.commits, "operations": auditor.operations}
    facts |= {"by_hand": auditor.by_hand, "seconds": round(time.monotonic() - began, 2)}
    if as_json:
        say_json({**facts, "breaches": [as_dict(breach) for breach in found]})
        return 1 if found else 0
    for breach in found if all_breaches else found[:_SHOWN]:
        say(f"{style(breach.clause, 'red')}  {breach.commit[:12]}  {clean(breach.subject)}")
        say(f"      {clean(breach.what)}")
    if len(found) > _SHOWN and not all_breaches:
        say(f"… {len(found) - _SHOWN} more: `aq audit --all`")
    verdict = f"{len(found)} breaches" if found else style("every invariant holds", "green")
    say(
        f"{verdict}: {facts['commits']} commits, {facts['by_hand']} by hand, up to {tip[:12]}, "
        f"in {facts['seconds']} s"
    )
    return 1 if found else 0
