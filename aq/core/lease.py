"""A lease: who runs a job now, and the epoch that fences everybody else out."""

from __future__ import annotations

from aq.core.errors import AqError
from aq.core.instants import Instant, require_instant
from aq.core.value import Value

MAX_TTL = 366 * 86400.0


def require_ttl(ttl: float) -> None:
    """Raise unless a lease with this ttl (seconds) can ever lapse: not for nan, nor for infinity."""
    if not 0 < ttl <= MAX_TTL:
        raise AqError(f"a ttl of {ttl} s is impossible", "it is between 0 and 366 days")


class Fence(Value):
    """What a holder must prove with every landing (DESIGN section 5, rule 7)."""

    job: str
    host: str
    epoch: int
    nonce: str

    @property
    def key(self) -> str:
        """How a beat lists the lease."""
        return f"{self.job}:{self.epoch}:{self.nonce}"


class Lease(Value):
    """The content of `<job>.lease.yaml`. `ttl` is in seconds; `nonce` makes each claim unique."""

    job: str
    host: str
    boot: str
    nonce: str
    epoch: int
    attempt: int
    engine: str
    ttl: float
    acquired_at: Instant
    profile: str = ""

    def __post_init__(self) -> None:
        require_instant(self.acquired_at)
        require_ttl(self.ttl)

    @property
    def fence(self) -> Fence:
        """The proof that belongs to this lease."""
        return Fence(self.job, self.host, self.epoch, self.nonce)
