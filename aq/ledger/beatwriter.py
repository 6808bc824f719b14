"""Publishing this host's heartbeat: one orphan commit with an empty tree per beat, always with an
explicit lease on the last own one (DESIGN section 5, rule 5)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

from aq.core.errors import AqError
from aq.core.fleet import Beat
from aq.core.value import replace
from aq.ledger.commits import Committer, Identity
from aq.ledger.remote import Pushed, PushSpec, Verdict
from aq.ledger.store import write_atomic

_KEPT = 20


class HostNameInUseError(AqError):
    """Another machine beats under our name."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"host name {host} is in use by another machine",
            "give this one another name with --host, or `name:` in the host config",
        )


def _nothing() -> Beat:
    raise AssertionError("a beat was asked for before the runner said what is in it")


class BeatWriter:
    """The beats of one host. The ids of beats that were pushed are written down before the push, so
    that a restart knows its own."""

    def __init__(self, committer: Committer, who: Identity, host: str, refs: str, state: Path) -> None:
        self.committer, self.who, self.host = committer, who, host
        self.compose: Callable[[], Beat] = _nothing
        self.ref, self.path = f"{refs}/{host}", state / "beat.json"
        self.confirmed = False
        self.seq = 0
        self.last = ""
        self.own: list[str] = []
        self._pending = ""
        if self.path.exists():
            try:
                saved = json.loads(self.path.read_text("utf-8"))
                self.last, self.own = str(saved["last"]), [str(oid) for oid in saved["own"]]
            except (ValueError, KeyError, TypeError):
                self.last, self.own = "", []

    def owns(self, oid: str) -> bool:
        """Whether a beat on the remote is one of ours, confirmed or not."""
        return oid in (self.last, *self.own)

    def adopt(self, oid: str) -> None:
        """Take the remote's beat as the one to replace."""
        self.last = oid
        self._save()

    def prepare(self, tip: str, refs: str) -> PushSpec:
        """A new beat, and the push that publishes it below `refs`, where the fleet keeps its beats."""
        from aq.core.encoding import encode  # yaml is slow to import, and reading never needs it

        self.ref = f"{refs}/{self.host}"
        self.seq += 1
        beat = replace(self.compose(), tip=tip, seq=self.seq)
        oid = self.committer.raw_commit(
            self.committer.empty_tree(), (), encode(beat).decode(), self.who, beat.at
        )
        self.confirmed, self._pending = False, oid
        self.own = [*self.own[-_KEPT:], oid]
        self._save()
        return PushSpec(oid, self.ref, expect=self.last)

    def settle(self, pushed: Pushed) -> None:
        """Take in what the push did to our ref."""
        if pushed.verdict in (Verdict.OK, Verdict.UP_TO_DATE):
            self.last, self.confirmed = self._pending, True
            self._save()

    def look(self, remote_oid: str) -> None:
        """Compare the fetched beat with ours. Raises HostNameInUseError for one we did not write."""
        if remote_oid and remote_oid != self.last:
            if not self.owns(remote_oid):
                raise HostNameInUseError(self.host)
            self.adopt(remote_oid)
        elif not remote_oid and self.last:
            # Somebody cleaned the ref away: start it anew.
            self.adopt("")

    def _save(self) -> None:
        # A full disk must not end the loop: a restart that does not know its own beat takes it for a
        # stranger's, and waits until that has been silent for long enough.
        with contextlib.suppress(OSError):
            write_atomic(self.path, json.dumps({"last": self.last, "own": self.own}).encode())
