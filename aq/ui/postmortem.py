"""Why a job ended without success, as values: pure, for `aq show`. What a log says is given to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aq.core.instants import unix
from aq.core.job import Job
from aq.core.lifecycle import BROKEN, Stage
from aq.core.overrun import spent_words
from aq.core.record import REJECTED, CheckResult, Record, Run
from aq.core.retry import MAX_LOST, MAX_PREEMPTED
from aq.core.units import duration_text
from aq.core.value import Value, as_dict
from aq.ui.out import clean, style
from aq.ui.runlines import detail_lines

# Ends that are no failure of the job on that host.
_NO_FAILURE = ("passed", "none", "held", "cancelled", "released", "preempted")
# How a run is counted that ended through no fault of the job, and in words.
_RETURNED = {
    "released": ("infra", "given back"),
    "lost": ("lost", "lost with its host"),
    "preempted": ("preempted", "preempted"),
}
_TO_DO = {
    "timeout": "raise `timeout`, or split the job",
    "verify_failed": "look at its branch: correct the prompt, or the check",
    "budget": "give it a larger `budget`, or split the job",
    "denied": "let it do what it was denied: `yolo`, `sandbox`, or the host's own settings",
    "context": "split the job: it asked for more than its model can hold",
    "crash": "`aq logs` on its host: the engine, or what it started, was killed",
    "agent": "`aq logs` on its host: the engine gave up, or the script says what went wrong",
    "unknown": "`aq logs` on its host",
    "overloaded": "wait until its model is less busy, or name another engine",
    "network": "`aq doctor` on its host, and look at the network",
    "released": "`aq doctor` on its host: what the job needed was missing there",
    "preempted": "give it a higher `priority`",
    "lost": "look whether it brings its hosts down: ask for more with `capabilities`, such as memory>=16",
}


class Try(Value):
    """One run. `seconds` is None while it lasts or for want of an end; so are `usd` and `tokens` unknown."""

    epoch: int
    submission: int
    host: str
    engine: str
    outcome: str
    reason: str
    seconds: int | None
    usd: float | None
    tokens: int | None
    branch: str


class Charge(Value):
    """What a bound of the submission was, and how much of it is used."""

    name: str
    used: int
    bound: int


class Diagnosis(Value):
    """Why a job ended, what was tried in this submission and before, and what to do next. `older` are lines
    of runs that the record keeps no more of."""

    why: str
    submission: int
    runs: tuple[Try, ...]
    earlier: tuple[Try, ...]
    older: tuple[str, ...]
    checks: tuple[CheckResult, ...]
    avoided: tuple[str, ...]
    charges: tuple[Charge, ...]
    todo: tuple[str, ...]
    log: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return as_dict(self)


def diagnose(job: Job, log: tuple[str, ...] = ()) -> Diagnosis | None:
    """The diagnosis of a failed or dead-lettered job; None for any other. `log` are its last lines."""
    if job.stage not in BROKEN:
        return None
    record = job.record
    tries = [_try(run) for run in record.runs]
    verdict = record.verdict
    return Diagnosis(
        _why(job),
        record.submission,
        tuple(each for each in tries if each.submission == record.submission),
        tuple(each for each in tries if each.submission != record.submission),
        record.older,
        tuple(check for check in verdict.checks if not check.passed) if verdict else (),
        tuple(_avoided(record)),
        _charges(job),
        tuple(_todo(job)),
        log,
    )


def _try(run: Run) -> Try:
    seconds = unix(run.ended) - unix(run.started) if run.ended else None
    engine = f"{run.engine} {run.version}".strip() + (", verify only" if run.verify_only else "")
    facts = (run.outcome or "running", run.reason, seconds, run.usd, run.tokens, run.branch)
    return Try(run.epoch, run.submission, run.host, engine, *facts)


def _why(job: Job) -> str:
    record, run = job.record, job.record.last_run
    said = record.ended_by
    if said:
        ended = f"{said.by} rejected it" if said.about == REJECTED else f"{said.by} cancelled it"
        words = said.text.removeprefix("cancelled").removeprefix(": ")
        return f"{ended}: {words}" if words else ended
    if run is None:
        return "it ended without a run"
    reason = f": {run.reason}" if run.reason else ""
    where = f"on {run.host}"
    if job.stage is Stage.FAILED:
        return f"{run.outcome} {where} in attempt {run.attempt}, which is not retried{reason}"
    bounds = {charge.name: charge for charge in _charges(job)}
    name, what = _RETURNED.get(run.outcome, ("attempts", ""))
    charge = bounds[name]
    if not what:
        return f"{run.outcome} {where} in attempt {charge.used} of {charge.bound}{reason}"
    times = "once" if charge.used == 1 else f"{charge.used} times"
    return f"{what} {times}, and {charge.bound} is the limit; the last time {where}{reason}"


def _charges(job: Job) -> tuple[Charge, ...]:
    record, retry = job.record, job.manifest.retry
    return (
        Charge("attempts", record.attempts, retry.max + 1),
        Charge("infra", record.infra, retry.infra),
        Charge("lost", record.lost, MAX_LOST),
        Charge("preempted", record.preempted, MAX_PREEMPTED),
    )


def _avoided(record: Record) -> Iterator[str]:
    """The hosts where the job's last run failed: the router would rather have it elsewhere."""
    last = {run.host: run for run in record.runs if run.ended}
    for host, run in last.items():
        if run.outcome not in _NO_FAILURE:
            yield f"{host} ({run.outcome} in epoch {run.epoch})"


