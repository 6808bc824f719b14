"""`aq init`."""

from __future__ import annotations

from pathlib import Path

import typer

from aq.ui.out import clean, say, style


def init(
    folder: Path = typer.Argument(Path(), help="The clone, or a folder to make one in."),
    remote: str = typer.Option(
        "", "--remote", metavar="URL", help="The hub: an empty remote, or one that has a queue."
    ),
    branch: str | None = typer.Option(
        None, "--branch", help="The branch that is the queue; main, unless there is one already."
    ),
) -> None:
    """Make a queue, or join one."""
    from aq.ledger.setup import initialize

    made = initialize(folder.resolve(), remote, branch)
    what = "new queue" if made.created else "joined the queue"
    say(f"{style(what, 'green')} in {made.paths.clone}")
    say(f"hub: {clean(made.config.url)} (branch {made.config.branch}, remote {made.config.remote})")
    if made.config.beats == "branches":
        say("the hub refuses refs/aq/*: heartbeats use branches aq-hosts/*")
    if made.note:
        say(f"note: {made.note}")
    say("next: drop a .md file into queue/inbox, then `aq run` on each machine and `aq status` anywhere")
