"""Output without a form: what is said is text, and the exit code is the only end there is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from aq.core.engine.classify import DECLARED
from aq.core.engine.events import Event, Faulted, Finished, Started
from aq.host.engines.base import Parser
from aq.host.engines.parsers.reading import record, session, text

_TAIL_LINES = 40
_LINE = 2000
SIGNALS_FROM = 128


class PlainParser:
    """Reads nothing: the exit code decides."""

    def line(self, text: str, *, stderr: bool) -> Sequence[Event]:  # noqa: ARG002
        """No events."""
        return ()

    def end(self, code: int, artifact: str) -> Sequence[Event]:  # noqa: ARG002
        """No events."""
        return ()


class TextParser:
    """Keeps the last lines as the summary. A process that a signal ended has no end of its own. A result
    file in JSON may name the session."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_TAIL_LINES)

    def line(self, text: str, *, stderr: bool) -> Sequence[Event]:
        """No events: only the end tells what was said last."""
        if not stderr:
            self._lines.append(text[-_LINE:])
        return ()

    def end(self, code: int, artifact: str) -> Sequence[Event]:
        """The end by its exit code."""
        name = session(record(artifact).get("session_id"))
        found: list[Event] = [Started(name)] if name else []
        if not 0 <= code < SIGNALS_FROM:
            return found
        said = text("\n".join(self._lines)).strip()
        return [*found, Finished(code == 0, said, "" if code == 0 else f"exit code {code}")]


class ExitCodes:
    """Another parser, with exit codes that mean a failure class, or success as `ok`."""

    def __init__(self, parser: Callable[[], Parser], classes: Mapping[int, str]) -> None:
        self._parser, self._classes = parser(), dict(classes)

    def line(self, text: str, *, stderr: bool) -> Sequence[Event]:
        """The other parser's events."""
        return self._parser.line(text, stderr=stderr)

    def end(self, code: int, artifact: str) -> Sequence[Event]:
        """The other parser's end, overruled by the map."""
        found = list(self._parser.end(code, artifact))
        failure = self._classes.get(code)
        if not failure:
            return found
        said = next((event.text for event in found if isinstance(event, Finished)), "")
        if failure != "ok":
            found.append(Faulted(f"exit code {code}", code=f"{DECLARED}{failure}"))
        return [*found, Finished(failure == "ok", said)]
