"""Gives jobs to hosts, one slot each: the best score wins, and of equals the highest rendezvous hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from aq.core.fleet import Beat
from aq.core.job import Job
from aq.core.manifest import Manifest
from aq.core.planning.eligible import host_blockers, resolve_engine
from aq.core.planning.score import Score, Scorer
from aq.core.value import Value

NO_FREE_SLOT = "waits for a free slot"


class Assignment(Value):
    """A job and the host it falls to. `verify` when only its verify is to be run; `score` says why this
    host."""

    job: str
    host: str
    engine: str
    verify: bool = False
    score: Score | None = None


def rendezvous(host: str, job: str) -> bytes:
    """A number that host and job fix together: the highest wins, and a host that leaves moves only
    its own jobs."""
    return hashlib.blake2b(f"{host}|{job}".encode(), digest_size=8).digest()


def elected(hosts: Iterable[str], job: str) -> str:
    """The host that one thing is left to which any of them could do for a job; nothing when there is none.
    Whoever sees the same hosts elects the same."""
    return max(hosts, key=lambda host: rendezvous(host, job), default="")


def staying(hosts: Mapping[str, Beat]) -> list[str]:
    """The hosts that do not drain or stop; all of them where none stays."""
    return [name for name, beat in hosts.items() if not beat.draining] or list(hosts)


class Chooser:
    """Chooses hosts, remembering what is left of each."""

    def __init__(
        self,
        hosts: Mapping[str, Beat],
        free: dict[str, int],
        passed: Mapping[str, frozenset[str]],
        scorer: Scorer,
        claiming: Mapping[str, str] | None = None,
    ) -> None:
        self.hosts, self.free, self.passed, self.scorer = hosts, free, passed, scorer
        # A claim on its way has its slot already: jobs before it in turn must not take that.
        self._claiming: dict[str, str] = {}
        for job, name in (claiming or {}).items():
            if free.get(name, 0) > 0 and name not in passed.get(job, ()):
                self._claiming[job] = name
                free[name] -= 1
        self.left = sum(free.values())
        self._refusing = {job for beat in hosts.values() for job in beat.refuses}
        self._choosy = any(beat.accepts.given for beat in hosts.values())
        # Many jobs ask for the same things: what that means is found once for each such group.
        self._able: dict[tuple[object, ...], list[str]] = {}
        self._reasons: dict[tuple[object, ...], str] = {}

    def choose(self, job: Job) -> Assignment | None:
        """The host that starts the job now, or None when none can."""
        claimed_by = self._claimed_by(job)
        if not self.left:
            return None
        able = self.able(job.manifest)
        mine = claimed_by in able and not self._refuses(claimed_by, job.id)
        name = claimed_by if mine else self._pick(job, able)
        if not name:
            return None
        engine = resolve_engine(job.manifest, self.hosts[name].engines)
        score = self.scorer.score(job, name, self.free[name])
        self._take(name)
        return Assignment(job.id, name, engine, score=score)

    def _claimed_by(self, job: Job) -> str:
        """The host whose claim of this job is on its way; the slot that was kept for it is free again."""
        name = self._claiming.pop(job.id, "")
        if name:
            self.free[name] += 1
            self.left += 1
        return name

    def choose_verifier(self, job: Job) -> list[Assignment]:
        """The host that verifies a landed job, if there is one."""
        need = f"repo:{job.manifest.repo}"
        able = [name for name, beat in self.hosts.items() if not job.manifest.repo or need in beat.offers]
        name = self._pick(job, able)
        if not name:
            return []
        self._take(name)
        return [Assignment(job.id, name, "", verify=True)]

    def _take(self, name: str) -> None:
        self.free[name] -= 1
        self.left -= 1

    def _pick(self, job: Job, names: list[str]) -> str:
        ready = [name for name in names if self.free.get(name, 0) > 0 and not self._refuses(name, job.id)]
        skipped = self.passed.get(job.id, frozenset())
        # When every host let its turn pass, start over: better a race than a job that waits.
        candidates = [name for name in ready if name not in skipped] or ready
        if len(candidates) < 2:
            return candidates[0] if candidates else ""
        points = {name: self.scorer.fast(job, name, self.free[name]) for name in candidates}
        best = max(points.values())
        return elected((name for name in candidates if points[name] == best), job.id)

    def _refuses(self, name: str, job: str) -> bool:
        return job in self._refusing and job in self.hosts[name].refuses

    def _group(self, manifest: Manifest) -> tuple[object, ...]:
        asked = (
            manifest.engine,
            manifest.engine_class,
            manifest.repo,
            manifest.sandbox,
            manifest.capabilities,
        )
        if not self._choosy:
            return asked
        return (*asked, manifest.product, manifest.labels, manifest.priority)

    def blockers(self, manifest: Manifest, name: str) -> list[str]:
        """What keeps one host from ever taking such a job."""
        beat = self.hosts[name]
        return host_blockers(manifest, beat.offers, beat.engines, beat.accepts)

    def able(self, manifest: Manifest) -> list[str]:
        """The hosts that can run such a job, busy or not."""
        group = self._group(manifest)
        if group not in self._able:
            self._able[group] = [name for name in sorted(self.hosts) if not self.blockers(manifest, name)]
        return self._able[group]

    def willing(self, job: Job) -> list[str]:
        """The hosts that take work and could run the job if they had a slot."""
        return [
            name for name in self.able(job.manifest) if name in self.free and not self._refuses(name, job.id)
        ]

    def why(self, job: Job) -> str:
        """Why no host was found."""
        if job.id in self._refusing:
            return self._why_none(job.manifest, job.id)
        group = self._group(job.manifest)
        if group not in self._reasons:
            self._reasons[group] = self._why_none(job.manifest, job.id)
        return self._reasons[group]

    def _why_none(self, manifest: Manifest, job: str) -> str:
        able = self.able(manifest)
        if not able:
            return self._none_can(manifest)
        willing = [name for name in able if not self._refuses(name, job)]
        if not willing:
            return f"{able[0]}: {self.hosts[able[0]].refuses[job]}"
        if any(name in self.free and self.hosts[name].slots for name in willing):
            return NO_FREE_SLOT
        resting = next((name for name in willing if self.hosts[name].resting), "")
        return f"{resting} rests: {self.hosts[resting].resting}" if resting else "no host takes work"

    def _none_can(self, manifest: Manifest) -> str:
        if not self.hosts:
            return "no live host"
        found = [(self.blockers(manifest, name), name) for name in sorted(self.hosts)]
        clauses, name = min(found, key=lambda pair: len(pair[0]))
        return f"no live host can run it: {name} {', '.join(clauses)}"
