"""Why a job may not start: because of itself, of the fleet's limits, or of a host. The same answers
serve the plan, the claim and `aq why`."""

from __future__ import annotations

from collections.abc import Mapping

from aq.core.instants import Instant, day
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.manifest import Manifest
from aq.core.requirement import missing
from aq.core.settings import Spend
from aq.core.snapshot import Snapshot

AGENT_CLASS = "agentic-coder"
_PASSED_TESTING = (Stage.TESTING, Stage.SHIPPED)


def job_blockers(job: Job, snapshot: Snapshot, now: Instant) -> list[str]:
    """What keeps a waiting job from starting anywhere. Empty when it is ready."""
    record, manifest = job.record, job.manifest
    reasons = [job.problem] if job.problem else []
    if manifest.every is not None:
        reasons.append("is a schedule: copies of it run")
    reasons += _pause_blockers(job)
    if record.hold:
        reasons.append(f"on hold: {record.hold.text}")
    for moment, why in ((manifest.not_before, "not before"), (record.not_before, "retries at")):
        if moment and moment > now:
            reasons.append(f"{why} {moment}")
    reasons += dep_blockers(manifest, snapshot)
    return reasons + _lock_blockers(job, snapshot)


def verify_blockers(job: Job, snapshot: Snapshot) -> list[str]:
    """What keeps a landed job from being verified anywhere: a verify takes a lease like a run."""
    return _pause_blockers(job) + _lock_blockers(job, snapshot)


def _pause_blockers(job: Job) -> list[str]:
    pause = job.record.pause
    return [f"paused by {pause.by}: {pause.text or 'no reason given'}"] if pause else []


def _lock_blockers(job: Job, snapshot: Snapshot) -> list[str]:
    holder = lock_holder(job, snapshot)
    return [f"lock {job.manifest.lock!r} is held by {holder}"] if holder else []


def dep_blockers(manifest: Manifest, snapshot: Snapshot) -> list[str]:
    """The dependencies that are not there yet, each with how far it is."""
    reasons = []
    for dep in manifest.deps.shipped:
        if dep not in snapshot.archive:
            reasons.append(f"needs {dep} shipped ({_how_far(dep, snapshot)})")
            continue
        shipped = snapshot.archive.get(dep)
        if shipped and shipped.manifest.deliver != "branch" and shipped.record.delivery != "delivered":
            reasons.append(f"needs {dep} delivered (it is shipped)")
    for dep in manifest.deps.testing:
        found = snapshot.find(dep)
        if not found or found.stage not in _PASSED_TESTING:
            reasons.append(f"needs {dep} in testing ({_how_far(dep, snapshot)})")
    return reasons


def _how_far(dep: str, snapshot: Snapshot) -> str:
    found = snapshot.find(dep)
    return f"it is in {found.stage}" if found else "no such job"


def lock_holder(job: Job, snapshot: Snapshot) -> str:
    """The running job that has this job's lock, or nothing."""
    if not job.manifest.lock:
        return ""
    same = (
        other.id
        for other in snapshot.leased()
        if other.manifest.lock == job.manifest.lock and other.id != job.id
    )
    return min(same, default="")


def fleet_blockers(snapshot: Snapshot) -> list[str]:
    """What keeps every job from starting (rule 10)."""
    reasons = []
    settings = snapshot.settings
    if snapshot.settings_error:
        reasons.append(f"queue settings are invalid: {snapshot.settings_error}")
    if snapshot.pause:
        reasons.append(f"the queue is paused by {snapshot.pause.who}: {snapshot.pause.reason}")
    if settings.wip_building is not None and sum(1 for _ in snapshot.leased()) >= settings.wip_building:
        reasons.append(f"{settings.wip_building} jobs are building (wip.building)")
    if settings.wip_people is not None:
        waiting = sum(job.waits_for_person for job in snapshot.jobs(Stage.REVIEW, Stage.TESTING))
        if waiting >= settings.wip_people:
            reasons.append(f"{waiting} jobs wait for a person (wip.people is {settings.wip_people})")
    return reasons


def reservation(manifest: Manifest, snapshot: Snapshot) -> float:
    """The usd that a claim of this job sets aside."""
    if manifest.budget.usd is not None:
        return manifest.budget.usd
    budgets = snapshot.settings.budgets
    return budgets.default_usd if budgets.limited(manifest.product) else 0.0


def budget_blockers(manifest: Manifest, snapshot: Snapshot, now: Instant) -> list[str]:
    """The day's limits that this job's reservation would break."""
    budgets, spend = snapshot.settings.budgets, snapshot.spend.get(day(now), Spend())
    wanted = reservation(manifest, snapshot)
    limits = [("the fleet", budgets.fleet_usd, spend.fleet.total)]
    if manifest.product:
        limits.append(
            (manifest.product, budgets.products.get(manifest.product), spend.of(manifest.product).total)
        )
    return [
        f"{who} has {limit - used:.2f} of {limit:.2f} usd left today and this job reserves {wanted:.2f}"
        for who, limit, used in limits
        if limit is not None and round(used + wanted, 6) > limit
    ]


def resolve_engine(manifest: Manifest, engines: Mapping[str, str]) -> str:
    """The engine a host would use: the named one, or the first of the class asked for. Without
    either, an agent: prose is never executed as a script. Empty when the host has none."""
    if manifest.engine:
        return manifest.engine if manifest.engine in engines else ""
    wanted = manifest.engine_class or AGENT_CLASS
    return next((name for name, kind in engines.items() if kind == wanted), "")


def engine_wanted(manifest: Manifest) -> str:
    """The engine clause in words."""
    return (
        f"engine:{manifest.engine}"
        if manifest.engine
        else f"engine-class:{manifest.engine_class or AGENT_CLASS}"
    )


def host_blockers(manifest: Manifest, offers: frozenset[str], engines: Mapping[str, str]) -> list[str]:
    """The clauses that a host does not meet."""
    reasons = [f"lacks {clause}" for clause in missing(manifest.capabilities, offers)]
    if not resolve_engine(manifest, engines):
        reasons.append(f"lacks {engine_wanted(manifest)}")
    if manifest.repo and f"repo:{manifest.repo}" not in offers:
        reasons.append(f"lacks repo:{manifest.repo}")
    return reasons


def work_below(job: Job, snapshot: Snapshot) -> tuple[str, ...]:
    """The commits of the work that a job builds on: the branches of its dependencies in the same
    repository that are not merged there by delivery (rule 9)."""
    place = (job.manifest.repo, job.manifest.cwd)
    found = (snapshot.find(dep) for dep in (*job.manifest.deps.shipped, *job.manifest.deps.testing))
    return tuple(
        dep.record.tip
        for dep in found
        if dep
        and dep.record.tip
        and (dep.manifest.repo, dep.manifest.cwd) == place
        and any(place)
        and dep.record.delivery != "delivered"
    )
