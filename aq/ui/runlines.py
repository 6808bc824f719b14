"""A job's runs for people: what became of each, its fix rounds, and how its checks went."""

from __future__ import annotations

from collections.abc import Iterator

from aq.core.record import Changes, CheckResult, Round, Run, Verdict
from aq.ui.out import clean


def run_lines(run: Run) -> Iterator[str]:
    """A run, what was red before it, and its fix rounds."""
    ended = run.outcome or "running"
    words = f"{ended}: {run.reason}" if run.reason else ended
    span = f"{run.started} -> {run.ended or '…'}"
    yield f"  run {run.epoch:<6} {clean(run.host)}  {clean(run.engine)}  {span}  {clean(words)}"
    yield from detail_lines(run)


def detail_lines(run: Run) -> Iterator[str]:
    """What there is to know of a run beyond how it ended."""
    if run.baseline:
        yield f"    red before it began: {clean(run.baseline)}"
    if run.changes:
        yield f"    changed {size_of(run.changes)}"
    if run.risk:
        yield f"    risk {clean(run.risk)}{clean(''.join(f'; {reason}' for reason in run.risks))}"
    if run.outside:
        yield f"    outside its scope: {clean(', '.join(run.outside))}"
    yield from (f"    look at: {clean(' '.join(warning.split()))}" for warning in run.warnings)
    for one in run.rounds:
        yield _round_line(one)


def size_of(changes: Changes) -> str:
    """How large a change is."""
    if not changes.files:
        return "nothing"
    files = f"{changes.files} file{'' if changes.files == 1 else 's'}"
    return f"{files} +{changes.added} -{changes.removed}"


def _round_line(one: Round) -> str:
    failed = "; ".join(check.words for check in one.failed)
    left = f" -> {one.branch} {one.tip[:12]}" if one.tip else ""
    return f"    fix round {one.number}  {one.at or ''}  {clean(failed)}{clean(left)}{_cost(one)}"


def _cost(one: Round) -> str:
    known = [f"{one.usd:.4g} usd"] if one.usd else []
    known += [f"{one.tokens} tokens"] if one.tokens else []
    return f"  (so far {', '.join(known)})" if known else ""


def verdict_lines(verdict: Verdict) -> Iterator[str]:
    """A verdict and its checks."""
    where = f"epoch {verdict.epoch}, {verdict.host}, {verdict.at}"
    yield f"  verdict    {clean(verdict.result)} ({clean(where)})"
    for check in verdict.checks:
        mark = "ok " if check.passed else "BAD"
        yield f"    {mark} {clean(check.check)}{_facts(check)}  {clean(check.detail)}"


def _facts(check: CheckResult) -> str:
    suite, facts = check.suite, [f"{check.seconds:g} s"] if check.seconds else []
    if suite:
        facts.append(f"{suite.total} tests, {suite.failed} failed, {suite.skipped} skipped")
    return f"  ({'; '.join(facts)})" if facts else ""
