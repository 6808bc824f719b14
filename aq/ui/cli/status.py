"""`aq status`: the board."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time

import typer

from aq.core.errors import TryLaterError
from aq.core.instants import instant
from aq.core.lifecycle import Stage
from aq.core.snapshot import OPEN_STAGES
from aq.ui.board import Board, make_board
from aq.ui.boardtext import board_lines
from aq.ui.cli.common import here, ignored, unsubmitted
from aq.ui.out import is_terminal, say, say_json
from aq.wiring import Queue

_LISTED = 20


def status(
    stage: str = typer.Option("", "--stage", help="Only this stage."),
    all_jobs: bool = typer.Option(
        False, "--all", "-a", help="List every job, not the first 20 of each stage."
    ),
    watch: bool = typer.Option(False, "--watch", "-w", help="Keep the board on the screen."),
    offline: bool = typer.Option(False, "--offline", help="Do not ask the remote: show what was seen last."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show stages and jobs: priority, profile, engine, host, age, and why each waits."""
    stages = OPEN_STAGES if not stage else (_stage(stage),)
    with here(intake=not offline) as queue:
        if watch:
            _watch(queue, stages)
            return
        board = _board(queue, stages, None if all_jobs or as_json else _LISTED, offline=offline)
    if as_json:
        say_json(board.as_json())
    else:
        for line in board_lines(board, board_width()):
            say(line)


def _stage(name: str) -> Stage:
    from aq.core.errors import UsageError

    if name not in set(Stage):
        raise UsageError(f"there is no stage {name!r}", f"write one of {', '.join(Stage)}")
    return Stage(name)


def board_width() -> int:
    """How wide the board may be: the terminal, or wide enough for a file."""
    return shutil.get_terminal_size((120, 40)).columns if is_terminal(sys.stdout) else 160


def _board(queue: Queue, stages: tuple[Stage, ...], limit: int | None, *, offline: bool = False) -> Board:
    pending: list[str] = []
    if offline:
        queue.ledger.recall_hosts()
    else:
        try:
            queue.ledger.fetch()
        except TryLaterError as error:
            queue.ledger.recall_hosts()
            pending.append(f"{error.what}: showing what was seen last")
    pending += unsubmitted(queue)
    pending += [f"not taken in: {note.why}" for note in queue.clone.not_taken]
    pending += ignored(queue)
    pending += [f"just written, taken in after two quiet seconds: {name}" for name in queue.clone.settling]
    pending += [f"not pushed: {name}" for name in queue.clone.view.unpushed()] if not offline else []
    return make_board(
        queue.ledger.snapshot(),
        queue.ledger.beats,
        instant(time.time()),
        limit=limit,
        stages=stages,
        pending=tuple(pending),
    )


def _watch(queue: Queue, stages: tuple[Stage, ...]) -> None:
    """The board until Ctrl-C: drawn over the last one on a terminal, printed when it changed elsewhere."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console, seen = Console(), None
    draws = console.is_terminal and not console.is_dumb_terminal
    screen = Live(console=console, screen=True, auto_refresh=False) if draws else contextlib.nullcontext()
    with contextlib.suppress(KeyboardInterrupt), screen as live:
        while True:
            queue.clone.take_in()
            board = _board(queue, stages, max(3, (console.height - 12) // 4))
            lines = list(board_lines(board, console.width))
            if live:
                live.update(Text.from_ansi("\n".join(lines)), refresh=True)
            elif seen != (seen := (board.tip, board.alerts, board.hosts)):
                say("\n".join([*lines, ""]))
            time.sleep(max(1.0, queue.ledger.snapshot().settings.cadence.poll))
