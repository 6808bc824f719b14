"""What a list of engine events comes to."""

from __future__ import annotations

from collections.abc import Iterable

from aq.core.engine.events import Event
from aq.core.engine.gather import Gatherer
from aq.core.engine.report import EngineReport


def gather(events: Iterable[Event], code: int = 0, stderr: Iterable[str] = ()) -> EngineReport:
    gatherer = Gatherer()
    for event in events:
        gatherer.add(event)
    return gatherer.report(code, stderr)
