"""The deciding step: asks core what this host should do, and turns it into operations."""

from __future__ import annotations

import secrets
from functools import partial

from aq.core.fleet import Beat, Lapse
from aq.core.instants import latest_slot
from aq.core.judge import settle_fix, settle_verify
from aq.core.manifest import Manifest
from aq.core.operations import Claim, Fenced, Operation, Reclaim, Release, Spawn, Unverified, VerifyClaim
from aq.core.planning.choose import NO_FREE_SLOT, elected
from aq.core.planning.eligible import host_blockers
from aq.core.planning.plan import Assignment, Plan, plan, remember
from aq.core.settle import Ending, Outcome, settle
from aq.core.work import Checked, Ended, Fixed
from aq.runner import breaker, cooling
from aq.runner.deliver import deliver
from aq.runner.presence import compose
from aq.runner.shipping import ships
from aq.runner.state import Held, State
from aq.runner.watch import OWN_ORPHAN
from aq.runner.yielding import give_way

REFUSAL_SECONDS = 60.0
_MAX_REFUSALS = 50


def verdict_of(runner: State, held: Held, report: Ended | Checked | Fixed) -> list[Operation]:
    """The operations that a report of the bench means."""
    fence, at = held.fence, runner.now_op()
    if isinstance(report, Ended):
        held.outcome = report.outcome
        _learn(runner, held, report.outcome)
        breaker.note_end(runner, held, report.outcome)
        if held.fenced or report.outcome.ending is Ending.FENCED:
            return _fenced(runner, held)
        ids = (at["op_id"], runner.now_op()["op_id"])
        landing = list(settle(fence, report.outcome, at["at"], ids, held.yields_to))
        if report.outcome.ending is Ending.DONE and not held.job.manifest.verify:
            # The verdict goes with the landing: a host that dies in between must not run the job again.
            landing.append(Unverified(**runner.now_op(), fence=fence))
        return landing
    if isinstance(report, Fixed):
        return _fixed(runner, held, report)
    if held.fenced:
        return _fenced(runner, held)
    if report.error:
        return [Release(**at, fence=fence, reason=report.error, broken=not held.stopping)]
    manifest = held.job.manifest
    return [settle_verify(fence, report.checks, at["at"], at["op_id"], manifest, report.progress)]


def _learn(runner: State, held: Held, outcome: Outcome) -> None:
    if held.job.lease:
        cooling.learn(runner, held.job.lease.engine, outcome)


def _fixed(runner: State, held: Held, report: Fixed) -> list[Operation]:
    """What an engine's fix round means. Work that it left takes the place of the work before; where it
    left none, there is nothing to write before the checks run again."""
    outcome, at = report.outcome, runner.now_op()
    _learn(runner, held, outcome)
    if outcome.tip:
        held.outcome = outcome
    if held.fenced or outcome.ending is Ending.FENCED:
        return _fenced(runner, held)
    operation = settle_fix(held.fence, report.number, report.checks, outcome, at["at"], at["op_id"])
    if operation is None:
        runner.bench.verify(held.fence)
    return [operation] if operation else []


def _fenced(runner: State, held: Held) -> list[Operation]:
    outcome = held.outcome
    runner.drop(held.fence)
    if outcome is None or not outcome.tip:
        return []
    return [Fenced(**runner.now_op(), fence=held.fence, branch=outcome.branch, tip=outcome.tip)]


def decide(runner: State) -> list[Operation]:
    """Everything this host wants to do now that no report asked for."""
    operations = _obey_stop(runner) + _own_leases(runner) + _reclaims(runner)
    planned, hosts = _planned(runner)
    operations += _spawns(runner, hosts) + ships(runner, hosts)
    delivering = deliver(runner, hosts)
    settled = runner.confirmed_at is not None and not delivering
    runner.idle = settled and not _could_run(runner, planned)
    if not may_claim(runner):
        return operations
    give_way(runner, planned)
    mine = [e for e in planned.of(runner.me.host) if not runner.busy(e.job) and not runner.runs(e.job)]
    for assignment in mine[: _room(runner)]:
        operations += _claim(runner, assignment)
    return operations


def _room(runner: State) -> int:
    return breaker.may_start(runner, runner.slots_free())


def may_claim(runner: State) -> bool:
    """No confirmed beat, no claim (rule 5); nor while draining, stopping or suspended."""
    if runner.draining or runner.stopping or runner.suspended or runner.confirmed_at is None:
        return False
    return runner.clock.boottime() - runner.confirmed_at < runner.settings.cadence.ttl * 2 / 3


def _obey_stop(runner: State) -> list[Operation]:
    pause = runner.ledger.snapshot().pause
    if pause and pause.stop:
        for fence, held in runner.held.items():
            if not held.stopping:
                held.stopping = True
                runner.say(f"{fence.job}: stopped, the queue is paused with --stop")
                runner.bench.stop(fence, "the queue was stopped")
    return []


