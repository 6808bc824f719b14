"""Lost replies: the connection of a claim's push, a result's push or a fetch is cut at any byte, either way.
Every claim and every result is in the queue exactly once, and said to be so exactly once."""

from __future__ import annotations

import random
import shutil
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from aq.core.errors import TryLaterError
from aq.core.operations import Operation
from aq.core.results import Landed
from aq.ledger.ledger import Ledger
from tests.crash.cutting import FETCH, PUSH, Relay, relayed
from tests.support.audit import audit
from tests.support.fleet import FAST, Fleet, wait_until
from tests.support.story import Story

_TIP = "ab" * 20
# Results that landed keep their leases here: nothing is verified.
_SLOTS = 10_000


@dataclass
class Cuts:
    """What the cuts showed."""

    points: int = 0
    cut: int = 0
    trouble: list[str] = field(default_factory=list)


def _landed(ledger: Ledger, operation: Operation) -> int:
    """How often the operation is said to have landed, until it is."""
    said: list[str] = []

    def settled() -> bool:
        try:
            results = ledger.perform([] if said else [operation])
        except TryLaterError:
            return False
        said.extend(r.operation.op_id for r in results if isinstance(r, Landed))
        return operation.op_id in said and ledger.pusher.unsettled is None

    wait_until(settled, 60, "the operation to land")
    return said.count(operation.op_id)


class Cutting:
    """A hub behind the relay, and two hosts: `ada`, who is cut off, and `bob`, who is not."""

    def __init__(self, root: Path, relay: Relay) -> None:
        self.relay = relay
        self.fleet = Fleet(root / "fleet", FAST, url=f"{relay.url}/fleet/hub.git")
        ada = self.fleet.machine("ada").ledger("run-ada")
        self.ada = Story(ada, self.fleet.hub, "ada")
        self.bob = Story(self.fleet.machine("bob").ledger("run-bob"), self.fleet.hub, "bob")
        self.count = 0

    def job(self) -> str:
        self.count += 1
        name = f"j{self.count:04d}"
        self.bob.inbox(name)
        return name

    def sizes(self) -> dict[str, int]:
        """How long the connection of each kind is, in each direction."""
        # The first fetch brings everything, and is like no other.
        first = self.job()
        self.ada.ledger.fetch()
        self.ada.do(self.ada.claim_of(first, slots=_SLOTS))
        self.ada.do(self.ada.land_of(first, _TIP))
        name = self.job()
        self.ada.ledger.fetch()
        found = self._size("fetch", FETCH)
        self.ada.do(self.ada.claim_of(name, slots=_SLOTS))
        found |= self._size("claim", PUSH)
        self.ada.do(self.ada.land_of(name, _TIP))
        return found | self._size("land", PUSH)

    def _size(self, kind: str, service: bytes) -> dict[str, int]:
        ways = {True: "up", False: "down"}
        return {f"{kind} {way}": self.relay.sizes[service, up] for up, way in ways.items()}

    def cut(self, what: str, at: int) -> str:
        """One cut; what went wrong."""
        kind, way = what.split()
        name = self.job()
        ledger = self.ada.ledger
        claim = self.ada.claim_of(name, slots=_SLOTS)
        if kind == "fetch":
            self.relay.arm(FETCH, up=way == "up", at=at)
            wait_until(self._fetches, 30, "a fetch")
        if kind == "claim":
            self.relay.arm(PUSH, up=way == "up", at=at)
        claims = _landed(ledger, claim)
        land = self.ada.land_of(name, _TIP)
        if kind == "land":
            self.relay.arm(PUSH, up=way == "up", at=at)
        lands = _landed(ledger, land)
        return "" if (claims, lands) == (1, 1) else f"{what} {at}: said {claims} claims and {lands} results"

    def _fetches(self) -> bool:
        try:
            self.ada.ledger.fetch()
        except TryLaterError:
            return False
        return True


def check_cuts(root: Path, count: int, seed: int) -> Cuts:
    """So many cuts, spread over all bytes of all connections."""
    found, dice = Cuts(), random.Random(seed)
    root.mkdir(parents=True, exist_ok=True)
    with relayed(root) as relay:
        scene = Cutting(root, relay)
        with closing(_Ended(scene.fleet)):
            places = [(what, at) for what, size in scene.sizes().items() for at in range(size)]
            for what, at in sorted(dice.sample(places, min(count, len(places)))):
                before = relay.cuts
                try:
                    trouble = scene.cut(what, at)
                except AssertionError as error:
                    trouble = f"{what} {at}: {error}"
                found.points += 1
                found.cut += relay.cuts - before
                found.trouble += [trouble] if trouble else []
            seen = audit(scene.fleet.hub)
            for job in seen.jobs:
                if seen.of(job) != ["add", "claim", "land"]:
                    found.trouble.append(f"{job}: {seen.of(job)}")
    shutil.rmtree(root, ignore_errors=True)
    return found


class _Ended:
    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet

    def close(self) -> None:
        self.fleet.end()
