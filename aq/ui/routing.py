"""What the router thinks, as values: each host's score for a job or what keeps it off, and the plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aq.core.fleet import Beat
from aq.core.instants import Instant
from aq.core.job import Job
from aq.core.planning.eligible import host_blockers
from aq.core.planning.plan import Plan, free_slots, plan, scorer_for
from aq.core.planning.preempt import Preemption
from aq.core.planning.score import Score
from aq.core.snapshot import Snapshot
from aq.core.value import Value
from aq.ui.board import listed_live


class HostView(Value):
    """One host and one job. `reasons` keep it from starting the job now; a host that could ever run it
    has a score all the same."""

    host: str
    reasons: tuple[str, ...]
    score: Score | None
    chosen: bool

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"reasons": list(self.reasons), "chosen": self.chosen, **score_json(self.score)}


def score_json(score: Score | None) -> dict[str, Any]:
    """A score as plain data."""
    if score is None:
        return {"score": None, "terms": []}
    terms = [{"name": t.name, "points": round(t.points, 6), "why": t.why} for t in score.terms]
    return {"score": score.total, "terms": terms}


class Routing(Value):
    """The fleet at one moment, ready to be asked."""

    snapshot: Snapshot
    beats: Mapping[str, tuple[str, Beat]]
    now: Instant

    @property
    def live(self) -> dict[str, Beat]:
        """The hosts that seem alive."""
        return listed_live(self.beats, self.now, self.snapshot.settings.cadence.grace)

    def plan(self) -> Plan:
        """What the fleet would do next."""
        return plan(self.snapshot, self.live, self.now)

    def taking(self, job: Job) -> Preemption | None:
        """The exchange of a slot in which the job has a part, if any."""
        return next((p for p in self.plan().preemptions if job.id in (p.job, p.victim)), None)

    def waited(self, job: Job) -> str:
        """How long the job waits, in words."""
        return scorer_for(self.snapshot, self.live, [], self.now).waited(job)

    def hosts(self, job: Job) -> Iterator[HostView]:
        """Every host that ever beat, the best first."""
        live = self.live
        free = free_slots(self.snapshot, live)
        scorer = scorer_for(self.snapshot, live, self.snapshot.waiting(), self.now)
        chosen = next((a.host for a in self.plan().assignments if a.job == job.id), "")
        views = []
        for name, (_, beat) in sorted(self.beats.items()):
            reasons = self._refusals(job, name, beat, live)
            able = not reasons
            reasons += [] if not able or free.get(name) else [_busy(beat)]
            score = scorer.score(job, name, free.get(name, 0)) if able else None
            views.append(HostView(name, tuple(reasons), score, name == chosen))
        yield from sorted(views, key=lambda view: -view.score.total if view.score else 1000.0)

    def _refusals(self, job: Job, name: str, beat: Beat, live: Mapping[str, Beat]) -> list[str]:
        reasons = [] if name in live else ["no recent beat"]
        clauses = host_blockers(job.manifest, beat.offers, beat.engines, beat.accepts)
        if any(clause.startswith("lacks engine") for clause in clauses):
            clauses += [f"{engine} {cooling.words}" for engine, cooling in sorted(beat.cooling.items())]
        reasons += clauses
        return reasons + ([beat.refuses[job.id]] if job.id in beat.refuses else [])


def _busy(beat: Beat) -> str:
    if beat.resting:
        return f"rests: {beat.resting}"
    return "draining" if beat.draining else "no free slot"
