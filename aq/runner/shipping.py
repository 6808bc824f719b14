"""Shipping by policy: what `review-policy: auto` lets a host ship is shipped by one live host of the fleet.
What that is, is decided in core."""

from __future__ import annotations

from collections.abc import Mapping

from aq.core.change import Change
from aq.core.fleet import Beat
from aq.core.operations import AutoShip, Operation
from aq.core.planning.choose import elected, staying
from aq.runner.state import State


def ships(runner: State, hosts: Mapping[str, Beat]) -> list[Operation]:
    """The jobs that this host ships now. All hosts look at the same queue: one of them is enough."""
    if runner.stopping or runner.suspended or runner.confirmed_at is None:
        return []
    snapshot, operations = runner.ledger.snapshot(), list[Operation]()
    for job in snapshot.for_hosts_to_ship():
        if runner.busy(job.id):
            continue
        ship = AutoShip(**runner.now_op(), job=job.id)
        if elected(staying(hosts), job.id) == runner.me.host and isinstance(ship.decide(snapshot), Change):
            operations.append(ship)
    return operations
