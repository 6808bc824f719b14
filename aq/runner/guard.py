"""The guarding step: what running work does while this host cannot prove that it holds its leases
(DESIGN section 5, rule 7)."""

from __future__ import annotations

from aq.core.manifest import Manifest
from aq.runner.state import State

SUSPEND_AT = 2 / 3


def guard(runner: State) -> None:
    """Suspend the engines at two thirds of the TTL without a confirmed beat; let them go on when a
    beat is confirmed; at the whole TTL, stop only the work that must not run twice."""
    if runner.confirmed_at is None:
        return
    silent = runner.clock.boottime() - runner.confirmed_at
    ttl = runner.settings.cadence.ttl
    doubtful = silent > ttl * SUSPEND_AT
    if doubtful and not runner.suspended and runner.held:
        runner.say(f"no confirmed beat for {silent:.0f}s: engines suspended until the queue answers")
        runner.suspended = True
        _suspend_all(runner, on=True)
        runner.beat_due = 0.0
    elif not doubtful and runner.suspended:
        runner.say("beat confirmed: engines go on")
        runner.suspended = False
        _suspend_all(runner, on=False)
    if silent > ttl:
        _unknown(runner)


def _suspend_all(runner: State, *, on: bool) -> None:
    for fence in runner.held:
        runner.bench.suspend(fence, on=on)


def must_stop(manifest: Manifest, *, in_place: bool) -> bool:
    """Whether work may harm when it runs twice: it holds a lock, is done in a folder that others
    share, or says so."""
    return bool(manifest.lock) or in_place or manifest.on_partition == "stop"


def _unknown(runner: State) -> None:
    for fence, held in runner.held.items():
        if held.stopping or held.fenced:
            continue
        if must_stop(held.job.manifest, in_place=runner.bench.in_place(fence)):
            held.stopping = True
            runner.say(f"{fence.job}: stopped, its lease may have lapsed")
            runner.bench.stop(fence, "the queue could not be reached for a whole TTL")
        else:
            runner.bench.suspend(fence, on=False)
