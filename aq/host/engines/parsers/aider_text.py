"""aider's output: text only, and exit code 0 whatever happened."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence

from aq.core.engine.classify import reset_of, status_of
from aq.core.engine.events import Event, Faulted, Finished, Retrying, Said, ToolCalled, ToolDone, Used
from aq.core.engine.usage import Usage, counted, money
from aq.host.engines.parsers.reading import text, without

_AMOUNT = r"(\d{1,9}(?:\.\d{1,6})?)\s?([kM]?)"
_SENT = re.compile(rf"^Tokens: {_AMOUNT} sent\b")
_HIT = re.compile(rf"\b{_AMOUNT} cache hit\b")
_RECEIVED = re.compile(rf"\b{_AMOUNT} received\b")
_COST = re.compile(r"\bCost: \$(\d{1,9}(?:\.\d{1,9})?) message")
_EDITED = re.compile(r"^Applied edit to (.{1,500})$")
_ERROR = re.compile(r"^(?:litellm\.(\w+(?:Error|Exceeded|Exception))\b|The API provider\b)")
_AGAIN = re.compile(r"^Retrying in (\d+(?:\.\d+)?) seconds")
_GAVE_UP = re.compile(
    r"^(?:The LLM did not conform|Only \d+ reflections allowed|Model .{1,100} has hit a token limit)"
)
_BANNER = re.compile(
    r"^(?:Aider v|Main model:|Weak model:|Model:|Git repo:|Repo-map:|Added .* to the chat|Warning[: ]|Using )"
)
_SCALE = {"": 1, "k": 1000, "M": 1_000_000}
_TAIL_LINES = 40


def _amount(match: re.Match[str] | None) -> int | None:
    return counted(round(float(match[1]) * _SCALE[match[2]])) if match else None


class AiderParser:
    """An error that no retry follows is its end; an answer counts when its tokens are told."""

    def __init__(self) -> None:
        self._said: deque[str] = deque(maxlen=_TAIL_LINES)
        self._fenced = False
        self._error = ""
        self._answers = 0
        self._gave_up = ""

    def line(self, text: str, *, stderr: bool) -> Sequence[Event]:  # noqa: ARG002
        """The events of one line; aider writes its errors to either output."""
        line = text[:8000].rstrip()
        again = _AGAIN.match(line)
        if again:
            words, self._error = self._error, ""
            return [Retrying(status_of(words), float(again[1]), words=words)]
        if _ERROR.match(line):
            self._error = f"{self._error} {line}".strip()[:8000]
            return ()
        if _SENT.match(line):
            return self._tokens(line)
        edited = _EDITED.match(line)
        if edited:
            return [ToolCalled("edit", edited[1]), ToolDone("edit")]
        if _GAVE_UP.match(line):
            self._gave_up = line
        self._prose(line)
        return ()

    def end(self, code: int, artifact: str) -> Sequence[Event]:  # noqa: ARG002
        """Success only after an answer that no error followed."""
        if self._error:
            code_name = _ERROR.match(self._error)
            name = (code_name[1] or "") if code_name else ""
            fault = Faulted(self._error, status_of(self._error), name, reset_of(self._error))
            return [fault, Finished(False, code=name)]
        if self._gave_up:
            return [Faulted(self._gave_up), Finished(False)]
        if not self._answers or not 0 <= code < 128:
            return ()
        return [Finished(code == 0, turns=self._answers)]

    def _tokens(self, line: str) -> list[Event]:
        self._answers += 1
        self._error = ""
        hit = _amount(_HIT.search(line))
        sent = _amount(_SENT.match(line))
        cost = _COST.search(line)
        used = Usage(
            sent if hit is None else without(sent, hit),
            hit,
            _amount(_RECEIVED.search(line)),
            usd=money(float(cost[1])) if cost else None,
        )
        words = text("\n".join(self._said)).strip()
        self._said.clear()
        return [*([Said(words)] if words else []), Used(used)]

    def _prose(self, line: str) -> None:
        if line.lstrip().startswith("```"):
            self._fenced = not self._fenced
        elif line and not self._fenced and not _BANNER.match(line):
            self._said.append(line[:2000])
