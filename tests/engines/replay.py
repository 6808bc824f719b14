"""Plays an engine's output back through its parser, and what the run then comes to."""

from __future__ import annotations

import json
from typing import Any

from aq.core.engine.classify import Verdict, classify
from aq.core.engine.events import Event
from aq.core.engine.gather import Gatherer
from aq.core.engine.report import EngineReport
from aq.core.engine.usage import Usage
from aq.core.value import Value
from aq.host.engines import ENGINES


class Stream(Value):
    """What one run of an engine put out, and how its process ended."""

    out: tuple[str, ...] = ()
    err: tuple[str, ...] = ()
    code: int = 0
    artifact: str = ""


def lines(*records: dict[str, Any] | str) -> tuple[str, ...]:
    """Records as lines of JSON; text as it is."""
    return tuple(record if isinstance(record, str) else json.dumps(record) for record in records)


def events(engine: str, stream: Stream) -> list[Event]:
    parser = ENGINES[engine].parser()
    found: list[Event] = []
    for line in stream.out:
        found += parser.line(line, stderr=False)
    for line in stream.err:
        found += parser.line(line, stderr=True)
    return [*found, *parser.end(stream.code, stream.artifact)]


def report(engine: str, stream: Stream, session: str = "", earlier: Usage | None = None) -> EngineReport:
    gatherer = Gatherer(session, earlier)
    for event in events(engine, stream):
        gatherer.add(event)
    return gatherer.report(stream.code, stream.err)


def verdict(engine: str, stream: Stream, *, changed: bool = False) -> Verdict:
    return classify(report(engine, stream), changed=changed, engine=engine)
