"""The board as text, for a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Iterator

from aq.core.lifecycle import Stage
from aq.ui.board import Board, Row, age_text
from aq.ui.out import clean, columns, style

_COLOURS = {
    "inbox": "blue",
    "building": "yellow",
    "review": "magenta",
    "testing": "cyan",
    "shipped": "green",
    "failed": "red",
    "dead_letter": "red",
}
_NOTHING = "No jobs. Drop a .md file into queue/inbox, or try `aq add --engine shell 'echo hello'`."
_NOTHING_OPEN = "No jobs to list. Shipped jobs are in queue/shipped, by day; `aq log` says what happened."
_HEADER = ["JOB", "PRIORITY", "PROFILE", "ENGINE", "HOST", "AGE", "NOTE"]


def board_lines(board: Board, width: int) -> Iterator[str]:
    """The board, line by line, at most `width` wide."""
    counts = "  ".join(f"{stage} {board.counts[stage]}" for stage in map(str, Stage))
    yield style(counts, "bold")
    yield style(
        f"hosts {board.hosts}  slots {board.slots_used}/{board.slots} in use  tip {board.tip[:10]}", "dim"
    )
    for alert in board.alerts:
        yield style(f"! {clean(alert)}", "red")
    cells = [_HEADER, *[_cells(row) for row in board.rows]]
    lines = columns(cells, width, flexible=len(_HEADER) - 1) if board.rows else []
    stage = ""
    for row, line in zip(board.rows, lines[1:], strict=True):
        if row.stage != stage:
            stage = row.stage
            yield ""
            yield style(f"{stage} ({board.counts[stage]})", _COLOURS[stage])
            yield style(lines[0], "dim")
        yield style(line, "red") if row.note.startswith("INVALID") else line
        if _is_last(row, board):
            more = board.counts[stage] - sum(r.stage == stage for r in board.rows)
            if more > 0:
                how = "--stage shipped" if stage == Stage.SHIPPED else "--all"
                yield style(f"… {more} more: `aq status {how}`", "dim")
    if not board.rows:
        yield ""
        yield _NOTHING if not any(board.counts.values()) else _NOTHING_OPEN


def _is_last(row: Row, board: Board) -> bool:
    return next(r for r in reversed(board.rows) if r.stage == row.stage) is row


def _cells(row: Row) -> list[str]:
    return [
        clean(c)
        for c in (
            row.job,
            row.priority,
            row.profile or "-",
            row.engine or "-",
            row.host or "-",
            age_text(row.age),
            row.note.replace("\n", " "),
        )
    ]
