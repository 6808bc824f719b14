"""`aq profiles`."""

from __future__ import annotations

import shutil
from typing import Any

import typer

from aq.core.profile import Profile
from aq.core.values import plain
from aq.ui.cli.common import here
from aq.ui.out import clean, columns, say, say_json, style
from aq.ui.resolved import written


def profiles(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> int:
    """List the profiles of the queue; exit code 1 when one is broken."""
    with here(fetch=True) as queue:
        found = list(queue.ledger.snapshot().profiles.values())
    broken = [profile for profile in found if profile.problem]
    if as_json:
        say_json({"profiles": [_as_json(profile) for profile in found]})
        return 1 if broken else 0
    if not found:
        say("No profile. Put a Markdown file with a persona into profiles/, commit and push.")
        return 0
    rows = [["PROFILE", "GIVES", "PERSONA"], *(_cells(p) for p in found if not p.problem)]
    lines = columns(rows, shutil.get_terminal_size((140, 40)).columns, flexible=2)
    say(style(lines[0], "dim"))
    for line in lines[1:]:
        say(line)
    for profile in broken:
        say(f"{style('bad', 'red')}  {clean(profile.name)}: {clean(profile.problem)}")
    return 1 if broken else 0


def _cells(profile: Profile) -> list[str]:
    gives = ", ".join(written(key) for key in profile.defaults.given)
    return [clean(cell) for cell in (profile.name, gives or "-", profile.summary)]


def _as_json(profile: Profile) -> dict[str, Any]:
    defaults = {key: plain(getattr(profile.defaults, key)) for key in profile.defaults.given}
    return {
        "profile": profile.name,
        "problem": profile.problem,
        "gives": {written(key): value for key, value in defaults.items()},
        "origins": {written(key): origin for key, origin in profile.origins.items()},
        "persona": profile.body,
    }
