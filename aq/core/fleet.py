"""What is known of the hosts: the beats they publish, and whether a lease still lives."""

from __future__ import annotations

from collections.abc import Mapping

from aq.core.accepts import EVERYTHING, Accepts
from aq.core.instants import Instant, require_instant
from aq.core.lease import require_ttl
from aq.core.value import Value, field


class Cooling(Value):
    """An engine that rests on a host: until when, the failure class that sent it, and how many such
    failures there were in a row."""

    until: Instant
    failure: str
    times: int = 1

    def __post_init__(self) -> None:
        require_instant(self.until)

    @property
    def words(self) -> str:
        """For people."""
        return f"rests until {self.until} ({self.failure})"


class Beat(Value):
    """The heartbeat of one host: facts for the router and the leases it holds (rule 5). `resting` says
    why it takes no work for a while; `cooling` are the engines that rest: `engines` and `offers` are
    without them. `stalled` are the jobs whose engines have put nothing out for long."""

    host: str
    incarnation: str
    seq: int
    at: Instant
    ttl: float
    tip: str = ""
    slots: int = 1
    offers: frozenset[str] = frozenset()
    engines: dict[str, str] = field(default_factory=dict)
    leases: tuple[str, ...] = ()
    draining: bool = False
    stopped: bool = False
    refuses: dict[str, str] = field(default_factory=dict)
    accepts: Accepts = EVERYTHING
    resting: str = ""
    version: str = ""
    stalled: tuple[str, ...] = ()
    cooling: dict[str, Cooling] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_instant(self.at)
        require_ttl(self.ttl)


class Evidence(Value):
    """What an observer saw last of a lease: a token that changes while its holder lives, when the first
    successful fetch that showed it was answered, and when the last one that showed it unchanged was asked for
    (seconds on the observer's own clock)."""

    token: str
    since: float
    last: float


def observe(evidence: Evidence | None, token: str, asked: float, answered: float) -> Evidence:
    """The evidence after one more successful fetch. What it shows was so at some time between the question
    and the answer, so the silence counts from an answer to a question: no slow network makes it longer."""
    if evidence is None or evidence.token != token:
        return Evidence(token, answered, answered)
    return Evidence(token, evidence.since, max(evidence.last, asked))


def lapsed(evidence: Evidence, ttl: float, grace: float) -> bool:
    """Whether two fetches more than ttl + grace apart showed no sign of life (rule 6). Time in which
    nothing was fetched proves nothing: the holder may have beaten all along."""
    return evidence.last - evidence.since > ttl + grace


class Lapse(Value):
    """A lease that may be reclaimed: the token that stayed, and for how many seconds."""

    lease: str
    host: str
    token: str
    silent: float
    ttl: float
    grace: float


def braked(lapses: Mapping[str, Lapse], hosts_with_leases: frozenset[str]) -> dict[str, Lapse]:
    """The lapses that may be acted on. When over half of three or more hosts fall silent at once,
    wait one more TTL: the remote was away, and unknown is not dead (rule 6)."""
    silent = {lapse.host for lapse in lapses.values()}
    if len(hosts_with_leases) < 3 or 2 * len(silent) <= len(hosts_with_leases):
        return dict(lapses)
    return {key: lapse for key, lapse in lapses.items() if lapse.silent > 2 * lapse.ttl + lapse.grace}
