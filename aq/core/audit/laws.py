"""What must hold of one job's step, invariant by invariant (DESIGN section 5). Each law says what is
wrong, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aq.core.audit.state import Replay, Seen
from aq.core.errors import IllegalTransitionError
from aq.core.event import Event
from aq.core.gates import Gate, GateName, auto_blockers, gates
from aq.core.instants import day
from aq.core.job import Job
from aq.core.layout import SPEND
from aq.core.lifecycle import Stage, Trigger, lease_allowed, transition
from aq.core.overrun import is_overrun
from aq.core.record import Record
from aq.core.retry import MAX_LOST, MAX_PREEMPTED
from aq.core.settings import Settings, Spend
from aq.core.value import Value
from aq.core.writes import Rewrite, strays, words

_CLAIMS = (Trigger.CLAIM, Trigger.VERIFY_CLAIM)
_BY_HOLDER = (
    Trigger.LAND,
    Trigger.VERIFIED,
    Trigger.UNVERIFIED,
    Trigger.FAIL,
    Trigger.RELEASE,
    Trigger.PREEMPT,
    Trigger.FIX_ROUND,
)

_AGAIN = (Trigger.REQUEUE, Trigger.REPAIR)


@dataclass
class Past:
    """What an audit remembers of one job beyond its files: the file that was first claimed, and the claims
    of the present submission with the most that it ever allowed."""

    claimed: str = ""
    claims: int = 0
    allowed: int = 0


class Step(Value):
    """One operation on one job: the job before and after it. `replay` is the queue after it; `was_paused`
    is whether the commit before had a stop."""

    event: Event
    before: Seen | None
    after: Seen
    replay: Replay
    past: Past
    was_paused: bool


def breaches(step: Step) -> Iterator[tuple[str, str]]:
    """Every law that this step breaks: its name, and what is wrong."""
    for name, law in _LAWS:
        what = law(step)
        if what:
            yield name, what


def _legal_move(step: Step) -> str:
    event, source, target = step.event, step.before.stage if step.before else None, step.after.stage
    if (event.source, event.target) != (source, target):
        return f"it says {event.source or 'new'} to {event.target}, and did {source or 'new'} to {target}"
    try:
        row = transition(Trigger(event.op), source, target)
    except IllegalTransitionError as error:
        return str(error)
    held, holds = (step.before.lease if step.before else None), step.after.lease
    if not lease_allowed(row.lease, before=held is not None, after=holds is not None, same=held == holds):
        return f"{event.op} asks for: {row.lease}"
    return ""


def _writes_its_own(step: Step) -> str:
    """An operation changes what it is for in the record, and nothing else."""
    trigger, after = Trigger(step.event.op), step.after
    before, source = (step.before.record, step.before.stage) if step.before else (Record(), None)
    change = Rewrite(trigger, before, after.record, source, after.stage, after.blob)
    return "" if after.broken else words(trigger, strays(change))


def _lease_where_it_belongs(step: Step) -> str:
    stage, lease = step.after.stage, step.after.lease
    if lease is None:
        return "building without a lease" if stage is Stage.BUILDING else ""
    if stage not in (Stage.BUILDING, Stage.REVIEW):
        return f"a lease in {stage}"
    return "" if lease.job == step.after.job else f"the lease is of {lease.job}"


def _epoch(step: Step) -> str:
    before = step.before.record.epoch if step.before else 0
    claim = step.event.op in _CLAIMS
    expected, found = before + claim, step.after.record.epoch
    if (found, step.event.epoch) != (expected, expected):
        return f"epoch {before} became {found}, and the commit says {step.event.epoch}"
    lease = step.after.lease
    if claim and lease and (lease.epoch, lease.host) != (expected, step.event.host):
        return f"the lease is of {lease.host} in epoch {lease.epoch}"
    return ""


def _by_the_holder(step: Step) -> str:
    held = step.before.lease if step.before else None
    if step.event.op not in _BY_HOLDER or held is None:
        return ""
    named = (step.event.host, step.event.epoch)
    return "" if named == (held.host, held.epoch) else f"{held.host} held it in epoch {held.epoch}"


def _claims_bounded(step: Step) -> str:
    if step.event.op != Trigger.CLAIM:
        return ""
    retry = step.replay.asked(step.after).retry
    allowed = retry.max + 1 + retry.infra + MAX_PREEMPTED + MAX_LOST
    past = step.past
    past.claims, past.allowed = past.claims + 1, max(past.allowed, allowed)
    return "" if past.claims <= past.allowed else f"claim {past.claims} of at most {past.allowed}"


def _submitted_by_a_person(step: Step) -> str:
    """Counters that begin anew, and a budget that grows, are a person's to ask for."""
    if step.before is None:
        return ""
    before, after, op = step.before.record, step.after.record, step.event.op
    more = op == Trigger.RESUME_JOB and is_overrun(before) and not is_overrun(after)
    again = op in _AGAIN or more or (op == Trigger.REJECT and step.after.stage is Stage.INBOX)
    if after.submission != before.submission + again:
        return f"submission {before.submission} became {after.submission} by {op}"
    return f"{op} changed its budget" if after.budget != before.budget and not more else ""


