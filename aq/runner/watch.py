"""Watching other hosts by our own clock: who is alive, and whose lease lapsed (rule 6)."""

from __future__ import annotations

from collections.abc import Mapping

from aq.core.change import Refusal
from aq.core.fleet import Beat, Evidence, Lapse, braked, lapsed, observe
from aq.core.operations import Operation, Reclaim
from aq.core.snapshot import Snapshot

ABSENT = "absent"
OWN_ORPHAN = "own-orphan"
_Kept = tuple[str, float, float]


class Watch:
    """Evidence about leases and hosts, from successful fetches only."""

    def __init__(self, kept: Mapping[str, _Kept]) -> None:
        self.leases: dict[str, Evidence] = {key: Evidence(*value) for key, value in kept.items()}
        self.hosts: dict[str, Evidence] = {}

    def fetched(
        self, snapshot: Snapshot, beats: Mapping[str, tuple[str, Beat]], asked: float, answered: float
    ) -> None:
        """Take in one successful fetch: a lease shows life only through a beat that lists it."""
        self.hosts = {
            host: observe(self.hosts.get(host), oid, asked, answered) for host, (oid, _) in beats.items()
        }
        fresh: dict[str, Evidence] = {}
        for job in snapshot.leased():
            assert job.lease
            key = job.lease.fence.key
            oid, beat = beats.get(job.lease.host, (ABSENT, None))
            token = oid if beat and key in beat.leases else ABSENT
            fresh[key] = observe(self.leases.get(key), token, asked, answered)
        self.leases = fresh

    def vet(self, operation: Operation) -> Refusal | None:
        """A reclaim whose holder showed life in the meantime is not asked any more."""
        if not isinstance(operation, Reclaim) or operation.lapse.token == OWN_ORPHAN:
            return None
        lapse = operation.lapse
        evidence = self.leases.get(lapse.lease)
        if evidence is None or evidence.token == lapse.token:
            return None
        return Refusal(f"{lapse.host} showed life: {operation.job} stays with it", done=True)

    def kept(self) -> dict[str, _Kept]:
        """The evidence in a form that can be written down."""
        return {key: (e.token, e.since, e.last) for key, e in self.leases.items()}

    def live(self, beats: Mapping[str, tuple[str, Beat]], grace: float) -> dict[str, Beat]:
        """The hosts whose beat changed within its own TTL + grace, as far as we could see."""
        alive = {}
        for host, (_, beat) in beats.items():
            evidence = self.hosts.get(host)
            if evidence and not beat.stopped and not lapsed(evidence, beat.ttl, grace):
                alive[host] = beat
        return alive

    def lapses(self, snapshot: Snapshot, grace: float) -> dict[str, Lapse]:
        """The leases of others that may be reclaimed now, by job."""
        found: dict[str, Lapse] = {}
        holders = set()
        for job in snapshot.leased():
            lease = job.lease
            assert lease
            holders.add(lease.host)
            evidence = self.leases.get(lease.fence.key)
            if evidence and lapsed(evidence, lease.ttl, grace) and not job.problem:
                silent = evidence.last - evidence.since
                found[job.id] = Lapse(lease.fence.key, lease.host, evidence.token, silent, lease.ttl, grace)
        return braked(found, frozenset(holders))
