"""The queue as one host or command sees it: fetch, read, and perform operations as group commits
with compare-and-swap pushes (DESIGN section 5, rules 1 to 4)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aq.core.change import Change, Refusal
from aq.core.errors import FrozenError, TryLaterError
from aq.core.event import parse, render
from aq.core.fleet import Beat
from aq.core.instants import instant
from aq.core.layout import file_edits
from aq.core.operations import Operation
from aq.core.results import Landed, Refused, Result, Waiting
from aq.core.snapshot import Snapshot
from aq.ledger.beatwriter import BeatWriter
from aq.ledger.commits import Committer, Identity, PlumbingCommitter
from aq.ledger.history import History
from aq.ledger.manifests import ParseCache
from aq.ledger.objects import MissingObjectError, Objects, PlumbingObjects
from aq.ledger.reader import Reader
from aq.ledger.remote import Pushed, PushSpec, Remote, Verdict
from aq.ledger.store import QueueConfig, Store

MAX_SLEEP = 4.0
_ROUNDS = 60
_UNSETTLED_LOOKS = 5


@dataclass(frozen=True, slots=True)
class Stack:
    """Commits built on `base`, one per operation, not yet known to be in the queue."""

    base: str
    built: tuple[Landed, ...]

    @property
    def tip(self) -> str:
        """The last commit."""
        return self.built[-1].commit


class Ledger:
    """One process's hold on the queue. Not thread-safe: one thread owns it."""

    def __init__(
        self, store: Store, config: QueueConfig, who: Identity, role: str, *, timeout: float = 60.0
    ) -> None:
        self.store, self.config, self.who, self.role = store, config, who, role
        self.timeout = timeout
        self.tip = ""
        self.beats: dict[str, tuple[str, Beat]] = {}
        self.unsettled: Stack | None = None
        self.pushes = 0
        self.lost = 0
        self.on_fetch: Callable[[], None] = lambda: None
        self._cycle = 0.05
        self._fetched_at = 0.0
        self._open()

    def _open(self) -> None:
        self.store.ensure()
        git_dir = self.store.git_dir
        self.remote = Remote(
            self.config.url, self.config.branch, git_dir, self.role, self.config.beat_refs, self.timeout
        )
        config = (git_dir / "config").read_text()
        self.oid_size = 32 if "sha256" in config else 20
        kind = PlumbingObjects if self.oid_size == 32 else Objects
        self.objects = kind(git_dir)
        committer = PlumbingCommitter if self.oid_size == 32 else Committer
        self.committer = committer(self.objects, self.oid_size)
        self.history = History(self.objects, git_dir, self.oid_size)
        self.cache = ParseCache(self.store.paths.home / "parsed.jsonl")
        self.reader = Reader(self.objects, self.cache, self.history.ages, self.oid_size)
        tip = self.store.seen_tip()
        if tip and self.objects.has(tip):
            self.tip = tip

    def close(self) -> None:
        """End child processes and forget the refs that only this process used."""
        self.cache.flush()
        self.objects.close()
        if not self.role.startswith("run-"):
            import shutil

            shutil.rmtree(self.store.git_dir / self.remote.seen, ignore_errors=True)

    def fetch(self) -> None:
        """Look at the remote. Raises TryLaterError, or FrozenError when history was rewound."""
        try:
            tip, beats = self._fetch()
            self._accept(tip, beats)
        except MissingObjectError:
            # The store is a cache: whatever is wrong with it, a new one is right.
            self._reopen()
            tip, beats = self._fetch()
            self._accept(tip, beats)
        self.beats = {host: (oid, beat) for host, oid in beats.items() if (beat := self._beat(host, oid))}
        self._fetched_at = time.monotonic()
        self.on_fetch()

    def _fetch(self) -> tuple[str, dict[str, str]]:
        try:
            return self.remote.fetch()
        except TryLaterError as error:
            if "mismatched algorithms" in error.what:
                self._reopen("sha256")
                return self.remote.fetch()
            if self._damaged(error.what):
                raise MissingObjectError(error.what) from None
            raise
        except OSError as error:
            raise MissingObjectError(f"the store is damaged: {error}") from None

    @staticmethod
    def _damaged(words: str) -> bool:
        return any(
            text in words
            for text in (
                "bad object",
                "unable to read",
                "corrupt",
                "not a git repository",
                "did not send all necessary objects",
                "missing blob",
                "missing tree",
                "inflate",
                "invalid sha1",
                "loose object",
            )
        )

    def _reopen(self, object_format: str = "sha1") -> None:
        self.objects.close()
        self.store.discard()
        self.store.ensure(object_format)
        self._open()

    def _beat(self, host: str, oid: str) -> Beat | None:
        content = None
        if self.cache.missing([oid]):
            try:
                content = self.history.commit(oid).message.encode()
            except MissingObjectError:
                return None
        beat = self.cache.value(Beat, oid, content, f"beat of {host}")
        return beat if isinstance(beat, Beat) and beat.host == host else None

    def _accept(self, new: str, beats: Mapping[str, str]) -> None:
        """Adopt a fetched tip if it descends from the last one seen (rule 1)."""
        seen = self.store.seen_tip() or self.tip
        known = bool(seen) and self.objects.has(seen)
        if not self.objects.has(new):
            raise MissingObjectError(f"the fetched tip {new} is not in the store")
        if known and not self.history.descends(new, seen) and not self._thawed(seen, new):
            # Another process of this clone may have pushed after our fetch began.
            if self.history.descends(seen, new):
                self.tip = seen
                return
            raise FrozenError(
                f"the queue's history was rewound: {new[:12]} does not descend from {seen[:12]}",
                "find out who forced the branch, then `aq doctor --accept-rewind`",
            )
        if seen and not known and not self._remote_knows(seen, new):
            raise FrozenError(
                f"the queue's history was rewound: {seen[:12]} is gone",
                "find out who forced the branch, then `aq doctor --accept-rewind`",
            )
        if not seen:
            self._trust_peers(new, beats)
        self.tip = new
        if new != seen:
            with self.store.locked():
                self.store.save_tip(new)

    def _thawed(self, old: str, new: str) -> bool:
        """Whether the history that we did not see holds a person's word that the rewind is right."""
        for _, info in self.history.between(old, new):
            event = parse(info.message)
            if event and event.op == "accept-rewind":
                return True
        return False

    def _remote_knows(self, seen: str, new: str) -> bool:
        try:
            return self.history.descends(new, seen) or self._thawed("", new)
        except MissingObjectError:
            return self._thawed("", new)

    def _trust_peers(self, tip: str, beats: Mapping[str, str]) -> None:
        """A host that sees the queue for the first time believes its peers' beats: when they name a
        tip that this history lacks, the remote was rewound before we came."""
        for host, oid in beats.items():
            beat = self._beat(host, oid)
            if not beat or not beat.tip:
                continue
            try:
                fine = self.history.descends(tip, beat.tip)
            except MissingObjectError:
                fine = False
            if not fine and self.objects.has(beat.tip):
                fine = self.history.descends(beat.tip, tip)
            if not fine and not self._accepted_since(tip, beat):
                raise FrozenError(
                    f"host {host} knows a history that this remote lacks ({beat.tip[:12]})",
                    "find out who forced the branch, then `aq doctor --accept-rewind`",
                )

    def _accepted_since(self, tip: str, beat: Beat) -> bool:
        for _, info in self.history.between("", tip):
            event = parse(info.message)
            if event and event.op == "accept-rewind" and instant(info.time) >= beat.at:
                return True
        return False

    def snapshot(self) -> Snapshot:
        """The queue at the tip known now. Fetches when nothing was ever seen."""
        if not self.tip:
            self.fetch()
        try:
            return self.reader.snapshot(self.tip)
        except MissingObjectError:
            self._reopen()
            self.fetch()
            return self.reader.snapshot(self.tip)

    def perform(self, operations: Sequence[Operation], beat: BeatWriter | None = None) -> list[Result]:
        """Ask every operation on the newest tip and push what comes out, as often as it takes. The
        results include those of operations that an earlier call left unsettled. Raises FrozenError."""
        results: list[Result] = []
        pending = list(operations)
        for attempt in range(_ROUNDS):
            try:
                results += self._settle_unsettled()
                if not self.tip:
                    self.fetch()
                pending = self._round(pending, results, beat)
            except TryLaterError as error:
                return results + [
                    Waiting(operation, str(error)) for operation in self._without_results(pending, results)
                ]
            beat = None if beat and beat.confirmed else beat
            if not pending:
                return results
            time.sleep(min(MAX_SLEEP, random.uniform(0, self._cycle * 2 ** min(attempt + 1, 8))))
        return results + [Waiting(operation, "too many lost races") for operation in pending]

    def _without_results(self, pending: list[Operation], results: list[Result]) -> list[Operation]:
        done = {result.operation.op_id for result in results}
        return [operation for operation in pending if operation.op_id not in done]

    def _round(
        self, pending: list[Operation], results: list[Result], beat: BeatWriter | None
    ) -> list[Operation]:
        """One build and push. Returns what is still to be done; adds to `results` what is settled."""
        asked_on = self.tip
        stack, refused = self._build(pending)
        if refused and time.monotonic() - self._fetched_at > 0.5:
            # A refusal counts only on the newest tip: the cached one may be old.
            self.fetch()
            if self.tip != asked_on:
                stack, refused = self._build(pending)
        if not stack:
            results += refused
            if beat:
                self._push_beat(beat)
            return []
        pushed = self._push(stack, beat)
        if pushed.verdict is Verdict.OK:
            self._advance(stack.tip)
            results += [*refused, *stack.built]
            return []
        results += refused
        rest = [landed.operation for landed in stack.built]
        if pushed.verdict is Verdict.POLICY:
            return self._one_by_one(rest, pushed, results)
        return self._after_loss(stack, rest, pushed, results)

    def _after_loss(
        self, stack: Stack, rest: list[Operation], pushed: Pushed, results: list[Result]
    ) -> list[Operation]:
        self.lost += 1
        if pushed.verdict is not Verdict.LOST:
            # Unknown until a fetch tells: remember it first, for the fetch may fail as well (rule 4).
            self.unsettled = stack
        self.fetch()
        if self.history.descends(self.tip, stack.tip):
            self.unsettled = None
            results += stack.built
            return []
        if self.unsettled and self.tip == stack.base:
            return []
        self.unsettled = None
        return rest

    def _settle_unsettled(self) -> list[Result]:
        """Find out what became of a push whose answer was lost. While the tip is still its base, the
        very same commits are pushed again and nothing else is built. Raises TryLaterError."""
        for look in range(_UNSETTLED_LOOKS):
            stack = self.unsettled
            if stack is None:
                return []
            verdict = self.remote.push([PushSpec(stack.tip, self.remote.head)])[self.remote.head].verdict
            if verdict in (Verdict.OK, Verdict.UP_TO_DATE):
                self.unsettled = None
                self._advance(stack.tip)
                return list(stack.built)
            self.fetch()
            if self.history.descends(self.tip, stack.tip):
                self.unsettled = None
                return list(stack.built)
            if self.tip != stack.base:
                self.unsettled = None
                return [Waiting(landed.operation, "its push was lost") for landed in stack.built]
            time.sleep(min(MAX_SLEEP, random.uniform(0, self._cycle * 2**look)))
        raise TryLaterError(
            "the outcome of the last push is not known yet", "it is settled with the next try"
        )

    def _build(self, operations: Sequence[Operation]) -> tuple[Stack | None, list[Result]]:
        built: list[Landed] = []
        refused: list[Result] = []
        tip = self.tip
        for operation in operations:
            decided = operation.decide(self.reader.snapshot(tip))
            if isinstance(decided, Refusal):
                refused.append(Refused(operation, decided))
                continue
            tip = self._commit(tip, operation, decided)
            built.append(Landed(operation, tip, decided))
        return (Stack(self.tip, tuple(built)) if built else None), refused

    def _commit(self, parent: str, operation: Operation, change: Change) -> str:
        edits, message = file_edits(change), render(change.event)
        try:
            return self.committer.commit(parent, edits, message, self.who, operation.at)
        except (OSError, ValueError):
            # On surprise, git's own plumbing does the same slowly and says what is wrong.
            return PlumbingCommitter(PlumbingObjects(self.store.git_dir), self.oid_size).commit(
                parent, edits, message, self.who, operation.at
            )

    def _push(self, stack: Stack, beat: BeatWriter | None) -> Pushed:
        specs = [PushSpec(stack.tip, self.remote.head)]
        if beat:
            specs.append(beat.prepare(stack.tip))
        started = time.monotonic()
        verdicts = self.remote.push(specs)
        self.pushes += 1
        self._cycle = 0.7 * self._cycle + 0.3 * (time.monotonic() - started)
        if beat:
            beat.settle(verdicts[beat.ref])
        return verdicts[self.remote.head]

    def _push_beat(self, beat: BeatWriter) -> None:
        spec = beat.prepare(self.tip)
        beat.settle(self.remote.push([spec])[spec.ref])

    def _advance(self, tip: str) -> None:
        self.tip = tip
        with self.store.locked():
            self.store.save_tip(tip)

    def _one_by_one(
        self, operations: list[Operation], pushed: Pushed, results: list[Result]
    ) -> list[Operation]:
        """A policy refusal is no lost race: find the operations that the remote will not take, set
        them aside with its words, and go on with the others (rule 3)."""
        if len(operations) == 1:
            results.append(Waiting(operations[0], f"the remote refused it: {pushed.words}", policy=True))
            return []
        for operation in operations:
            results += self.perform([operation])
        return []

    def read_commit_blob(self, blob: str) -> bytes:
        """A file's content by blob id."""
        return self.objects.read(blob)

    def write_blob(self, content: bytes) -> str:
        """Store a file's content and return its id."""
        return self.objects.write("blob", content)

    def forget_last_fetch(self) -> None:
        """Make the next refusal look at the remote first."""
        self._fetched_at = 0.0
