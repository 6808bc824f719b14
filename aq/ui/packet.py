"""What a person needs to judge finished work, as values and as text: pure, for `aq review` and `aq show`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from aq.core.gates import Gate, auto_blockers, gates
from aq.core.instants import Instant, unix
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.record import Changes, Verdict
from aq.core.risk import Risk, risk_now
from aq.core.settings import Settings
from aq.core.snapshot import Snapshot
from aq.core.value import Value, as_dict
from aq.ui.board import age_text
from aq.ui.out import clean, style
from aq.ui.runlines import size_of

_COLOURS = {"low": "green", "medium": "yellow", "high": "red"}


class Packet(Value):
    """One job that waits for a person. `age` is in seconds; `usd` is None when no run told its cost; `auto`
    says why no host shipped it, where its policy is auto."""

    job: str
    epoch: int
    stage: str
    title: str
    age: int | None
    branch: str
    tip: str
    changes: Changes | None
    outside: tuple[str, ...]
    warnings: tuple[str, ...]
    verdict: Verdict | None
    usd: float | None
    tokens: int | None
    runs: int
    risk: Risk
    gates: tuple[Gate, ...]
    approved: tuple[str, ...]
    auto: tuple[str, ...]
    deliver: str

    def as_json(self) -> dict[str, Any]:
        """The packet as plain data."""
        return as_dict(self)


def packets(snapshot: Snapshot, now: Instant, only: Iterable[str] = ()) -> list[Packet]:
    """The jobs that wait for a person, the urgent and old ones first; all, or only some."""
    wanted = frozenset(only)
    jobs = [job for job in snapshot.for_people() if not job.problem and (not wanted or job.id in wanted)]
    return [packet_of(job, snapshot.settings, now) for job in sorted(jobs, key=lambda job: job.order)]


def packet_of(job: Job, settings: Settings, now: Instant) -> Packet:
    """One job's packet."""
    record, work = job.record, job.record.work
    runs = [run for run in record.runs if not run.verify_only]
    usd = [run.usd for run in runs if run.usd is not None]
    tokens = [run.tokens for run in runs if run.tokens is not None]
    return Packet(
        job=job.id,
        epoch=record.epoch,
        stage=str(job.stage),
        title=job.title,
        age=max(0, unix(now) - unix(record.since)) if record.since else None,
        branch=record.branch,
        tip=record.tip,
        changes=work.changes if work else None,
        outside=work.outside if work else (),
        warnings=work.warnings if work else (),
        verdict=record.verdict,
        usd=sum(usd) if usd else None,
        tokens=sum(tokens) if tokens else None,
        runs=len(runs),
        risk=risk_now(record, settings.risk),
        gates=gates(job, settings),
        approved=tuple(note.by for note in record.approvals),
        auto=auto_blockers(job, settings) if job.manifest.review_policy.by_hosts else (),
        deliver=job.manifest.deliver,
    )


def packet_lines(packet: Packet) -> Iterator[str]:
    """A packet as text."""
    level = str(packet.risk.level)
    head = f"{style(clean(packet.job), 'bold')}  {style(packet.stage, 'cyan')}"
    yield f"{head}  {style(f'risk {level}', _COLOURS[level])}  {age_text(packet.age)}"
    facts = {
        "title": packet.title if packet.title != packet.job else "",
        "work": _size(packet.changes),
        "branch": f"{packet.branch} {packet.tip[:12]}" if packet.tip else "",
        "delivery": packet.deliver if packet.tip else "",
        "verify": _verify(packet.verdict),
        "scope": f"outside: {', '.join(packet.outside)}" if packet.outside else "",
        "cost": _cost(packet),
        "approved": ", ".join(packet.approved),
    }
    yield from (f"  {name:<9} {clean(value)}" for name, value in facts.items() if value)
    yield from (f"  look at   {clean(' '.join(words.split()))}" for words in packet.warnings)
    yield from (f"  risk      {clean(reason)}" for reason in packet.risk.reasons)
    yield from gate_lines(packet)


def gate_lines(packet: Packet) -> Iterator[str]:
    """The closed gates, each with what opens it, and why no host shipped the job by itself."""
    yield from (
        f"  gate      {clean(gate.name)}: {clean(f'it {gate.why}; {gate.do}')}" for gate in packet.gates
    )
    if packet.auto:
        yield f"  auto      not shipped by its policy: {clean('; '.join(packet.auto))}"
    elif not packet.gates and packet.stage == Stage.TESTING:
        yield f"  next      `aq ship {packet.job}`"


def path_lines(packet: Packet) -> Iterator[str]:
    """The changed paths, as far as the record has them, and where to see the lines."""
    changes = packet.changes or Changes()
    yield from (f"  {clean(path)}" for path in changes.paths)
    if changes.more:
        yield f"  and {changes.more} more"
    if packet.tip:
        yield f"  in the target repository: git show --stat -p {packet.tip[:12]}"
    elif not changes.paths:
        yield "  nothing is known of what it changed"


def _size(changes: Changes | None) -> str:
    if changes is None:
        return "nobody could tell what it changed"
    return size_of(changes)


def _verify(verdict: Verdict | None) -> str:
    if verdict is None:
        return "no verdict"
    checks = "; ".join(f"{'' if check.passed else 'FAILED '}{check.words}" for check in verdict.checks)
    result = "no check was asked for" if verdict.result == "none" else verdict.result
    return f"{result}: {checks}" if checks else result


def _cost(packet: Packet) -> str:
    known = [f"{packet.usd:.4g} usd"] if packet.usd is not None else []
    known += [f"{packet.tokens} tokens"] if packet.tokens else []
    return f"{', '.join(known) or 'unknown'} in {packet.runs} run{'' if packet.runs == 1 else 's'}"
