"""What a job's budget was, what a run spent of it, and how a person gives it more. The operations that do
so are elsewhere."""

from __future__ import annotations

from aq.core.errors import AqError
from aq.core.instants import unix
from aq.core.job import Job
from aq.core.manifest import Budget
from aq.core.record import Record, Run
from aq.core.units import duration_text, parse_count, parse_duration, parse_usd
from aq.core.value import names, replace

OVERRUN = "budget"
_EXAMPLE = "write it like usd=10, tokens=2M or wall=4h; several with commas"
_HOW = {"usd": "N", "tokens": "N", "wall": "TIME"}


def is_overrun(record: Record) -> bool:
    """Whether the job is on hold because its budget is spent."""
    return record.hold is not None and record.hold.about == OVERRUN


def parse_budget(text: str) -> Budget:
    """Limits as a person gives them on the command line: `usd=10,wall=4h`. Raises AqError."""
    readers = {"usd": parse_usd, "tokens": parse_count, "wall": parse_duration}
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in readers or name in found or not value:
            raise AqError(f"{part.strip()!r} is not a limit of a budget, or is one twice", _EXAMPLE)
        found[name] = readers[name](value)
    if not all(found.values()):
        raise AqError(f"{text!r} leaves nothing to spend", _EXAMPLE)
    return Budget(**found)  # type: ignore[arg-type]


def raised(before: Budget, more: Budget) -> Budget:
    """The budget with the limits that `more` gives in place of those before."""
    given = {name: value for name in names(Budget) if (value := getattr(more, name)) is not None}
    return replace(before, **given)


def budget_words(budget: Budget) -> str:
    """A budget as people give it on the command line."""
    parts = [f"usd={budget.usd:g}"] if budget.usd is not None else []
    parts += [f"tokens={budget.tokens}"] if budget.tokens is not None else []
    parts += [f"wall={duration_text(budget.wall)}"] if budget.wall is not None else []
    return ",".join(parts)


def spent_words(budget: Budget, run: Run) -> str:
    """What a run spent of each limit of its budget; an amount that nobody told is unknown."""
    parts = []
    if budget.usd is not None:
        parts.append(f"{'unknown' if run.usd is None else f'{run.usd:.4g}'} of {budget.usd:g} usd")
    if budget.tokens is not None:
        parts.append(f"{'unknown' if run.tokens is None else run.tokens} of {budget.tokens} tokens")
    if budget.wall is not None and run.ended:
        took = duration_text(unix(run.ended) - unix(run.started))
        parts.append(f"{took} of {duration_text(budget.wall)}")
    return ", ".join(parts)


def _reached(budget: Budget, run: Run | None) -> set[str]:
    """The limits that a run came to, as far as its record tells. Time counts only where no amount was
    reached: that of the record also has the run's setup in it."""
    if run is None:
        return set()
    amounts = (("usd", run.usd, budget.usd), ("tokens", run.tokens, budget.tokens))
    found = {n for n, used, limit in amounts if used is not None and limit is not None and used >= limit}
    # Instants have whole seconds.
    took = unix(run.ended) - unix(run.started) + 1 if run.ended else 0
    late = not found and budget.wall is not None and took > budget.wall
    return {"wall"} if late else found


def raises(budget: Budget, more: Budget, run: Run | None) -> bool:
    """Whether `more` raises each limit that the run came to; any of them where that cannot be told."""
    limits = {name: limit for name in names(Budget) if (limit := getattr(budget, name)) is not None}
    higher = {name for name, limit in limits.items() if (getattr(more, name) or 0) > limit}
    return _reached(budget, run) <= higher and bool(higher or not limits)


def more_words(budget: Budget, run: Run | None) -> str:
    """What a person writes after `--budget` for the job to go on: the limits that its run came to."""
    limits = [name for name in _HOW if getattr(budget, name) is not None]
    reached = _reached(budget, run) or limits or ["usd"]
    return ",".join(f"{name}={how}" for name, how in _HOW.items() if name in reached)


def hold_words(job: Job, run: Run) -> str:
    """Why a job waits whose budget is spent, and what lets it go on."""
    budget = job.manifest.budget
    spent, more = spent_words(budget, run), more_words(budget, run)
    why = f"{run.reason} ({spent})" if spent else run.reason
    return f"its budget is spent: {why}; `aq resume {job.id} --budget {more}` gives it more"
