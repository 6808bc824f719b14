"""How well a host suits a job: terms between -1 and 1, each with its reason, times a weight. Most of it
is the same for all jobs that ask for the same things, so it is found once for each such group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import fsum

from aq.core.fleet import Beat
from aq.core.instants import Instant, unix
from aq.core.job import Job
from aq.core.manifest import Manifest
from aq.core.planning.eligible import resolve_engine
from aq.core.planning.recent import Recent, place_of
from aq.core.planning.turn import priority_by_now
from aq.core.requirement import missing, parse_requirement
from aq.core.units import duration_text
from aq.core.value import Value

WEIGHTS = {"affinity": 1.0, "load": 1.0, "cost": 0.5, "health": 1.0, "starvation": 1.0, "fit": 0.5}
WARM = 0.75
OWED = 0.5
# Features that are no loss to a job that does not need them.
_ORDINARY = ("host:", "repo:", "cpus", "memory", "python")
_NO_FAILURE = ("", "preempted", "passed", "none", "held", "cancelled", "fenced")


class Term(Value):
    """One reason for or against a host."""

    name: str
    value: float
    weight: float
    why: str

    @property
    def points(self) -> float:
        """What it adds to the score."""
        return self.value * self.weight

    def __str__(self) -> str:
        return f"{self.name} {self.points:+.2f} ({self.why})"


class Score(Value):
    """The sum of a host's terms for one job."""

    terms: tuple[Term, ...]

    @property
    def total(self) -> float:
        """The points of all terms; rounded, so that equal is equal."""
        return round(fsum(term.points for term in self.terms), 6)

    def __str__(self) -> str:
        return f"{self.total:.2f}: {', '.join(map(str, self.terms))}"


