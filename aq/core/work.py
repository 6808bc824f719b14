"""What the runner orders from the bench, and what the bench reports back: facts, no judgement."""

from __future__ import annotations

from dataclasses import dataclass

from aq.core.lease import Fence
from aq.core.manifest import Manifest
from aq.core.record import CheckResult
from aq.core.settle import Outcome


@dataclass(frozen=True, slots=True)
class Order:
    """One run to do. `verify_branch` and `verify_tip` are set when only its verify is to be run, or the
    branch is to be delivered; `under` are the commits of work that it builds on."""

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


@dataclass(frozen=True, slots=True)
class Ended:
    """The engine of a run is done."""

    fence: Fence
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Checked:
    """The checks of a run are done; `error` says why they could not be run at all."""

    fence: Fence
    checks: tuple[CheckResult, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Brought:
    """A shipped branch was merged as `oid`; or a `conflict` needs a person; or an `error` may pass."""

    job: str
    oid: str = ""
    conflict: str = ""
    error: str = ""


Report = Ended | Checked | Brought
