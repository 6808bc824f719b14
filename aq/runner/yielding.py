"""This host's runs that give their slots to critical jobs: stopped here, given back with their report."""

from __future__ import annotations

from aq.core.planning.plan import Plan
from aq.core.planning.preempt import Preemption
from aq.runner import breaker
from aq.runner.state import Held, State


def give_way(runner: State, planned: Plan) -> None:
    """Stop the runs of this host whose slots the plan gives to critical jobs."""
    # A host that may start nothing would stop a run for nothing.
    if breaker.may_start(runner, 1) < 1:
        return
    for taking in planned.preemptions:
        held = _running(runner, taking) if taking.host == runner.me.host else None
        if held:
            held.stopping, held.yields_to = True, taking.job
            runner.say(f"{taking.victim}: stopped, the critical {taking.job} takes its slot")
            runner.bench.stop(held.fence, f"preempted for {taking.job}")


def _running(runner: State, taking: Preemption) -> Held | None:
    """The run that is to give way, unless it is stopped or done already."""
    return next(
        (
            held
            for fence, held in runner.held.items()
            if fence.job == taking.victim
            and not (held.stopping or held.fenced or held.landed or held.outcome)
        ),
        None,
    )
