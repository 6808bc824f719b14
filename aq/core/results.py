"""What became of an operation that was sent to the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aq.core.change import Change, Refusal
from aq.core.value import Value

if TYPE_CHECKING:
    from aq.core.operations import Operation


class Landed(Value):
    """The operation is in the queue as this commit."""

    operation: Operation
    commit: str
    change: Change


class Refused(Value):
    """The operation does not apply to the newest tip."""

    operation: Operation
    refusal: Refusal


class Waiting(Value):
    """Not settled: the remote is away, refused it, or its answer was lost. Ask again later."""

    operation: Operation
    why: str
    policy: bool = False


Result = Landed | Refused | Waiting


def reason_of(result: Result) -> str:
    """Why an operation did not land, in words."""
    if isinstance(result, Refused):
        return str(result.refusal)
    return result.why if isinstance(result, Waiting) else ""
