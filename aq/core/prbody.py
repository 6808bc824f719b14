"""The text of a pull request: what was done, how it was checked, what it cost, and where it comes from."""

from __future__ import annotations

from aq.core.job import Job
from aq.core.record import CheckResult
from aq.core.squash import one_line

_MAX_CHECKS = 50
_MAX_PATHS = 20


def pr_body(job: Job, summary: str) -> str:
    """The body of the pull request for a shipped job. `summary` is the engine's own."""
    record = job.record
    parts = [summary.strip(), _checks(job), _cost(job)]
    last = record.work
    if last and last.outside:
        lines = "\n".join(f"- `{one_line(path)}`" for path in last.outside[:_MAX_PATHS])
        parts.append(f"## Outside the job's scope\n\n{lines}")
    if last and last.warnings:
        lines = "\n".join(f"- {one_line(words)}" for words in last.warnings[:_MAX_PATHS])
        parts.append(f"## Worth a look\n\n{lines}")
    trailers = {
        "Aq-Job": job.id,
        "Aq-Epoch": record.epoch,
        "Aq-Branch": record.branch,
        "Aq-Tip": record.tip,
        "Aq-Item": job.manifest.tracker_item,
    }
    parts.append("\n".join(f"{name}: {value}" for name, value in trailers.items() if value))
    return "\n\n".join(part for part in parts if part) + "\n"


def _checks(job: Job) -> str:
    verdict = job.record.verdict
    if verdict is None or not verdict.checks:
        return "## Checks\n\nNone were asked for."
    lines = [_line(check) for check in verdict.checks[:_MAX_CHECKS]]
    return f"## Checks: {verdict.result}\n\n" + "\n".join(lines)


def _line(check: CheckResult) -> str:
    detail = f": {one_line(check.detail)}" if check.detail else ""
    return f"- {'passed' if check.passed else 'FAILED'}: `{one_line(check.check)}`{detail}"


def _cost(job: Job) -> str:
    runs = [run for run in job.record.runs if not run.verify_only]
    usd = [run.usd for run in runs if run.usd is not None]
    tokens = [run.tokens for run in runs if run.tokens is not None]
    money = f"{sum(usd):.2f} usd" if usd else "an unknown cost"
    used = f"{sum(tokens)} tokens" if tokens else "unknown tokens"
    attempts = f"{len(runs)} run{'' if len(runs) == 1 else 's'}"
    engines = ", ".join(dict.fromkeys(f"{run.engine} {run.model}".strip() for run in runs))
    return f"## Cost\n\n{money}, {used}, in {attempts}{f' of {engines}' if engines else ''}"
