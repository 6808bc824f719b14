"""What commands share: opening the queue, asking one operation, and reporting its result."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aq.core.change import Refusal
from aq.core.errors import EXIT_NEGATIVE, EXIT_OK, AqError, TryLaterError
from aq.core.event import one_line
from aq.core.instants import instant
from aq.core.results import Landed, Refused, Waiting
from aq.ui.out import clean, say, say_json, style, tell, tell_error
from aq.wiring import Queue, open_queue

if TYPE_CHECKING:
    from aq.core.operations import Operation

# So many ignored files are named one by one.
_NAMED = 5


def asked(by: str) -> dict[str, Any]:
    """The fields of an operation asked now."""
    return {"at": instant(time.time()), "by": by, "op_id": secrets.token_hex(8)}


@contextmanager
def here(*, fetch: bool = False, intake: bool = True) -> Iterator[Queue]:
    """The queue of the current folder. Takes in dropped files first, unless told not to. With `fetch` it
    is looked at first, for a command that only reads: see `look`."""
    with open_queue(Path.cwd()) as queue:
        answered = not fetch or look(queue)
        if intake:
            take_in(queue, submit=answered)
        yield queue


def look(queue: Queue) -> bool:
    """Ask the remote; whether it answered. One that is away is only a remark where this clone saw the queue
    before. Raises TryLaterError where it did not."""
    try:
        queue.ledger.fetch()
    except TryLaterError as error:
        if not queue.ledger.tip:
            raise
        queue.ledger.recall_hosts()
        tell(f"{error.what}: showing what was seen last")
        return False
    return True


def take_in(queue: Queue, *, submit: bool = True) -> None:
    """Submit what was dropped. A remote that is away is only a remark: the files stay spooled. One that was
    found to be away is not asked again."""
    more = True
    while more:
        for line in queue.clone.take_in():
            tell(line)
        more = queue.clone.more
    if not submit:
        for line in unsubmitted(queue):
            tell(line)
    elif _submitted(queue):
        _show(queue)


def _submitted(queue: Queue) -> bool:
    """Submit what is in the spool, a portion at a time; whether anything landed."""
    away = landed = False
    while not away and (waiting := queue.clone.submissions()):
        for result in queue.ledger.perform(waiting):
            line = queue.clone.submitted(result)
            if isinstance(result, Landed):
                landed = True
                tell(f"submitted {result.change.event.job}")
            elif line:
                tell(line)
            away = away or (isinstance(result, Waiting) and not result.policy)
    return landed


def _show(queue: Queue) -> None:
    """Move the view to what landed: a file that is in the queue now would stand in the way of `git pull`."""
    for line in queue.clone.refresh():
        tell(line)


def unsubmitted(queue: Queue) -> list[str]:
    """What waits in the spool, a line each."""
    return [
        f"not submitted yet: {entry.origin or entry.operation.about}"
        + (f" ({entry.refused})" if entry.refused else "")
        for entry in queue.clone.spool.entries()
    ]


def ignored(queue: Queue) -> list[str]:
    """The first files in the inbox that may be meant as jobs and are none, a line each; but for those that
    were pushed, which are named as strays of the queue."""
    strays = {problem.path for problem in queue.ledger.snapshot().problems}
    paths = (path for path in queue.clone.ignored() if not _is_or_is_below(path, strays))
    first = list(islice(paths, _NAMED + 1))
    lines = [
        f"ignored: {one_line(path)} (only .md files directly in the inbox are jobs)"
        for path in first[:_NAMED]
    ]
    return [*lines, *(["ignored: more files in queue/inbox"] if first[_NAMED:] else [])]


def _is_or_is_below(path: str, strays: Collection[str]) -> bool:
    return path in strays or any(path.startswith(f"{stray}/") for stray in strays)


def perform(queue: Queue, operation: Operation) -> Landed | Refusal:
    """Ask one operation. A refusal when it has its effect already. Raises AqError when it did not happen."""
    result = next(r for r in queue.ledger.perform([operation]) if r.operation.op_id == operation.op_id)
    match result:
        case Landed():
            _show(queue)
            return result
        case Refused(refusal=refusal):
            if not refusal.done:
                raise AqError(refusal.reason, refusal.hint)
            return refusal
        case Waiting(why=why, policy=policy):
            hint = (
                "ask whoever runs the remote to allow pushes to the queue branch"
                if policy
                else "nothing is lost; repeat the command"
            )
            raise TryLaterError(why, hint)


def perform_all(queue: Queue, operations: Iterable[Operation], *, as_json: bool) -> int:
    """Ask operations one after the other and report each; as JSON, all that happened in one document.
    One that is refused does not keep the others back. The exit code."""
    facts, code = [], EXIT_OK
    for operation in operations:
        about = {"job": operation.about}
        try:
            done = perform(queue, operation)
        except AqError as error:
            code = tell_error(error)
            facts.append({**about, "changed": False, "error": error.what, "hint": error.hint})
            if code != EXIT_NEGATIVE:
                break
            continue
        facts.append({**about, **_facts(done)})
        if not as_json:
            report(done)
    if as_json:
        say_json({"results": facts})
    return code


def _facts(result: Landed | Refusal) -> dict[str, Any]:
    if isinstance(result, Refusal):
        return {"changed": False, "reason": result.reason}
    event = result.change.event
    move = {"op": event.op, "from": event.source, "to": event.target}
    return {"changed": True, **move, "commit": result.commit}


def report(result: Landed | Refusal) -> None:
    """Say what landed, or that there was nothing to do."""
    if isinstance(result, Refusal):
        say(clean(result.reason))
        return
    event = result.change.event
    if event.job:
        arrow = (
            f"{event.source or 'new'} -> {event.target}"
            if event.source != event.target
            else str(event.target)
        )
        say(f"{style(event.op, 'green')} {clean(event.job)}: {arrow}")
    else:
        say(f"{style(event.op, 'green')}: done")


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