def _own_leases(runner: State) -> list[Operation]:
    """A live lease of ours that nothing of ours serves: reclaimed when its run is known to be dead,
    released when it was never started (rules 4 and 6)."""
    operations: list[Operation] = []
    known = runner.memory.nonces()
    for job in runner.ledger.snapshot().leased():
        lease = job.lease
        if (
            not lease
            or lease.host != runner.me.host
            or lease.fence in runner.held
            or runner.busy(job.id)
            or job.problem
        ):
            continue
        if lease.nonce in runner.orphans:
            lapse = Lapse(lease.fence.key, lease.host, OWN_ORPHAN, 0.0, lease.ttl, 0.0)
            operations.append(Reclaim(**runner.now_op(), job=job.id, lapse=lapse))
        elif lease.nonce in known:
            operations.append(
                Release(**runner.now_op(), fence=lease.fence, reason="claimed, but never started")
            )
    return operations


def _reclaims(runner: State) -> list[Operation]:
    if runner.stopping or runner.suspended:
        return []
    lapses = runner.watch.lapses(runner.ledger.snapshot(), runner.settings.cadence.grace)
    mine = {fence.key for fence in runner.held}
    operations: list[Operation] = []
    for job, lapse in lapses.items():
        if lapse.lease not in mine and not runner.busy(job):
            runner.say(f"{job}: {lapse.host} was silent for {lapse.silent:.0f}s, taking it back")
            operations.append(Reclaim(**runner.now_op(), job=job, lapse=lapse))
    return operations


def _live(runner: State) -> dict[str, Beat]:
    cadence = runner.settings.cadence
    hosts = runner.watch.live(runner.ledger.beats, cadence.grace)
    hosts[runner.me.host] = compose(runner)
    return hosts


def _planned(runner: State) -> tuple[Plan, dict[str, Beat]]:
    """The fleet's plan, without the jobs that this host finds it must refuse, and the hosts it is for."""
    now, clock, me = runner.clock.now(), runner.clock.boottime(), runner.me.host
    runner.refuses = {
        job: entry for job, entry in runner.refuses.items() if clock - entry[1] < REFUSAL_SECONDS
    }
    snapshot = runner.ledger.snapshot()
    while True:
        hosts = _live(runner)
        planned = plan(snapshot, hosts, now, runner.plan_memory)
        refused = {}
        for name in planned.starting(me):
            job = snapshot.find(name)
            why = runner.why_not(job) if job else ""
            if why:
                refused[name] = (why, clock)
        if not refused:
            break
        if len(runner.refuses) > _MAX_REFUSALS:
            # A beat stays short; what this host must refuse it does not claim all the same.
            planned = planned.without(me, refused)
            break
        runner.refuses |= refused
    patience = runner.settings.cadence.patience
    runner.plan_memory = remember(runner.plan_memory, planned.assignments, clock, patience, me, hosts)
    return planned, hosts


def _can_run(runner: State, manifest: Manifest) -> bool:
    me = runner.me
    offers, engines = cooling.offers(runner), cooling.engines(runner)
    return not host_blockers(manifest, offers, engines, me.accepts)


def _could_run(runner: State, planned: Plan) -> bool:
    """Whether any assignment of the plan is one that this host could take in another round."""
    snapshot = runner.ledger.snapshot()
    for assignment in planned.assignments:
        job = snapshot.find(assignment.job)
        if (
            job
            and assignment.job not in runner.refuses
            and (assignment.verify or _can_run(runner, job.manifest))
        ):
            return True
    return any(why == NO_FREE_SLOT for why in planned.waiting.values()) and bool(runner.held)


def _spawns(runner: State, hosts: dict[str, Beat]) -> list[Operation]:
    """Schedules that are due, each submitted by the live host that it falls to."""
    snapshot, now = runner.ledger.snapshot(), runner.clock.now()
    if snapshot.pause or snapshot.settings_error:
        return []
    operations: list[Operation] = []
    for job in snapshot.jobs():
        if job.manifest.every is None or job.problem or job.record.pause or runner.busy(job.id):
            continue
        chosen = elected(hosts, job.id)
        spawn = Spawn(**runner.now_op(), schedule=job.id)
        due = latest_slot(now, int(job.manifest.every)) >= job.queued
        if chosen == runner.me.host and due and not hasattr(spawn.decide(snapshot), "done"):
            operations.append(spawn)
    return operations


def _claim(runner: State, assignment: Assignment) -> list[Operation]:
    """The claim; none when its nonce cannot be kept, as nobody would know later whose it was."""
    nonce = secrets.token_hex(8)
    if not runner.write("claims", lambda: runner.memory.add_nonce(nonce)):
        return []
    me = runner.me
    make = VerifyClaim if assignment.verify else partial(Claim, score=str(assignment.score or ""))
    claim = make(
        **runner.now_op(),
        job=assignment.job,
        host=me.host,
        boot=me.boot,
        nonce=nonce,
        engine=assignment.engine,
        ttl=runner.settings.cadence.ttl,
        slots=me.slots,
        offers=cooling.offers(runner),
        engines=cooling.engines(runner),
        accepts=me.accepts,
    )
    return [claim]
