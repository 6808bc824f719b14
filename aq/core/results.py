"""What became of an operation that was sent to the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aq.core.change import Change, Refusal

if TYPE_CHECKING:
    from aq.core.operations import Operation


@dataclass(frozen=True, slots=True)
class Landed:
    """The operation is in the queue as this commit."""

    operation: Operation
    commit: str
    change: Change


@dataclass(frozen=True, slots=True)
class Refused:
    """The operation does not apply to the newest tip."""

    operation: Operation
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Waiting:
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
