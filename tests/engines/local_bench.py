"""Plays the local agent in this process against any model server, and keeps what it told."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from aq.core.engine.classify import classify
from aq.core.engine.report import EngineReport
from aq.host.engines.local_agent.commands import Allowed
from aq.host.engines.local_agent.guards import Guards
from aq.host.engines.local_agent.history import History
from aq.host.engines.local_agent.jail import Jail
from aq.host.engines.local_agent.loop import Agent
from aq.host.engines.local_agent.server import Model, Server
from aq.host.engines.local_agent.tools import Tools
from aq.host.engines.local_agent.voice import Voice
from aq.host.engines.parsers.local import LocalParser
from tests.engines.scripted import Json, Scripted, calling, saying
from tests.support.gathering import gather

Serve = Callable[..., Scripted]
DONE = saying("I wrote a.txt.")
WRITE = calling("write_file", path="a.txt", content="hello\n")


@dataclass
class Bench:
    """Plays the agent, and keeps what it told."""

    work: Path
    waits: list[float] = field(default_factory=list)
    lines: list[Json] = field(default_factory=list)

    def play(
        self,
        url: str,
        *,
        turns: int = 10,
        tokens: int | None = None,
        left: Callable[[], float] = lambda: math.inf,
        window: int = 8192,
        judged: bool = False,
        key: str = "",
        task: str = "Write a.txt.",
    ) -> EngineReport:
        out = io.StringIO()
        voice = Voice(out)

        def retrying(status: int | None, delay: float, attempt: int, words: str) -> None:
            voice.say("retry", status=status, delay=delay, attempt=attempt, words=words)

        server = Server(url, key, left, retrying, self.waits.append)
        known = Model("tiny", window)
        tools = Tools(Jail(self.work), Allowed(), left)
        agent = Agent(server, tools, Guards(turns, tokens, left), History(window), voice, known, judged)
        try:
            agent.run(task)
        finally:
            server.close()
        self.lines = [json.loads(line) for line in out.getvalue().splitlines()]
        parser = LocalParser()
        return gather(e for line in out.getvalue().splitlines() for e in parser.line(line, stderr=False))

    @property
    def written(self) -> bool:
        return (self.work / "a.txt").exists()

    def said(self, event: str) -> list[Json]:
        return [line for line in self.lines if line["event"] == event]


def failure(report: EngineReport, *, changed: bool = True) -> str:
    return classify(report, changed=changed, engine="local").failure


def observations(body: Json) -> list[str]:
    """What the model was told of its calls, in a request."""
    return [m["content"] for m in body["messages"] if m["role"] == "tool" or "Result: " in m["content"]]
