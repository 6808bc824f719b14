"""Operations on the whole queue: the kill switch, and accepting a rewind."""

from __future__ import annotations

from aq.core.change import Change, PauseEdit, Refusal
from aq.core.event import Event
from aq.core.operations.base import Operation
from aq.core.settings import Pause
from aq.core.snapshot import Snapshot


class PauseFleet(Operation, kw_only=True):
    """Nobody claims any more. With `stop`, running engines are stopped too and their work kept."""

    why: str
    stop: bool = False

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused when the queue is paused in the same way."""
        if snapshot.pause and (snapshot.pause.stop or not self.stop):
            return Refusal(f"the queue is paused already by {snapshot.pause.by or 'someone'}", done=True)
        event = Event(
            "pause",
            self.by,
            self.op_id,
            detail=self.why,
            extra=(("Aq-Reason", self.why),) if self.why else (),
        )
        return Change(event, pause=PauseEdit(Pause(self.by, self.why, self.at, self.stop)))


class ResumeFleet(Operation, kw_only=True):
    """Lifts the kill switch."""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused when the queue is not paused."""
        if not snapshot.pause:
            return Refusal("the queue is not paused", done=True)
        return Change(Event("resume", self.by, self.op_id), pause=PauseEdit(None))


class AcceptRewind(Operation, kw_only=True):
    """A person says that the rewound history is the queue now. Thaws every host (rule 1)."""

    old: str
    new: str

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused when the tip is not the one that the person saw."""
        if snapshot.tip != self.new:
            return Refusal("the remote moved meanwhile", "look again and repeat the command")
        return Change(
            Event("accept-rewind", self.by, self.op_id, extra=(("Aq-Old", self.old), ("Aq-New", self.new)))
        )