class Scorer:
    """Scores the hosts of one fleet at one moment."""

    def __init__(
        self, hosts: Mapping[str, Beat], recent: Recent, weights: Mapping[str, float], now: Instant
    ) -> None:
        self.hosts, self.recent, self.now = hosts, recent, now
        self.weights = {**WEIGHTS, **weights}
        self._special = _special(hosts)
        self._most = max((len(each) for each in self._special.values()), default=0)
        self._busiest = max((self._starts_a_slot(name) for name in hosts), default=0.0)
        self._dearest = max(recent.costs.values(), default=0.0)
        self._common: dict[tuple[object, ...], dict[str, float]] = {}

    def fast(self, job: Job, host: str, free: int) -> float:
        """The same as the total of `score`, without the words."""
        points = self._points(job)[host] + self.weights["load"] * self._load(host, free)
        if job.record.runs:
            points += sum(term.points for term in self._earlier(job, host))
        return round(points, 6)

    def score(self, job: Job, host: str, free: int) -> Score:
        """The score of a host with so many free slots."""
        slots = self.hosts[host].slots
        load = Term(
            "load",
            self._load(host, free),
            self.weights["load"],
            f"{max(0, slots - free)} of {slots} slots in use",
        )
        return Score((*self._shared(job, host), *self._earlier(job, host), load))

    def waited(self, job: Job) -> str:
        """How long the job waits, and what that makes of its priority."""
        if not job.queued:
            return "waits since before anybody knows"
        waits = f"waits {duration_text(max(0, unix(self.now) - unix(job.queued)))}"
        urgency = priority_by_now(job, self.now, self.weights["starvation"])
        changed = urgency is not job.manifest.priority
        return f"{waits}, as urgent as {urgency} by now" if changed else waits

    def _points(self, job: Job) -> dict[str, float]:
        asked = job.manifest
        key = (
            asked.engine,
            asked.engine_class,
            asked.prefers_engine,
            asked.capabilities,
            asked.prefers,
            place_of(job),
        )
        if key not in self._common:
            self._common[key] = {
                host: fsum(term.points for term in self._shared(job, host)) for host in self.hosts
            }
        return self._common[key]

    def _shared(self, job: Job, host: str) -> tuple[Term, ...]:
        """The terms that do not depend on who else runs where, nor on the job's own history."""
        terms = (
            self._preferred(job.manifest, host),
            self._warm(job, host),
            self._cost(job.manifest, host),
            self._health(host),
            self._starved(host),
            self._fit(job.manifest, host),
        )
        return tuple(term for term in terms if term)

    def _term(self, name: str, value: float, why: str) -> Term:
        return Term(name, value, self.weights[name], why)

    def _preferred(self, asked: Manifest, host: str) -> Term | None:
        if not asked.prefers:
            return None
        lacking = missing(asked.prefers, self.hosts[host].offers)
        met = [clause for clause in asked.prefers if clause not in lacking]
        why = f"prefers {', '.join(met)}" if met else f"not what it prefers: {', '.join(lacking)}"
        return self._term("affinity", len(met) / len(asked.prefers), why)

    def _warm(self, job: Job, host: str) -> Term | None:
        place = place_of(job)
        if not place or place not in self.recent.of(host).places:
            return None
        return self._term("affinity", WARM, f"worked in {place} lately")

    def _cost(self, asked: Manifest, host: str) -> Term | None:
        engine = resolve_engine(asked, self.hosts[host].engines)
        usd = self.recent.costs.get(engine)
        if usd is None or not self._dearest:
            return None
        return self._term("cost", 1 - usd / self._dearest, f"{engine} cost {usd:.2f} usd a run lately")

    def _health(self, host: str) -> Term:
        past = self.recent.of(host)
        # Two good runs are assumed: one bad run of one says little.
        value = 1 - past.bad / (past.ended + 2)
        why = f"{past.bad} of its last {past.ended} runs broke off" if past.bad else "no run broke off lately"
        return self._term("health", value, why)

    def _starts_a_slot(self, host: str) -> float:
        return self.recent.of(host).starts / max(1, self.hosts[host].slots)

    def _starved(self, host: str) -> Term | None:
        if not self._busiest:
            return None
        starts = self.recent.of(host).starts
        value = OWED * (1 - self._starts_a_slot(host) / self._busiest)
        return self._term("starvation", value, f"{starts} starts within the last hour")

    def _fit(self, asked: Manifest, host: str) -> Term | None:
        if not self._most:
            return None
        wanted = {feature_asked(clause) for clause in asked.capabilities}
        wanted.add(f"engine:{resolve_engine(asked, self.hosts[host].engines)}")
        unused = sorted(self._special[host] - wanted)
        why = f"does not need its {', '.join(unused[:3])}{' …' if unused[3:] else ''}"
        return self._term(
            "fit", 1 - len(unused) / self._most, why if unused else "has nothing it does not need"
        )

    def _load(self, host: str, free: int) -> float:
        return free / max(1, self.hosts[host].slots)

    def _earlier(self, job: Job, host: str) -> tuple[Term, ...]:
        """What the job's own runs on this host say: a failure is best tried elsewhere, a session goes on
        where it is."""
        here = [run for run in job.record.runs if run.host == host and run.ended]
        if not here:
            return ()
        last, terms = here[-1], []
        if last.outcome not in _NO_FAILURE:
            terms.append(self._term("health", -1.0, f"its attempt {last.attempt} ended here: {last.outcome}"))
        if job.manifest.resume and last is job.record.last_run:
            terms.append(self._term("affinity", 1.0, "its session is here"))
        return tuple(terms)


def feature_offered(offer: str) -> str:
    """What an offer is about, without its version: `docker=27.1` and `has:docker` are `docker`."""
    return offer.partition("=")[0].removeprefix("has:")


def feature_asked(clause: str) -> str:
    """What a requirement is about."""
    asked = parse_requirement(clause)
    if asked.op or not asked.value:
        return asked.name
    return asked.value if asked.name == "has" else clause


def _special(hosts: Mapping[str, Beat]) -> dict[str, frozenset[str]]:
    """What each host has that less than half of the hosts have."""
    features = {name: frozenset(map(feature_offered, beat.offers)) for name, beat in hosts.items()}
    spread = Counter(feature for each in features.values() for feature in each)
    return {
        name: frozenset(
            feature
            for feature in each
            if 2 * spread[feature] < len(hosts) and not feature.startswith(_ORDINARY)
        )
        for name, each in features.items()
    }
