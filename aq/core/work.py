"""What the runner orders from the bench, and what the bench reports back: facts, no judgement."""

from __future__ import annotations

from aq.core.judge import Progress
from aq.core.lease import Fence
from aq.core.manifest import Manifest
from aq.core.prompt import digest_of
from aq.core.record import CheckResult
from aq.core.settle import Outcome
from aq.core.value import Value, field


class Order(Value):
    """One run to do. `verify_branch` and `verify_tip` are set when only its verify is to be run, or the
    branch is to be delivered; `under` are the commits of work that it builds on, `start_from` is the tip of
    an earlier run's work that it goes on from."""

    fence: Fence
    attempt: int
    engine: str
    manifest: Manifest
    body: str
    prompt: str
    title: str
    verify_branch: str = ""
    verify_tip: str = ""
    under: tuple[str, ...] = ()
    start_from: str = ""

    @property
    def prompt_hash(self) -> str:
        """What the prompt is known by: sha256 in hex. People see the first 12 digits."""
        return digest_of(self.prompt)


class Ended(Value):
    """The engine of a run is done."""

    fence: Fence
    outcome: Outcome


class Checked(Value):
    """The checks of a run are done; `error` says why they could not be run at all."""

    fence: Fence
    checks: tuple[CheckResult, ...]
    error: str = ""
    progress: Progress = field(default_factory=Progress)


class Fixed(Value):
    """The engine is done with a fix round, in which it was given the failed `checks`."""

    fence: Fence
    number: int
    checks: tuple[CheckResult, ...]
    outcome: Outcome


class Brought(Value):
    """A shipped branch was merged as `oid`, or is open for merging at `url`; or a `conflict` needs a
    person; or an `error` may pass."""

    job: str
    oid: str = ""
    url: str = ""
    conflict: str = ""
    error: str = ""


Report = Ended | Checked | Fixed | Brought
