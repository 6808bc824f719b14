"""What an operation wants written: jobs before and after, never paths or bytes."""

from __future__ import annotations

from collections.abc import Mapping

from aq.core.event import Event
from aq.core.job import Job
from aq.core.settings import Pause, Spend
from aq.core.value import Value, field


class JobEdit(Value):
    """One job's change. `before` is None for a new job."""

    before: Job | None
    after: Job


class PauseEdit(Value):
    """The kill switch set, or lifted when `value` is None."""

    value: Pause | None


class Change(Value):
    """One commit to be: its message and its edits. `removed` names stray files, by path; `files` are others
    with their content."""

    event: Event
    jobs: tuple[JobEdit, ...] = ()
    pause: PauseEdit | None = None
    spend: Mapping[str, Spend] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)


class Refusal(Value):
    """Why an operation does not apply to this snapshot. `done` when it has its effect already."""

    reason: str
    hint: str = ""
    done: bool = False

    def __str__(self) -> str:
        return f"{self.reason}; {self.hint}" if self.hint else self.reason
