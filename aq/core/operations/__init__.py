"""Everything that may change the queue. An operation is a pure function of the snapshot at a tip:
it returns the change, or a refusal with a reason. After a lost race it is asked again (rule 2).
Each kind is imported when it is first used: a command needs one or two of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aq.core.operations.accepting import AutoShip, Promote, Ship
    from aq.core.operations.base import Operation
    from aq.core.operations.fleet import AcceptRewind, PauseFleet, ResumeFleet
    from aq.core.operations.holding import Claim, Preempt, Reclaim, Release, VerifyClaim
    from aq.core.operations.landing import Delivered, Fail, Fenced, FixRound, Hold, Land, Unverified, Verified
    from aq.core.operations.people import (
        Approve,
        Cancel,
        PauseJob,
        Reject,
        RemoveStray,
        Repair,
        Requeue,
        ResumeJob,
    )
    from aq.core.operations.submitting import Add, Revise, Spawn
    from aq.core.operations.trusting import AcceptCommit, ChangeSigners

_HOMES = {
    "accepting": ("AutoShip", "Promote", "Ship"),
    "base": ("Operation",),
    "fleet": ("AcceptRewind", "PauseFleet", "ResumeFleet"),
    "holding": ("Claim", "Preempt", "Reclaim", "Release", "VerifyClaim"),
    "landing": ("Delivered", "Fail", "Fenced", "FixRound", "Hold", "Land", "Unverified", "Verified"),
    "people": (
        "Approve",
        "Cancel",
        "PauseJob",
        "Reject",
        "RemoveStray",
        "Repair",
        "Requeue",
        "ResumeJob",
    ),
    "submitting": ("Add", "Revise", "Spawn"),
    "trusting": ("AcceptCommit", "ChangeSigners"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AcceptCommit",
    "AcceptRewind",
    "Add",
    "Approve",
    "AutoShip",
    "Cancel",
    "ChangeSigners",
    "Claim",
    "Delivered",
    "Fail",
    "Fenced",
    "FixRound",
    "Hold",
    "Land",
    "Operation",
    "PauseFleet",
    "PauseJob",
    "Preempt",
    "Promote",
    "Reclaim",
    "Reject",
    "Release",
    "RemoveStray",
    "Repair",
    "Requeue",
    "ResumeFleet",
    "ResumeJob",
    "Revise",
    "Ship",
    "Spawn",
    "Unverified",
    "Verified",
    "VerifyClaim",
    "kind_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value


def kind_of(name: str) -> type[Operation]:
    """The class of the operations that are called so. Raises KeyError."""
    if name == "Operation":
        raise KeyError(name)
    found: type[Operation] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return found
