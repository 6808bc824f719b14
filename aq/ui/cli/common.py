"""What commands share: opening the queue, asking one operation, and reporting its result."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aq.core.errors import AqError, TryLaterError
from aq.core.instants import instant
from aq.core.operations import Operation
from aq.core.results import Landed, Refused, Waiting
from aq.ui.out import clean, say, say_json, style, tell
from aq.wiring import Queue, open_queue


def asked(by: str) -> dict[str, Any]:
    """The fields of an operation asked now."""
    return {"at": instant(time.time()), "by": by, "op_id": secrets.token_hex(8)}


@contextmanager
def here(*, fetch: bool = False, intake: bool = True) -> Iterator[Queue]:
    """The queue of the current folder. Takes in dropped files first, unless told not to."""
    with open_queue(Path.cwd()) as queue:
        if fetch:
            queue.ledger.fetch()
        if intake:
            take_in(queue)
        yield queue


def take_in(queue: Queue) -> None:
    """Submit what was dropped. A remote that is away is only a remark: the files stay spooled."""
    for line in queue.clone.take_in():
        tell(line)
    waiting = queue.clone.submissions()
    if not waiting:
        return
    for result in queue.ledger.perform(waiting):
        line = queue.clone.submitted(result)
        if isinstance(result, Landed):
            tell(f"submitted {result.change.event.job}")
        elif line:
            tell(line)


def perform(queue: Queue, operation: Operation) -> Landed | None:
    """Ask one operation. None when it has its effect already. Raises AqError when it did not happen."""
    result = next(r for r in queue.ledger.perform([operation]) if r.operation.op_id == operation.op_id)
    match result:
        case Landed():
            for line in queue.clone.refresh():
                tell(line)
            return result
        case Refused(refusal=refusal):
            if not refusal.done:
                raise AqError(refusal.reason, refusal.hint)
            say(clean(refusal.reason))
            return None
        case Waiting(why=why, policy=policy):
            hint = (
                "ask whoever runs the remote to allow pushes to the queue branch"
                if policy
                else "nothing is lost; repeat the command"
            )
            raise TryLaterError(why, hint)


def report(result: Landed | None, *, as_json: bool = False) -> None:
    """Say what landed."""
    if result is None:
        return
    event = result.change.event
    if as_json:
        say_json(
            {
                "op": event.op,
                "job": event.job,
                "from": event.source,
                "to": event.target,
                "commit": result.commit,
            }
        )
    elif event.job:
        arrow = (
            f"{event.source or 'new'} -> {event.target}"
            if event.source != event.target
            else str(event.target)
        )
        say(f"{style(event.op, 'green')} {clean(event.job)}: {arrow}")
    else:
        say(f"{style(event.op, 'green')}: done")


def interactive() -> bool:
    """Whether a person is at the terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def complete_jobs(incomplete: str) -> list[str]:
    """Job ids for shell completion, from the last tip seen: no network."""
    try:
        with open_queue(Path.cwd()) as queue:
            if not queue.ledger.tip:
                return []
            stages = queue.ledger.snapshot().stages
            return sorted(name for jobs in stages.values() for name in jobs if name.startswith(incomplete))
    except AqError:
        return []
