"""What a finished engine comes to: its work captured whatever the ending, and the facts for the runner."""

from __future__ import annotations

from typing import Any

from aq.core.engine.ending import verdict_on
from aq.core.engine.report import PARTIAL
from aq.core.scope import recorded
from aq.core.settle import Ending, Outcome
from aq.host.keeping import few, keep_work
from aq.host.process import Exit
from aq.host.run import Run
from aq.host.supervise import Played

_LAST_WORDS = 300


def outcome_of(run: Run, played: Played) -> Outcome:
    """What the engine's end means."""
    facts = _facts(run, played)
    kept = keep_work(run, facts["model"], played.report.text)
    work, run.whole = kept.work, kept.work.whole
    facts |= {"branch": work.branch, "tip": work.tip, "pushed": work.pushed}
    facts |= {"outside": few(work.outside, run.kit.secrets)}
    facts |= {"warnings": few((*_unfinished(played), *work.warnings), run.kit.secrets)}
    if run.workspace and run.workspace.mirror:
        facts["changes"] = recorded(work.changes, run.kit.secrets)
    ended = played.ended
    if ended.stopped and not played.stop:
        ending = Ending.FENCED if ended.stopped == "fenced" else Ending.STOPPED
        return Outcome(ending, reason=ended.stopped, **facts)
    assert run.workspace
    verdict = verdict_on(
        played.report,
        played.stop,
        # In a folder without a history nobody can tell: it is not held against the engine.
        changed=bool(work.tip) or run.workspace.mirror is None,
        engine=run.engine.name,
        told=run.engine.verdict,
    )
    if verdict.failure:
        reason = verdict.reason or _exit_words(ended, played.last)
        return Outcome(Ending.FAILED, verdict.failure, reason, reset=verdict.reset, **facts)
    if kept.refused:
        return Outcome(Ending.FAILED, "agent", kept.refused, **facts)
    if kept.trouble:
        return Outcome(Ending.INFRA, reason=kept.trouble, **facts)
    return Outcome(Ending.DONE, **facts)


def _facts(run: Run, played: Played) -> dict[str, Any]:
    """What the record keeps of the engine: its cost as far as it is known, and what it was."""
    engine, usage = run.engine, run.used
    tokens = usage.tokens
    if tokens is None and engine.free and not engine.verdict:
        tokens = 0
    return {
        "usd": 0.0 if engine.free else usage.usd,
        "tokens": tokens,
        "model": played.report.model or run.order.manifest.model,
        "version": run.probe.version,
        "baseline": run.baseline.failed.check if run.baseline and run.baseline.failed else "",
    }


def _unfinished(played: Played) -> tuple[str, ...]:
    """What an engine says of work that it did not finish."""
    report = played.report
    return (report.text,) if report.end_code == PARTIAL and report.text else ()


def _exit_words(ended: Exit, last: str) -> str:
    what = ended.signal_name or f"exit code {ended.code}"
    return f"{what}: {last[-_LAST_WORDS:]}" if last else what
