"""`aq show`: everything about one job."""

from __future__ import annotations

import time
from typing import Any

import typer

from aq.core.errors import AqError
from aq.core.instants import instant
from aq.core.job import Job
from aq.core.manifest import Manifest
from aq.core.overrun import budget_words
from aq.core.settings import Settings
from aq.core.units import duration_text
from aq.core.value import as_dict
from aq.core.values import plain
from aq.ui.board import listed_live
from aq.ui.cli.common import complete_jobs, here
from aq.ui.cli.logs import last_lines
from aq.ui.fleet_diagnosis import stuck_delivery
from aq.ui.out import clean, columns, say, say_json, style
from aq.ui.packet import Packet, gate_lines, packet_of
from aq.ui.postmortem import Diagnosis, diagnose, diagnosis_lines
from aq.ui.runlines import run_lines, verdict_lines
from aq.wiring import Queue


def show(
    job: str = typer.Argument(..., help="The job's id.", autocompletion=complete_jobs),
    whole: bool = typer.Option(
        False, "--resolved", help="Every key's value, and whether the job, its profile or the queue gives it."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show a job's file, record, runs and verdict."""
    with here(fetch=True) as queue:
        found = queue.ledger.snapshot().find(job)
        if found is None:
            raise AqError(f"there is no job {job}", "`aq status --all` lists the jobs")
        text = queue.ledger.read_commit_blob(found.blob).decode("utf-8", "replace")
        if whole:
            _show_resolved(found, text.encode(), queue.ledger.snapshot().settings.defaults, as_json=as_json)
            return
        told = diagnose(found, last_lines(queue.paths.clone / "logs" / found.id, found.record.epoch))
        if as_json:
            facts = _as_json(found, text, queue.ledger.snapshot().settings)
            say_json({**facts, "diagnosis": told.as_json() if told else None})
            return
        waits = [*_delivery_lines(queue, found), *_gate_lines(queue, found)]
        for line in [*_lines(found, told), *waits, *_work_lines(queue, found)]:
            say(line)
        say()
        say(clean(text.rstrip()))


def _show_resolved(job: Job, content: bytes, defaults: Manifest, *, as_json: bool) -> None:
    import json

    from aq.core.files.jobfile import parse_job
    from aq.ui.resolved import resolved

    keys = list(resolved(job, parse_job(content, job.id)[0], defaults))
    persona = {"name": job.profile.name, "problem": job.profile.problem, "persona": job.profile.body}
    if as_json:
        values = {each.key: {"value": each.value, "source": each.source} for each in keys}
        say_json({"job": job.id, "resolved": values, "profile": persona})
        return
    texts = [json.dumps(each.value, ensure_ascii=False) if each.value else "-" for each in keys]
    rows = [[each.key, clean(text), each.source] for each, text in zip(keys, texts, strict=True)]
    for line in columns([["KEY", "VALUE", "FROM"], *rows], 160, flexible=1):
        say(line)
    if job.profile.problem:
        say(style(clean(job.profile.problem), "red"))
    elif job.profile.body:
        say()
        say(clean(job.profile.body))


def _as_json(job: Job, text: str, settings: Settings) -> dict[str, Any]:
    packet = _packet(job, settings)
    return {
        "job": job.id,
        "stage": str(job.stage),
        "problem": job.problem,
        "manifest": plain(job.manifest),
        "record": plain(job.record),
        "lease": plain(job.lease) if job.lease else None,
        "gates": [as_dict(gate) for gate in packet.gates] if packet else [],
        "auto": list(packet.auto) if packet else [],
        "file": text,
    }


def _lines(job: Job, told: Diagnosis | None) -> list[str]:
    record, manifest = job.record, job.manifest
    lines = [f"{style(clean(job.id), 'bold')}  {style(str(job.stage), 'cyan')}  priority {manifest.priority}"]
    if job.problem:
        lines.append(style(f"out of play: {clean(job.problem)}", "red"))
    lines += diagnosis_lines(job, told) if told else []
    facts = {
        "title": manifest.title,
        "submitted": record.queued or "",
        "since": record.since or "",
        "submission": f"{record.submission}" if record.submission > 1 else "",
        "engine": manifest.engine or manifest.engine_class,
        "profile": manifest.profile,
        "host": job.lease.host if job.lease else "",
        "attempts": f"{record.attempts} of {manifest.retry.max + 1}" if record.epoch else "",
        "timeout": duration_text(manifest.timeout),
        "budget": _budget(job),
        "needs": ", ".join((*manifest.deps.shipped, *manifest.deps.testing)),
        "lock": manifest.lock,
        "branch": f"{record.branch} {record.tip[:12]}" if record.tip else "",
        "delivery": " ".join((record.delivery, record.delivered)).strip(),
        "hold": f"{record.hold.text} ({record.hold.by}, {record.hold.at})" if record.hold else "",
        "paused": f"{record.pause.text} ({record.pause.by}, {record.pause.at})" if record.pause else "",
    }
    lines += [f"  {name:<10} {clean(value)}" for name, value in facts.items() if value]
    for run in () if told else record.runs:
        lines += run_lines(run)
    lines += verdict_lines(record.verdict) if record.verdict else []
    lines += [f"  said       {clean(note.by)}, {note.at}: {clean(note.text)}" for note in record.feedback]
    lines += [f"  approved   {clean(note.by)}, {note.at} {clean(note.text)}" for note in record.approvals]
    lines += [
        f"  override   {clean(one.by)}, {one.at}: {clean(', '.join(one.gates))}: {clean(one.reason)}"
        for one in record.overrides
    ]
    return lines


def _budget(job: Job) -> str:
    words = budget_words(job.manifest.budget)
    return f"{words} (given by `aq resume --budget`)" if words and job.record.budget else words


def _delivery_lines(queue: Queue, job: Job) -> list[str]:
    """Why shipped work does not get any further."""
    grace = queue.ledger.snapshot().settings.cadence.grace
    stuck = stuck_delivery(job, listed_live(queue.ledger.beats, instant(time.time()), grace))
    return [f"  waits      {clean(stuck)}: `aq doctor` says what to do"] if stuck else []


def _packet(job: Job, settings: Settings) -> Packet | None:
    return packet_of(job, settings, instant(time.time())) if job.waits_for_person else None


def _gate_lines(queue: Queue, job: Job) -> list[str]:
    packet = _packet(job, queue.ledger.snapshot().settings)
    return list(gate_lines(packet)) if packet else []


def _work_lines(queue: Queue, job: Job) -> list[str]:
    """The folders on this machine where the job's runs worked, as long as they are kept, and those with
    the artifacts of its runs here."""
    from aq.ledger.paths import host_state

    hosts = host_state(queue.config.url, queue.config.branch, "any").parent
    found = sorted(hosts.glob(f"*/runs/{job.id}/*/work"))
    kept = sorted((queue.paths.clone / "logs" / job.id).glob("*/artifacts"))
    lines = [f"  work       {clean(str(path))}" for path in found]
    return lines + [f"  artifacts  {clean(str(path))}" for path in kept]
