"""Folds an engine's events into what its run came to. Nothing that an engine says is trusted: numbers
that cannot be are unknown, and a total never shrinks."""

from __future__ import annotations

from collections.abc import Iterable

from aq.core.engine.events import Event, Faulted, Finished, Said, Started, ToolDone, Used
from aq.core.engine.report import EngineReport
from aq.core.engine.usage import Usage, counted, money
from aq.core.value import replace

MAX_FAULTS = 50
MAX_DENIED = 50
MAX_TEXT = 20_000
STDERR_LINES = 20


class Gatherer:
    """Takes in events one by one. `session` is the one to go on with, and `earlier` its usage before
    this run: engines that count over the whole session have it in their totals."""

    def __init__(self, session: str = "", earlier: Usage | None = None) -> None:
        self._wanted, self._earlier = session, earlier or Usage()
        self._report = EngineReport()
        self._base = Usage()
        self._since = Usage()
        self._totals = Usage()

    @property
    def usage(self) -> Usage:
        """What this run used, as far as it is known."""
        return self._base.plus(self._since)

    def add(self, event: Event) -> None:
        """One more event."""
        report = self._report
        match event:
            case Started():
                self._started(event)
            case Said(text):
                self._report = replace(report, text=text[-MAX_TEXT:] if text.strip() else report.text)
            case ToolDone(tool, _, True):
                self._report = replace(report, denied=(*report.denied, tool or "a tool")[:MAX_DENIED])
            case Used():
                self._used(event)
            case Faulted(words, status, code, reset):
                fault = Faulted(words[-MAX_TEXT:], status, code, money(reset))
                self._report = replace(report, faults=(*report.faults, fault)[-MAX_FAULTS:])
            case Finished():
                text = event.text[-MAX_TEXT:] if event.text.strip() else report.text
                turns = report.turns if event.turns is None else counted(event.turns)
                self._report = replace(report, finished=event.ok, text=text, end_code=event.code, turns=turns)
            case _:
                pass

    def _started(self, event: Started) -> None:
        report = self._report
        if self._wanted and event.session and event.session != self._wanted:
            # Another session than asked for: none of its totals are of an earlier run.
            self._earlier = Usage()
        self._report = replace(
            report, session=event.session or report.session, model=event.model or report.model
        )

    def _used(self, event: Used) -> None:
        usage = event.usage.possible()
        if event.session:
            total = self._report.session_usage.most(usage)
            self._report = replace(self._report, session_usage=total)
            usage = total.less(self._earlier)
        if not (event.total or event.session):
            self._since = self._since.plus(usage)
            return
        self._totals = self._totals.most(usage)
        # What the total does not know stays as it was counted so far.
        self._base, self._since = self._totals.known_over(self.usage), Usage()

    def report(self, code: int = 0, stderr: Iterable[str] = ()) -> EngineReport:
        """The whole run, with the code its process ended with and its last lines of stderr."""
        return replace(self._report, usage=self.usage, code=code, stderr=tuple(stderr)[-STDERR_LINES:])
