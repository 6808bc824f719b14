"""Why a job may not start: because of itself, of the fleet's limits, or of a host. The same answers
serve the plan, the claim and `aq why`."""

from __future__ import annotations

from collections.abc import Mapping

from aq.core.accepts import EVERYTHING, Accepts
from aq.core.instants import Instant, day
from aq.core.job import Job
from aq.core.lifecycle import BROKEN, Stage
from aq.core.manifest import Manifest
from aq.core.requirement import missing
from aq.core.settings import Spend
from aq.core.snapshot import Snapshot
from aq.core.variables import withheld

AGENT_CLASS = "agentic-coder"
SANDBOX = "sandbox:fs"
_FORGE_TOOLS = ("has:gh", "has:glab")
_PASSED_TESTING = (Stage.TESTING, Stage.SHIPPED)


def job_blockers(job: Job, snapshot: Snapshot, now: Instant) -> list[str]:
    """What keeps a waiting job from starting anywhere. Empty when it is ready."""
    record, manifest = job.record, job.manifest
    reasons = [job.problem] if job.problem else []
    if job.profile.problem:
        reasons.append(job.profile.problem)
    if manifest.every is not None:
        reasons.append("is a schedule: copies of it run")
    reasons += _pause_blockers(job)
    if record.hold:
        reasons.append(f"on hold: {record.hold.text}")
    reasons += _not_yet(manifest.not_before, "not before", now) + _not_yet(
        record.not_before, "retries at", now
    )
    reasons += dep_blockers(manifest, snapshot)
    return reasons + _lock_blockers(job, snapshot)


def verify_blockers(job: Job, snapshot: Snapshot, now: Instant) -> list[str]:
    """What keeps a landed job from being verified anywhere: a verify takes a lease like a run."""
    waits = _not_yet(job.record.not_before, "is verified again at", now)
    return _pause_blockers(job) + waits + _lock_blockers(job, snapshot)


def _not_yet(moment: Instant | None, why: str, now: Instant) -> list[str]:
    return [f"{why} {moment}"] if moment and moment > now else []


def _pause_blockers(job: Job) -> list[str]:
    pause = job.record.pause
    return [f"paused by {pause.by}: {pause.text or 'no reason given'}"] if pause else []


def _lock_blockers(job: Job, snapshot: Snapshot) -> list[str]:
    holder = lock_holder(job, snapshot)
    return [f"lock {job.manifest.lock!r} is held by {holder}"] if holder else []


def dep_blockers(manifest: Manifest, snapshot: Snapshot) -> list[str]:
    """The dependencies that are not there yet, each with how far it is."""
    needed = (*manifest.deps.shipped, *manifest.deps.testing)
    reasons = [f"needs {dep}, which is not trusted" for dep in needed if dep in snapshot.distrust.jobs]
    for dep in manifest.deps.shipped:
        if dep not in snapshot.archive:
            reasons.append(_needed(dep, "shipped", snapshot))
            continue
        shipped = snapshot.archive.get(dep)
        if shipped and shipped.manifest.deliver != "branch" and shipped.record.delivery != "delivered":
            reasons.append(f"needs {dep} delivered (it is shipped)")
    for dep in manifest.deps.testing:
        found = snapshot.find(dep)
        if not found or found.stage not in _PASSED_TESTING:
            reasons.append(_needed(dep, "in testing", snapshot))
    return reasons


def _needed(dep: str, what: str, snapshot: Snapshot) -> str:
    found = snapshot.find(dep)
    if found is None:
        return f"needs {dep} {what} (no such job)"
    if found.stage in BROKEN:
        return f"held: it needs {dep} {what}, which is in {found.stage}; `aq requeue {dep}` or cancel this"
    return f"needs {dep} {what} (it is in {found.stage})"


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
        waiting = sum(1 for _ in snapshot.for_people())
        if waiting >= settings.wip_people:
            reasons.append(f"{waiting} jobs wait for a person (wip.people is {settings.wip_people})")
    return reasons


def reservation(manifest: Manifest, snapshot: Snapshot) -> float:
    """The usd that a claim of this job sets aside."""
    if manifest.budget.usd is not None:
        return manifest.budget.usd
    budgets = snapshot.settings.budgets
    return budgets.default_usd if budgets.limited(manifest.product) else 0.0


def budget_blockers(
    manifest: Manifest, snapshot: Snapshot, now: Instant, spend: Spend | None = None
) -> list[str]:
    """The day's limits that this job's reservation would break. `spend` is the day's, when it is another
    than the tip's."""
    budgets = snapshot.settings.budgets
    if not budgets.limited(manifest.product):
        return []
    spend = snapshot.spend.get(day(now), Spend()) if spend is None else spend
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
    """The engine a host would use: the named one, or of the class asked for the one that the profile
    likes best, else the host's first. Without either, an agent: prose is never executed as a script.
    Empty when the host has none."""
    if manifest.engine:
        return manifest.engine if manifest.engine in engines else ""
    wanted = manifest.engine_class or AGENT_CLASS
    fitting = [name for name, kind in engines.items() if kind == wanted]
    liked = (name for name in manifest.prefers_engine if name in fitting)
    return next(liked, fitting[0] if fitting else "")


def engine_wanted(manifest: Manifest) -> str:
    """The engine clause in words."""
    return (
        f"engine:{manifest.engine}"
        if manifest.engine
        else f"engine-class:{manifest.engine_class or AGENT_CLASS}"
    )


def confinement(asked: str, floor: str) -> str:
    """How a job is confined on a host: the stricter of what the job asks for, if it does, and what the
    host's owner wants."""
    return max(asked or floor, floor, key=("off", "auto", "required").index)


def host_blockers(
    manifest: Manifest,
    offers: frozenset[str],
    engines: Mapping[str, str],
    accepts: Accepts = EVERYTHING,
) -> list[str]:
    """The clauses that a host does not meet, and those of its own that the job does not fit."""
    reasons = [f"lacks {clause}" for clause in missing(manifest.capabilities, offers)]
    if not resolve_engine(manifest, engines):
        reasons.append(f"lacks {engine_wanted(manifest)}")
    if manifest.repo and f"repo:{manifest.repo}" not in offers:
        reasons.append(f"lacks repo:{manifest.repo}")
    if manifest.sandbox == "required" and SANDBOX not in offers:
        reasons.append(f"lacks {SANDBOX}")
    return reasons + withheld(manifest.env, offers) + accepts.blockers(manifest)


def delivery_blockers(manifest: Manifest, offers: frozenset[str]) -> list[str]:
    """What a host lacks for delivering a job's shipped work: a pull request takes a forge's own tool."""
    reasons = []
    if manifest.repo and f"repo:{manifest.repo}" not in offers:
        reasons.append(f"lacks repo:{manifest.repo}")
    if manifest.deliver == "pr" and all(missing((tool,), offers) for tool in _FORGE_TOOLS):
        reasons.append(f"lacks {' and '.join(_FORGE_TOOLS)}")
    return reasons


def work_below(job: Job, snapshot: Snapshot) -> tuple[str, ...]:
    """The commits of the work that a job builds on: the branches of its dependencies in the same
    repository that are not merged there by delivery (rule 9). A pull request may still be open."""
    place = (job.manifest.repo, job.manifest.cwd)
    found = (snapshot.find(dep) for dep in (*job.manifest.deps.shipped, *job.manifest.deps.testing))
    return tuple(
        dep.record.tip
        for dep in found
        if dep
        and dep.record.tip
        and (dep.manifest.repo, dep.manifest.cwd) == place
        and any(place)
        and (dep.record.delivery != "delivered" or dep.manifest.deliver == "pr")
    )
