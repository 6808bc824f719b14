"""`aq hosts`."""

from __future__ import annotations

import shutil
import time
from typing import Any

import typer

from aq.core.fleet import Beat, Cooling
from aq.core.instants import instant, unix
from aq.core.units import duration_text
from aq.core.values import plain
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
    found = [_facts(name, beat, name in live, held.count(name)) for name, (_, beat) in sorted(beats.items())]
    if as_json:
        say_json({"hosts": found})
        return
    if not found:
        say("No host yet. Start `aq run` on a machine.")
        return
    rows = [["HOST", "STATE", "SLOTS", "BEAT", "ENGINES", "OFFERS"]]
    rows += [_cells(host, unix(now)) for host in found]
    lines = columns(rows, shutil.get_terminal_size((160, 40)).columns, flexible=5)
    say(style(lines[0], "dim"))
    for line in lines[1:]:
        say(line)


def _facts(name: str, beat: Beat, live: bool, leases: int) -> dict[str, Any]:
    state = "live" if live else "silent"
    state = "resting" if live and beat.resting else state
    state = "stopped" if beat.stopped else "draining" if beat.draining else state
    return {
        "host": name,
        "state": state,
        "slots": beat.slots,
        "leases": leases,
        "beat": beat.at,
        "version": beat.version,
        "engines": beat.engines,
        "offers": sorted(beat.offers),
        "refuses": beat.refuses,
        "resting": beat.resting,
        "cooling": plain(beat.cooling),
        "stalled": list(beat.stalled),
        "accepts": plain(beat.accepts),
    }


def _cells(host: dict[str, Any], now: int) -> list[str]:
    age = f"{duration_text(now - unix(host['beat']))} ago"
    slots = f"{host['leases']}/{host['slots']}"
    tired = [f"{name} {Cooling(**told).words}" for name, told in sorted(host["cooling"].items())]
    engines = ", ".join([*host["engines"], *tired])
    cells = (host["host"], host["state"], slots, age, engines, " ".join(host["offers"]))
    return [clean(str(cell)) for cell in cells]