def _accepted_rightly(step: Step) -> str:
    event, seen = step.event, step.before
    if event.op not in (Trigger.SHIP, Trigger.PROMOTE) or seen is None:
        return ""
    settings, asked = step.replay.settings, step.replay.asked(seen)
    job = Job(seen.job, seen.stage, seen.folder, seen.blob, asked, seen.record, seen.lease)
    if event.host:
        wrong = "it is a person's to promote" if event.op == Trigger.PROMOTE else ""
        paused = "the queue was paused" if step.was_paused else ""
        why = wrong or paused or next(iter(auto_blockers(job, settings)), "")
        return f"{event.op} by the host {event.host}: {why}" if why else ""
    closed = [] if event.get("Aq-Reason") else _needs_a_reason(job, settings, event.op)
    return f"{event.op} without a reason: it {closed[0].why}" if closed else ""


def _needs_a_reason(job: Job, settings: Settings, op: str) -> list[Gate]:
    """The closed gates that nobody may pass in silence. Records of before the gates had a hold at most."""
    names = {GateName.HOLD, GateName.SCOPE} if job.record.hold else set()
    names |= {GateName.APPROVALS} if op == Trigger.SHIP else set()
    return [gate for gate in gates(job, settings) if gate.name in names]


def _file_kept(step: Step) -> str:
    past = step.past
    if step.event.op in _CLAIMS and not past.claimed:
        past.claimed = step.after.blob
    if step.event.op == Trigger.REPAIR:
        past.claimed = past.claimed and step.after.blob
    kept = past.claimed or step.after.blob
    return "" if step.after.blob == kept else "the job file changed after its first claim"


def _ready(step: Step) -> str:
    if step.event.op != Trigger.CLAIM:
        return ""
    deps = step.replay.manifest(step.after.blob).deps
    wanted: list[tuple[str, tuple[Stage, ...]]] = [(dep, (Stage.SHIPPED,)) for dep in deps.shipped]
    wanted += [(dep, (Stage.TESTING, Stage.SHIPPED)) for dep in deps.testing]
    for dep, stages in wanted:
        found = step.replay.seen(dep)
        if found is None or found.stage not in stages:
            return f"it started before {dep} was in {stages[0]}"
    return ""


def _observed(step: Step) -> str:
    held = step.before.lease if step.before else None
    if step.event.op != Trigger.RECLAIM or held is None or step.event.by == held.host:
        return ""
    _, _, seconds = step.event.get("Aq-Observed").partition(" ")
    silent = int(seconds) if seconds.isascii() and seconds.isdigit() else 0
    return "" if silent >= int(held.ttl) else f"reclaimed after {silent} s of silence, ttl {held.ttl:g} s"


def _names_its_tip(step: Step) -> str:
    tip, branch = step.after.record.tip, step.after.record.branch
    if bool(tip) != bool(branch):
        return f"branch {branch or '(none)'} with tip {tip or '(none)'}"
    return ""


def _within_limits(step: Step) -> str:
    if step.event.op not in _CLAIMS:
        return ""
    if step.was_paused:
        return "claimed while the queue was paused"
    lease = step.after.lease
    blob = step.replay.others.get(f"{SPEND}/{day(lease.acquired_at)}.yaml", "") if lease else ""
    spend = step.replay.reading.spend(blob) if blob else Spend()
    if isinstance(spend, str) or step.event.op != Trigger.CLAIM:
        return ""
    budgets, product = step.replay.settings.budgets, step.replay.manifest(step.after.blob).product
    limits = [("the fleet", budgets.fleet_usd, spend.fleet.total)]
    limits.append((product, budgets.products.get(product), spend.of(product).total))
    over = [
        f"{who} is at {used:g} of {limit:g} usd"
        for who, limit, used in limits
        if limit is not None and used > limit
    ]
    return over[0] if over else ""


def _readable(step: Step) -> str:
    return step.after.broken


_LAWS: tuple[tuple[str, Callable[[Step], str]], ...] = (
    ("I2", _lease_where_it_belongs),
    ("I3", _legal_move),
    ("I3", _readable),
    ("I3", _writes_its_own),
    ("I4", _epoch),
    ("I4", _by_the_holder),
    ("I5", _claims_bounded),
    ("I5", _submitted_by_a_person),
    ("I6", _accepted_rightly),
    ("I7", _file_kept),
    ("I8", _ready),
    ("I9", _observed),
    ("I10", _names_its_tip),
    ("I11", _within_limits),
)