def _todo(job: Job) -> Iterator[str]:
    run, name = job.record.last_run, job.id
    if run and not job.record.ended_by:
        advice = _TO_DO.get(run.outcome)
        if run.outcome == "budget" and spent_words(job.manifest.budget, run):
            advice = f"{advice} (it spent {spent_words(job.manifest.budget, run)})"
        if advice:
            yield advice
        if run.tip:
            yield f"its work is on {run.branch}: take what is good of it"
    yield f"`aq requeue {name} -m WHAT` runs it again as submission {job.record.submission + 1}"
    yield "change its file and `aq add` that as a new job, or leave it here"


def diagnosis_lines(job: Job, found: Diagnosis) -> Iterator[str]:
    """A job's diagnosis for people."""
    runs = {run.epoch: run for run in job.record.runs}
    yield style(f"ended: {clean(found.why)}", "red")
    yield f"  submission {found.submission}"
    for each in found.runs:
        yield _try_line(each)
        yield from detail_lines(runs[each.epoch])
    for check in found.checks:
        yield f"    BAD {clean(check.check)}  {clean(check.detail)}"
        yield from (f"        {clean(name)}" for name in (check.suite.names if check.suite else ()))
    yield from (f"    | {clean(line)}" for line in found.log)
    charges = ", ".join(f"{each.name} {each.used} of {each.bound}" for each in found.charges)
    yield f"  charged    {charges}"
    if found.avoided:
        yield f"  avoids     {clean(', '.join(found.avoided))}"
    if found.earlier or found.older:
        yield "  earlier submissions"
        yield from (f"    {clean(line)}" for line in found.older)
        yield from map(_try_line, found.earlier)
    yield "  what to do"
    yield from (f"    - {clean(what)}" for what in found.todo)


def _try_line(each: Try) -> str:
    took = "?" if each.seconds is None else duration_text(each.seconds)
    cost = [f"{each.usd:.4g} usd"] if each.usd is not None else []
    cost += [f"{each.tokens} tokens"] if each.tokens is not None else []
    ended = f"{each.outcome}: {each.reason}" if each.reason else each.outcome
    branch = f" -> {each.branch}" if each.branch else ""
    facts = "  ".join((each.host, each.engine, took, ", ".join(cost) or "cost unknown", ended + branch))
    return f"    run {each.epoch}  {clean(facts)}"
