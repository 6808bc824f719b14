"""`aq board`: the board now, or as it was."""

from __future__ import annotations

import time

import typer

from aq.core.errors import AqError
from aq.core.instants import instant
from aq.ui.board import make_board
from aq.ui.boardtext import board_lines
from aq.ui.cli.common import here
from aq.ui.cli.status import board_width
from aq.ui.out import say, say_json


def board(
    at: str = typer.Option("", "--at", help="A commit of the queue, or a time such as 2026-11-20T18:00Z."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Hosts are not shown for the past: their beats leave no history."""
    with here(fetch=True, intake=False) as queue:
        ledger = queue.ledger
        commit = ledger.line().resolve(at) if at else ledger.tip
        if not commit:
            raise AqError(f"the queue has no commit before {at}", "`aq log` shows when it began")
        snapshot = ledger.as_written(commit) if at else ledger.snapshot()
        now = instant(ledger.history.commit(commit).time if at else time.time())
        shown = make_board(snapshot, {} if at else ledger.beats, now, limit=None)
    if as_json:
        say_json({"at": now, **shown.as_json()})
        return
    for line in board_lines(shown, board_width()):
        say(line)
