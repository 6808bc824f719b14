"""`aq hosts`."""

from __future__ import annotations

import shutil
import time

import typer

from aq.core.instants import instant, unix
from aq.core.units import duration_text
from aq.ui.board import listed_live
from aq.ui.cli.common import here
from aq.ui.out import clean, columns, say, say_json, style


def hosts(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """List every host that ever beat, with what it offers."""
    with here(fetch=True) as queue:
        snapshot, beats = queue.ledger.snapshot(), queue.ledger.beats
    now = instant(time.time())
    live = listed_live(beats, now, snapshot.settings.cadence.grace)
    held = [job.lease.host for job in snapshot.leased() if job.lease]
    found = []
    for name, (_, beat) in sorted(beats.items()):
        state = (
            "stopped"
            if beat.stopped
            else "draining"
            if beat.draining
            else "live"
            if name in live
            else "silent"
        )
        found.append(
            {
                "host": name,
                "state": state,
                "slots": beat.slots,
                "leases": held.count(name),
                "beat": beat.at,
                "version": beat.version,
                "engines": beat.engines,
                "offers": sorted(beat.offers),
                "refuses": beat.refuses,
            }
        )
    if as_json:
        say_json({"hosts": found})
        return
    if not found:
        say("No host yet. Start `aq run` on a machine.")
        return
    rows = [["HOST", "STATE", "SLOTS", "BEAT", "ENGINES", "OFFERS"]]
    for host in found:
        age = duration_text(unix(now) - unix(str(host["beat"])))
        rows.append(
            [
                clean(str(cell))
                for cell in (
                    host["host"],
                    host["state"],
                    f"{host['leases']}/{host['slots']}",
                    f"{age} ago",
                    ", ".join(host["engines"]),
                    " ".join(host["offers"]),
                )
            ]
        )  # type: ignore[call-overload]
    lines = columns(rows, shutil.get_terminal_size((160, 40)).columns, flexible=5)
    say(style(lines[0], "dim"))
    for line in lines[1:]:
        say(line)
