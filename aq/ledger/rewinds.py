"""Rule 1: the queue branch moves only forward. Whether a fetched tip goes on from what this clone has seen,
and from what its peers have. Nothing is fetched or adopted here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from aq.core.event import Event, parse
from aq.core.fleet import Beat
from aq.core.instants import Instant, instant
from aq.ledger.history import History
from aq.ledger.objects import MissingObjectError, Objects

if TYPE_CHECKING:
    from aq.ledger.trusting import Trust


class Rewinds:
    """What one store can tell about histories that were lost, and about people's word that they may be."""

    def __init__(self, objects: Objects, history: History, trust: Trust | None) -> None:
        self.objects, self.history, self.trust = objects, history, trust

    def goes_on(self, tip: str, seen: str) -> bool:
        """Whether a tip descends from the last one seen, or a person has said since that it need not."""
        if self._descends(tip, seen):
            return True
        if self.objects.has(seen):
            return any(True for _ in self._words(seen, tip))
        # What lies beyond a history that is not here cannot be told: an old word is not one about this loss.
        return any(event.get("Aq-Old") == seen for event, _ in self._words("", tip))

    def missed(self, tip: str, beats: Iterable[Beat]) -> Beat | None:
        """The first of the peers' beats that names a tip which this one's history lacks, unless a person
        accepted that: who sees a queue for the first time believes its peers."""
        return next((beat for beat in beats if beat.tip and not self._knows(tip, beat)), None)

    def _knows(self, tip: str, beat: Beat) -> bool:
        if self._descends(tip, beat.tip):
            return True
        # A beat may be newer than the tip that was fetched with it.
        newer = self.objects.has(beat.tip) and self.history.descends(beat.tip, tip)
        return newer or self._accepted_after(beat, tip)

    def _descends(self, tip: str, seen: str) -> bool:
        """Whether the tip descends from a commit that may not be here at all."""
        try:
            return self.history.descends(tip, seen)
        except MissingObjectError:
            return False

    def _accepted_after(self, beat: Beat, tip: str) -> bool:
        """Whether a person accepted that the beat's tip was lost, or accepted a rewind after the beat, as far
        as the clocks of two machines tell."""
        return any(event.get("Aq-Old") == beat.tip or at >= beat.at for event, at in self._words("", tip))

    def _words(self, old: str, new: str) -> Iterator[tuple[Event, Instant]]:
        """Where people accept a rewind, and when, in the commits that `new` has beyond `old`."""
        for oid, info in self.history.between(old, new):
            event = parse(info.message)
            # These commits lie beyond the history that was judged.
            if not event or event.op != "accept-rewind" or (self.trust and not self.trust.vouches(oid)):
                continue
            # Somebody who writes a history anew copies old words into it, onto commits that nobody accepted.
            if event.get("Aq-New") in info.parents:
                yield event, instant(info.time)
