"""This host in the eyes of the fleet: taking its name, composing its beat, keeping it due (rule 5)."""

from __future__ import annotations

import random

from aq.core.fleet import Beat
from aq.core.operations import Claim, VerifyClaim
from aq.runner import breaker, cooling
from aq.runner.state import BEAT_RETRY, State


def take_name(runner: State) -> None:
    """Our name is free, ours from before, given up, or silent for TTL + grace; else it is in use.
    Raises HostNameInUseError."""
    oid, beat = runner.ledger.beats.get(runner.me.host, ("", None))
    if (beat and beat.stopped) or (beat and not runner.beat.owns(oid) and _falls_silent(runner, oid, beat)):
        runner.beat.adopt(oid)
    if not runner.stopping:
        runner.named = True
        look(runner)


def _falls_silent(runner: State, oid: str, beat: Beat) -> bool:
    needed = beat.ttl + runner.settings.cadence.grace
    runner.say(f"another machine used the name {runner.me.host}: watching it for {needed:.0f}s")
    since = asked = runner.clock.boottime()
    # Silence counts from an answer to a question, as that of leases does: no slow network makes it longer.
    while asked - since <= needed:
        runner.bench.take_reports(runner.settings.cadence.poll)
        if runner.stopping:
            return False
        asked = runner.clock.boottime()
        runner.ledger.fetch()
        if runner.ledger.beats.get(runner.me.host, ("", None))[0] != oid:
            return False
    return True


def look(runner: State) -> None:
    """Compare the fetched beat of our name with ours. Raises HostNameInUseError."""
    if runner.named:
        runner.beat.look(runner.ledger.beats.get(runner.me.host, ("", None))[0])


def compose(runner: State) -> Beat:
    """What this host publishes now: the leases it serves, and those it is about to take."""
    leases = [fence.key for fence, held in runner.held.items() if not held.fenced]
    for operation in runner.pending.values():
        if isinstance(operation, (Claim, VerifyClaim)):
            job = runner.ledger.snapshot().find(operation.job) if runner.ledger.tip else None
            lease = job.lease if job else None
            # A claim may have landed a moment before its result is known.
            landed = lease is not None and lease.nonce == operation.nonce
            epoch = job.record.epoch if job else 0
            leases.append(f"{operation.job}:{epoch if landed else epoch + 1}:{operation.nonce}")
    me = runner.me
    return Beat(
        host=me.host,
        incarnation=me.incarnation,
        seq=0,
        at=runner.clock.now(),
        ttl=runner.settings.cadence.ttl,
        slots=me.slots,
        offers=cooling.offers(runner),
        engines=cooling.engines(runner),
        leases=tuple(sorted(leases)),
        draining=runner.draining or runner.stopping,
        stopped=runner.stopping and not runner.held,
        refuses={job: why for job, (why, _) in runner.refuses.items()},
        accepts=me.accepts,
        resting=breaker.resting(runner),
        version=me.version,
        stalled=runner.bench.stalled,
        cooling=cooling.resting(runner),
    )


def sent(runner: State, began: float) -> None:
    """Plan the next beat: after an interval when this one is confirmed, else soon, doubling to a
    quarter of the interval. A confirmation counts once, and from before its push `began`: peers may
    have seen the beat as early as that."""
    now, interval = runner.clock.boottime(), runner.settings.cadence.beat
    if runner.beat.confirmed:
        runner.beat.confirmed = False
        runner.hurry = runner.hurry or runner.confirmed_at is None
        runner.confirmed_at, runner.beat_delay = began, BEAT_RETRY
        runner.beat_due = now + interval * random.uniform(0.75, 1.25)
    else:
        runner.beat_due = now + min(runner.beat_delay, interval / 4)
        runner.beat_delay = min(runner.beat_delay * 2, max(BEAT_RETRY, interval / 4))
