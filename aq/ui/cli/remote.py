"""`aq remote`."""

from __future__ import annotations

from pathlib import Path

import typer

from aq.core.errors import TryLaterError, UsageError
from aq.ui.out import clean, say, say_json, style, tell
from aq.wiring import open_queue


def remote(
    action: str = typer.Argument("show", help="show, or set."),
    url: str = typer.Argument("", help="With set: the new hub."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show the hub, or move the queue to another one. The old hub keeps its copy."""
    from aq.ledger.gitproc import locate_clone
    from aq.ledger.hub import move_remote
    from aq.ledger.store import load_config

    paths = locate_clone(Path.cwd())
    config = load_config(paths)
    if action == "show" and as_json:
        facts = {
            "url": config.url,
            "branch": config.branch,
            "remote": config.remote,
            "beats": config.beat_refs,
        }
        say_json(facts)
        return
    if action == "show":
        say(f"{clean(config.url)} (branch {config.branch}, remote {config.remote})")
        say(f"beats are in {config.beat_refs}")
        return
    if action != "set" or not url:
        raise UsageError("nothing to do", "`aq remote show` or `aq remote set URL`")
    with open_queue(Path.cwd()) as queue:
        try:
            queue.ledger.fetch()
        except TryLaterError as error:
            tell(f"{error.what}: moving what was seen last, {queue.ledger.tip[:12] or 'nothing'}", "aq:")
    moved = move_remote(paths, config, url)
    say(f"{style('moved', 'green')}: this clone's queue is now {clean(moved.url)}")
    say("run the same on every other clone")
