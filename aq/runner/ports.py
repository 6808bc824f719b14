"""What the loop needs of the ledger and of the host, as protocols: it imports neither."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from aq.core.change import Refusal
from aq.core.fleet import Beat, Cooling
from aq.core.health import Breaker
from aq.core.instants import Instant
from aq.core.job import Job
from aq.core.lease import Fence
from aq.core.manifest import Manifest
from aq.core.operations import Operation
from aq.core.results import Result
from aq.core.snapshot import Snapshot
from aq.core.work import Order, Report


class ClockPort(Protocol):
    """Time."""

    def now(self) -> Instant:
        """The wall clock."""

    def boottime(self) -> float:
        """Seconds since boot, sleep included."""


class BeatPort(Protocol):
    """Publishing this host's beat."""

    confirmed: bool
    compose: Callable[[], Beat]

    def look(self, remote_oid: str) -> None:
        """Compare the remote's beat of our name with ours."""

    def owns(self, oid: str) -> bool:
        """Whether a beat is ours."""

    def adopt(self, oid: str) -> None:
        """Take the remote's beat as the one to replace."""


class LedgerPort(Protocol):
    """The queue."""

    tip: str
    beats: dict[str, tuple[str, Beat]]
    on_ask: Callable[[], None]
    on_fetch: Callable[[], None]
    vet: Callable[[Operation], Refusal | None]

    def fetch(self) -> None:
        """Look at the remote."""

    def limit_time(self, seconds: float) -> None:
        """Let no network call last longer: a hung one must not cost the leases."""

    def snapshot(self) -> Snapshot:
        """The queue at the known tip."""

    def perform(self, operations: Sequence[Operation], beat: Any = None, seconds: float = 20) -> list[Result]:
        """Ask and push."""

    def read_commit_blob(self, blob: str) -> bytes:
        """A file's content."""


class BenchPort(Protocol):
    """Engines and checks."""

    def start(self, order: Order) -> None:
        """Begin a run."""

    def verify(self, fence: Fence) -> None:
        """Let a run's checks begin."""

    def fix(self, fence: Fence) -> None:
        """Let a run's engine have what its failed checks say."""

    def finish(self, fence: Fence) -> None:
        """Forget a settled run."""

    def stop(self, fence: Fence, reason: str) -> None:
        """Stop a run's processes."""

    def suspend(self, fence: Fence, *, on: bool) -> None:
        """Freeze or thaw a run's processes."""

    def in_place(self, fence: Fence) -> bool:
        """Whether a run works in a folder that is not its own."""

    @property
    def stalled(self) -> tuple[str, ...]:
        """The jobs whose engines have put nothing out for long."""

    def take_reports(self, timeout: float) -> list[Report]:
        """What ended."""

    def wake(self) -> None:
        """Make a waiting take_reports return."""

    def deliver(self, job: Job) -> None:
        """Merge a shipped job's branch into its target; a report follows."""

    def why_not(self, manifest: Manifest) -> str:
        """Why this host refuses a job."""

    def why_not_delivering(self, manifest: Manifest) -> str:
        """Why this host cannot deliver a job's shipped work."""


class SpoolPort(Protocol):
    """Results on disk until the queue has them."""

    def save(self, operation: Operation) -> None:
        """Write one down."""

    def remove(self, operation: Operation) -> None:
        """Forget one."""

    def waiting(self) -> list[Operation]:
        """What an earlier process left."""


class MemoryPort(Protocol):
    """What one host remembers across restarts."""

    def nonces(self) -> frozenset[str]:
        """The nonces of claims that this host may have made."""

    def add_nonce(self, nonce: str) -> None:
        """Remember one before its claim is pushed."""

    def load_evidence(self) -> Mapping[str, tuple[str, float, float]]:
        """Observations of an earlier process of the same boot."""

    def save_evidence(self, evidence: Mapping[str, tuple[str, float, float]]) -> None:
        """Keep observations."""

    def load_cooling(self) -> Mapping[str, Cooling]:
        """The engines that failed lately, and until when they rest."""

    def save_cooling(self, cooling: Mapping[str, Cooling]) -> None:
        """Keep them."""

    def load_breaker(self) -> Breaker:
        """What went bad here lately; times are on the wall's clock."""

    def save_breaker(self, breaker: Breaker) -> None:
        """Keep it."""

    def orphans(self) -> Iterable[str]:
        """End what earlier processes left running; the nonces of their runs."""


class ClonePort(Protocol):
    """The person's clone: intake and view. `settling` are files that were just written, and `more` says that
    the last pass left some to the next."""

    settling: list[str]
    more: bool

    def take_in(self) -> list[str]:
        """Copy a portion of the dropped files to the spool; what to tell a person."""

    def submissions(self) -> list[Operation]:
        """The next portion of what waits to be submitted."""

    def submitted(self, result: Result) -> str:
        """Take in a result; what to tell a person."""

    def refresh(self) -> list[str]:
        """Bring the view to the tip; what to tell a person."""

    @property
    def path(self) -> Path:
        """The clone's folder."""
