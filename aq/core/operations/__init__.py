"""Everything that may change the queue. An operation is a pure function of the snapshot at a tip:
it returns the change, or a refusal with a reason. After a lost race it is asked again (rule 2)."""

from aq.core.operations.base import Operation
from aq.core.operations.fleet import AcceptRewind, PauseFleet, ResumeFleet
from aq.core.operations.holding import Claim, Preempt, Reclaim, Release, VerifyClaim
from aq.core.operations.landing import Delivered, Fail, Fenced, FixRound, Hold, Land, Unverified, Verified
from aq.core.operations.people import (
    Approve,
    Cancel,
    PauseJob,
    Promote,
    Reject,
    RemoveStray,
    Repair,
    Requeue,
    ResumeJob,
    Ship,
)
from aq.core.operations.submitting import Add, Revise, Spawn

__all__ = [
    "AcceptRewind",
    "Add",
    "Approve",
    "Cancel",
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
]
