"""Which parts of a job's record each operation may change: the table beside that of the moves. Trust and
audit read it; nothing else may know it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from aq.core.lifecycle import Stage, Trigger
from aq.core.record import Record, Run
from aq.core.value import Value, names


class Way(StrEnum):
    """How a field may change: to any value, to nothing, from nothing, or by one (a count, or an entry at the
    end). The value is the sign before its name in the table."""

    SET = ""
    CLEARED = "-"
    FILLED = "?"
    MORE = "+"


# A new submission.
_AGAIN = (
    "+submission -attempts -infra -preempted -lost -not_before -verdict -hold -branch -tip -approvals queued"
)
_ENDED = "?ended ?outcome ?reason"
_COST = "usd tokens"
_LEFT = f"{_ENDED} {_COST} branch tip model version"
_SEEN = f"{_COST} branch tip outside warnings changes risk risks"
_BEGUN = "attempt submission profile"

# trigger, the fields of the record, and those of its last run; `+runs` brings a new one
_TABLE_ROWS: tuple[tuple[Trigger, str, str], ...] = (
    (Trigger.ADD, "secret_allowed", ""),
    (Trigger.REVISE, "blob", ""),
    (Trigger.SPAWN, "schedule", ""),
    (
        Trigger.CLAIM,
        "+runs +epoch +attempts -not_before -verdict -branch -tip -approvals",
        f"{_BEGUN} reserved spend_day score",
    ),
    (Trigger.RELEASE, "+infra attempts not_before", _LEFT),
    (Trigger.PREEMPT, "+preempted attempts", _LEFT),
    (Trigger.RECLAIM, "+lost attempts", _ENDED),
    (Trigger.LAND, "branch tip", f"{_SEEN} baseline model version"),
    (Trigger.VERIFIED, "verdict hold", f"?ended ?outcome {_COST}"),
    (Trigger.UNVERIFIED, "verdict hold", f"?ended ?outcome {_COST}"),
    (Trigger.HOLD, "hold", f"{_ENDED} {_COST}"),
    (Trigger.FAIL, "not_before verdict hold", _LEFT),
    (Trigger.VERIFY_CLAIM, "+runs +epoch -not_before", f"{_BEGUN} verify_only"),
    (Trigger.PROMOTE, "-hold +feedback +overrides", ""),
    (Trigger.SHIP, "-hold +feedback +overrides delivery", ""),
    (Trigger.REJECT, f"{_AGAIN} +feedback", ""),
    (Trigger.REQUEUE, f"{_AGAIN} +feedback", ""),
    (Trigger.CANCEL, "-hold -pause +feedback", _ENDED),
    (Trigger.APPROVE, "+approvals", ""),
    (Trigger.PAUSE_JOB, "?pause", ""),
    (Trigger.RESUME_JOB, f"{_AGAIN} -pause hold budget", ""),
    (Trigger.FENCED, "+feedback", ""),
    (Trigger.FIX_ROUND, "branch tip", f"{_SEEN} rounds"),
    (Trigger.DELIVERED, "-hold delivery delivered", ""),
    (Trigger.REPAIR, _AGAIN, _ENDED),
)


def _ways(text: str) -> dict[str, Way]:
    signs = {str(way) for way in Way if way}
    return {word.lstrip("-?+"): Way(word[0] if word[0] in signs else "") for word in text.split()}


WRITES: Mapping[Trigger, Mapping[str, Way]] = {trigger: _ways(text) for trigger, text, _ in _TABLE_ROWS}
RUN_WRITES: Mapping[Trigger, Mapping[str, Way]] = {trigger: _ways(text) for trigger, _, text in _TABLE_ROWS}
# Whoever writes the record of a job first says what its file and its arrival were.
FIRST = _ways("?blob ?queued")
_BLANK = Record()


class Rewrite(Value):
    """A job's record before and after one operation, the stages, and the blob of the job's file after it."""

    trigger: Trigger
    before: Record
    after: Record
    source: Stage | None
    target: Stage
    file: str


def strays(change: Rewrite) -> tuple[str, ...]:
    """What an operation changes in the record of its job and may not, in words."""
    before, after = change.before, change.after
    if before == after:
        return ()
    ways = {**FIRST, **WRITES[change.trigger]}
    ways["since"] = Way.FILLED if change.source is change.target else Way.SET
    found = [name for name in _differing(before, after) if name not in ("runs", "older", "stage")]
    strange = [name for name in found if not _allowed(ways.get(name), name, before, after, _BLANK)]
    strange += ["stage"] if after.stage not in (before.stage, change.target) else []
    strange += ["blob"] if "blob" in found and after.blob != change.file else []
    return tuple(dict.fromkeys([*strange, *_strange_runs(change)]))


def words(trigger: Trigger, strange: tuple[str, ...]) -> str:
    """What is wrong with an operation that changes more than it may, or nothing."""
    return f"{trigger} changes the record's {', '.join(strange)}" if strange else ""


def _differing(before: Value, after: Value) -> Iterator[str]:
    return (name for name in names(type(before)) if getattr(before, name) != getattr(after, name))


def _allowed(way: Way | None, name: str, before: Value, after: Value, blank: Value) -> bool:
    """Whether a field that differs may do so in this way."""
    old, new, nothing = (getattr(value, name) for value in (before, after, blank))
    if way is Way.CLEARED:
        return bool(new == nothing)
    if way is Way.FILLED:
        return bool(old == nothing)
    return _is_one_more(old, new) if way is Way.MORE else way is Way.SET


def _is_one_more(old: Any, new: Any) -> bool:
    more = (*old, *new[-1:]) if isinstance(old, tuple) else old + 1
    return bool(new == more)


def _strange_runs(change: Rewrite) -> Iterator[str]:
    """Runs of before the last one never change, but that the oldest becomes one line."""
    before, after = change.before, change.after
    if (before.runs, before.older) == (after.runs, after.older):
        return
    last = after.last_run
    adds = "runs" in WRITES[change.trigger]
    if last and adds:
        before = before.with_run(_begun(last))
    rest = [(record.older, len(record.runs), record.runs[:-1]) for record in (before, after)]
    if last is None or rest[0] != rest[1]:
        yield "runs"
        return
    old, ways = before.runs[-1], RUN_WRITES[change.trigger]
    for name in _differing(old, last):
        if not _allowed(ways.get(name), name, old, last, _begun(last)):
            yield f"last run's {name}"


def _begun(run: Run) -> Run:
    """The run as it is before anything is known of it."""
    return Run(run.epoch, run.host, run.nonce, run.engine, run.started)
