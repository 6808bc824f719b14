"""From operations to commits in the queue: build a stack, push it, find out what became of it, and
ask again what did not land (DESIGN section 5, rules 2 to 4)."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from aq.core.change import Change, Refusal
from aq.core.errors import TryLaterError
from aq.core.event import render
from aq.core.layout import file_edits
from aq.core.results import Landed, Refused, Result, Waiting
from aq.core.value import Value
from aq.ledger.commits import PlumbingCommitter
from aq.ledger.objects import MissingObjectError, PlumbingObjects
from aq.ledger.remote import Pushed, PushSpec, Verdict

if TYPE_CHECKING:
    from aq.core.operations import Operation
    from aq.ledger.beatwriter import BeatWriter
    from aq.ledger.ledger import Ledger

MAX_SLEEP = 4.0
_ROUNDS = 60
# A host has other things to do than to win one race: what did not land waits for its next tick.
SECONDS = 20.0
_LOOKS = 5
# A race won makes up for this much of one lost.
_EASE = 0.5


class Stack(Value):
    """Commits built on `base`, one per operation, not yet known to be in the queue."""

    base: str
    built: tuple[Landed, ...]

    @property
    def tip(self) -> str:
        """The last commit."""
        return self.built[-1].commit

    def spec(self, head: str) -> PushSpec:
        """What to push: onto its base and no other tip. A fast-forward alone would also take it on an
        ancestor of the base, and so undo a rewind that this host has not seen yet (rule 1)."""
        return PushSpec(self.tip, head, expect=self.base)


class Pusher:
    """Performs operations for one ledger, one group at a time."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.unsettled: Stack | None = None
        self.pushes = 0
        self.lost = 0
        self._cycle = 0.0
        self._began = 0.0
        self._crowd = 0.0
        self._longest = MAX_SLEEP
        # Whether the queue's commits go without the beat, and whether one is still owed in the end.
        self._apart = self._owed = False

    def perform(
        self, operations: Sequence[Operation], beat: BeatWriter | None, seconds: float = SECONDS
    ) -> list[Result]:
        """Ask every operation on the newest tip and push what comes out, as often as it takes but not
        much longer than `seconds`; the beat rides on every push, and goes alone in the end if none of
        them arrived. The results include those of an earlier call that were not settled. Raises
        FrozenError."""
        asked = {operation.op_id: operation for operation in operations}
        results: dict[str, Result] = {}
        why = "too many lost races"
        started = self._began = time.monotonic()
        self._longest = min(MAX_SLEEP, seconds / 2)
        self._apart = False
        self._owed = self._owed and beat is None
        try:
            for attempt in range(_ROUNDS):
                asked = self._settle(results) | asked
                todo = [op for op_id, op in asked.items() if op_id not in results]
                self._round(todo, results, None if self._apart else beat, fresh=attempt > 0)
                late = time.monotonic() - started > seconds and not self._apart
                if late or len(results) >= len(asked):
                    break
        except TryLaterError as error:
            why = error.what
        if beat and self._owed:
            # What keeps the queue's commits back keeps no sign of life back.
            with suppress(TryLaterError):
                self._beat_alone(beat)
        return [results.get(op_id) or Waiting(op, why) for op_id, op in asked.items()]

    def _sleep(self, losses: float) -> None:
        # In units of this host's own measured cycle, so that it scales with distance and load.
        time.sleep(min(self._longest, random.uniform(0, self._cycle * 2 ** min(losses + 1, 8))))

    def _round(
        self, todo: list[Operation], results: dict[str, Result], beat: BeatWriter | None, *, fresh: bool
    ) -> None:
        """One build and one push; adds to `results` what it settles."""
        stack, refused = self._build_fresh(todo)
        if stack is None:
            results.update({each.operation.op_id: each for each in refused})
            if beat:
                self._beat_alone(beat)
            return
        pushed = self._push(stack, beat)
        landed = pushed.verdict is Verdict.OK
        if landed:
            self._crowd = max(0.0, self._crowd - _EASE)
            self.ledger.advance(stack.tip)
        elif pushed.verdict is Verdict.BROKEN:
            raise MissingObjectError(f"the push {pushed.verdict}: {pushed.words}")
        elif pushed.verdict is Verdict.POLICY:
            if beat and self._owed:
                self._beat_alone(beat)
            self._one_by_one(stack, pushed, results)
        else:
            # A cached tip may just be old; a loss on a fresh one shows that the hub is crowded. That is
            # kept for the next group: a busy host would learn it anew with every push.
            self._crowd += fresh
            landed = self._landed_after_all(stack, pushed)
        if landed:
            # Only now is it certain that the refusals were decided on the newest tip.
            settled: list[Result] = [*refused, *stack.built]
            results.update({each.operation.op_id: each for each in settled})

    def _beat_alone(self, beat: BeatWriter) -> None:
        spec = beat.prepare(self.ledger.tip, self.ledger.config.beat_refs)
        beat.settle(self.ledger.remote.push([spec])[spec.ref])
        self._owed = False

    def _build_fresh(self, todo: list[Operation]) -> tuple[Stack | None, list[Refused]]:
        """The stack on the cached tip; when all is refused, on a tip that was just fetched: the
        cached one may be old."""
        if not self.ledger.tip:
            self.ledger.fetch()
        stack, refused = self._build(todo)
        if refused and stack is None:
            self.ledger.fetch()
            stack, refused = self._build(todo)
        return stack, refused

    def _landed_after_all(self, stack: Stack, pushed: Pushed) -> bool:
        """Look at the remote after a push that did not say `ok`. `=` is never a win here: the very
        same commit was there before us (rule 4)."""
        self.lost += 1
        if pushed.verdict is Verdict.UNKNOWN:
            # Remember it first, for the fetch may fail as well.
            self.unsettled = stack
        # Before the fetch: a wait after it would only make the new tip old again.
        self._sleep(self._crowd)
        self._began = time.monotonic()
        self.ledger.fetch()
        landed = pushed.verdict is not Verdict.UP_TO_DATE and self.ledger.contains(stack.tip)
        moved = landed or self.ledger.tip != stack.base
        if moved:
            self.unsettled = None
        # When nobody came first, it is the beat that the hub could not write.
        self._apart = pushed.verdict is Verdict.TOGETHER and not moved
        return landed

    def _settle(self, results: dict[str, Result]) -> dict[str, Operation]:
        """Find out what became of a push whose answer was lost; its operations. While the tip is
        still its base, the very same commits are pushed again and nothing else is built. Landed
        operations get their result, dead ones are to be asked again. Raises TryLaterError."""
        stack = self.unsettled
        if stack is None:
            return {}
        operations = {landed.operation.op_id: landed.operation for landed in stack.built}
        for look in range(_LOOKS):
            head = self.ledger.remote.head
            verdict = self.ledger.remote.push([stack.spec(head)])[head].verdict
            landed = verdict in (Verdict.OK, Verdict.UP_TO_DATE)
            if landed:
                self.ledger.advance(stack.tip)
            else:
                self.ledger.fetch()
                landed = self.ledger.contains(stack.tip)
            if landed or self.ledger.tip != stack.base or verdict is Verdict.POLICY:
                # What the remote refuses now by policy, it refused then.
                self.unsettled = None
                results.update({each.operation.op_id: each for each in stack.built if landed})
                return operations
            self._sleep(look)
        # The remote answers each fetch: a beat gets through.
        self._owed = True
        raise TryLaterError("the outcome of the last push is not known yet", "the next try settles it")

    def _build(self, operations: Sequence[Operation]) -> tuple[Stack | None, list[Refused]]:
        built: list[Landed] = []
        refused: list[Refused] = []
        tip = self.ledger.tip
        for operation in operations:
            decided = self.ledger.vet(operation) or operation.decide(self.ledger.reader.snapshot(tip))
            if isinstance(decided, Refusal):
                refused.append(Refused(operation, decided))
                continue
            commit = self._commit(tip, operation, decided)
            refusal = self.ledger.distrusted(commit)
            if refusal:
                refused.append(Refused(operation, refusal))
                continue
            tip = commit
            built.append(Landed(operation, tip, decided))
        return (Stack(self.ledger.tip, tuple(built)) if built else None), refused

    def _commit(self, parent: str, operation: Operation, change: Change) -> str:
        ledger = self.ledger
        edits, message = file_edits(change), render(change.event)
        try:
            return ledger.committer.commit(parent, edits, message, ledger.who, operation.at)
        except (OSError, ValueError):
            # On surprise, git's own plumbing does the same slowly and says what is wrong.
            slow = PlumbingCommitter(PlumbingObjects(ledger.store.git_dir), ledger.oid_size)
            slow.sign = ledger.committer.sign
            return slow.commit(parent, edits, message, ledger.who, operation.at)

    def _push(self, stack: Stack, beat: BeatWriter | None) -> Pushed:
        head = self.ledger.remote.head
        specs = [stack.spec(head)]
        if beat:
            # It names the base: the stack may lose, and peers believe that a beat's tip was real.
            specs.append(beat.prepare(stack.base, self.ledger.config.beat_refs))
        verdicts = self.ledger.remote.push(specs)
        self.pushes += 1
        # From the look at the tip to the answer: as long as this, another host can come first.
        took = time.monotonic() - self._began
        self._cycle = 0.7 * self._cycle + 0.3 * took if self._cycle else took
        if beat:
            told = verdicts[beat.ref]
            beat.settle(told)
            self._owed = told.verdict is Verdict.TOGETHER
            if verdicts[head].verdict is Verdict.TOGETHER and not self._owed:
                # The hub does not take the beat: the queue does not wait for that.
                return self.ledger.remote.push(specs[:1])[head]
        return verdicts[head]

    def _one_by_one(self, stack: Stack, pushed: Pushed, results: dict[str, Result]) -> None:
        """A policy refusal is no lost race: find the operations that the remote will not take, set
        them aside with its words, and go on with the others (rule 3)."""
        operations = [landed.operation for landed in stack.built]
        if len(operations) == 1:
            aside = Waiting(operations[0], f"the remote refused it: {pushed.words}", policy=True)
            results[operations[0].op_id] = aside
            return
        refused: set[str] = set()
        for operation in operations:
            if operation.about in refused:
                # What builds on a refused operation is not even asked: it would look fenced.
                results[operation.op_id] = Waiting(
                    operation, "it waits for an operation before it", policy=True
                )
                continue
            done = self.perform([operation], None)
            refused |= {each.operation.about for each in done if isinstance(each, Waiting)} - {""}
            results.update({each.operation.op_id: each for each in done})
