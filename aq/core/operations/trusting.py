"""Operations on whom the queue's hosts trust."""

from __future__ import annotations

from aq.core.change import Change, Refusal
from aq.core.event import Event
from aq.core.layout import SIGNERS
from aq.core.operations.base import Operation
from aq.core.signers import Signers
from aq.core.snapshot import Snapshot


class ChangeSigners(Operation, kw_only=True):
    """An admin says who may sign from now on. `seen` is the commit that the signers before were from."""

    signers: Signers
    detail: str
    seen: str = ""

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Refused for signers with whom nobody could go on, or when others came meanwhile."""
        if self.signers.problem:
            return Refusal(self.signers.problem, "name an admin first")
        if snapshot.signers != self.seen:
            return Refusal("the signers were changed meanwhile", "`aq trust list`, then repeat the command")
        return Change(
            Event("signers", self.by, self.op_id, detail=self.detail),
            files={SIGNERS: self.signers.text().encode()},
        )


class AcceptCommit(Operation, kw_only=True):
    """An admin takes a distrusted commit as it is."""

    commit: str
    subject: str

    def decide(self, snapshot: Snapshot) -> Change | Refusal:
        """Always possible: it changes no file."""
        del snapshot
        extra = (("Aq-Accepted", self.commit),)
        return Change(Event("accept", self.by, self.op_id, detail=self.subject, extra=extra))
