"""The agent: ask the model, use the tools it calls, tell it what they found, until it calls none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aq.core.engine.report import PARTIAL
from aq.core.engine.usage import counted
from aq.host.engines.local_agent.dialects import Answer, Call, read_answer
from aq.host.engines.local_agent.guards import NO_TIME, Guards, Stop
from aq.host.engines.local_agent.history import History
from aq.host.engines.local_agent.server import Model, Said, Server, ServerError
from aq.host.engines.local_agent.tools import TOOLS, Tools, schemas
from aq.host.engines.local_agent.voice import Voice
from aq.host.engines.local_agent.words import HINT, SYSTEM, in_words

MAX_CALLS = 8
MAX_ANSWER = 8192
# No text has more characters for a token than this.
_MOST_PER_TOKEN = 6.0


@dataclass
class Agent:
    """One run of the agent. `judged` says that a verify follows, which decides about partial work."""

    server: Server
    tools: Tools
    guards: Guards
    history: History
    voice: Voice
    model: Model
    judged: bool = False
    native: bool = True
    written: list[str] = field(default_factory=list)
    _overflowed: bool = False

    def run(self, task: str) -> bool:
        """Work on the task; whether it came to an end by itself, or to partial work worth judging."""
        self.voice.say("started", model=self.model.name)
        self.history.add("system", SYSTEM)
        self.history.add("user", task)
        try:
            self._fit()
            return self._turns()
        except ServerError as error:
            if self.guards.left() <= 0:
                return self._stopped(NO_TIME)
            self.voice.say(
                "fault", words=error.words, status=error.status, code=error.code, reset=error.reset
            )
            self._finished(False, error.code or "server_error", self._partial(error.words))
            return False

    def _fit(self) -> None:
        """Some servers drop what does not fit without a word, the task first."""
        size, window = self.history.size, self.model.window
        if window and size / _MOST_PER_TOKEN > window:
            raise ServerError(
                f"the prompt has {size} characters, more than fit into {window} tokens",
                code="context_length_exceeded",
            )

    def _turns(self) -> bool:
        while True:
            stop = self.guards.before_turn()
            if stop:
                return self._stopped(stop)
            said = self._ask()
            answer = read_answer(said.message, TOOLS, cut=said.cut)
            if answer.text:
                self.voice.say("said", text=answer.text)
            stop = self.guards.read(answer.problem) or self._act(answer)
            if stop:
                return self._stopped(stop)
            if not answer.calls and not answer.problem:
                self._finished(True, "", answer.text)
                return True

    def _ask(self) -> Said:
        try:
            said = self.server.ask(self._question())
        except ServerError as error:
            if error.kind == "tools" and self.native:
                self.native = False
                self.history.messages[0].content += f"\n\n{in_words()}"
            elif error.kind == "context" and not self._overflowed:
                self._overflowed = True
                self.history.shrink(self.history.tokens / 2)
            else:
                raise
            return self._ask()
        self._count(said.usage)
        return said

    def _question(self) -> dict[str, Any]:
        question: dict[str, Any] = {
            "model": self.model.name,
            "messages": self.history.wire(),
            "stream": False,
            "max_tokens": min(MAX_ANSWER, max(256, self.history.window // 4)),
        }
        return {**question, "tools": schemas()} if self.native else question

    def _count(self, usage: dict[str, Any]) -> None:
        asked, output = counted(usage.get("prompt_tokens")), counted(usage.get("completion_tokens"))
        details = usage.get("prompt_tokens_details")
        cached = counted(details.get("cached_tokens")) if isinstance(details, dict) else None
        if asked is None and output is None:
            # A server that counts nothing: its own guard still needs a number, the record does not.
            self.guards.used += self.history.tokens
            return
        fresh = None if asked is None else max(0, asked - (cached or 0))
        self.history.learn(asked)
        self.guards.used += (asked or 0) + (output or 0)
        self.voice.say("usage", input=fresh, cached=cached, output=output)

    def _act(self, answer: Answer) -> Stop | None:
        if answer.problem:
            self.history.add("assistant", answer.text or "(no words)")
            self.history.add("user", f"{answer.problem}. {HINT if self.native else in_words()}")
            return None
        if not answer.calls:
            return None
        calls = answer.calls[:MAX_CALLS]
        self.history.answered(Answer(answer.text, calls))
        for call in calls:
            stop = self.guards.called(call)
            if stop:
                return stop
            self._use(call)
        return None

    def _use(self, call: Call) -> None:
        self.voice.say("tool", tool=call.name[:80], what=_summary(call))
        seen = self.tools.use(call)
        self.voice.say("tool_done", tool=seen.tool, ok=seen.ok, denied=seen.denied)
        if seen.ok and call.name == "write_file":
            self.written.append(str(call.arguments["path"]))
        self.history.observed(call, seen)

    def _stopped(self, stop: Stop) -> bool:
        self.voice.say("fault", words=stop.words, code=f"aq:{stop.failure}")
        worth = self.judged and bool(self.written)
        self._finished(worth, PARTIAL, self._partial(stop.words))
        return worth

    def _partial(self, why: str) -> str:
        names = ", ".join(dict.fromkeys(self.written))
        return f"Partial result: {why}. Written: {names or 'nothing'}."

    def _finished(self, ok: bool, code: str, text: str) -> None:
        self.voice.say("finished", ok=ok, code=code, text=text, turns=self.guards.asked)


def _summary(call: Call) -> str:
    given = next((call.arguments[n] for n in ("path", "command", "pattern") if n in call.arguments), "")
    return " ".join(str(given).split())[:200]
