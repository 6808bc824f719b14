"""A fake engine: its prompt is a script, its words are JSON lines, and what it was told can be asked."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aq.core.engine.events import (
    Event,
    Faulted,
    Finished,
    Retrying,
    Said,
    Started,
    ToolCalled,
    ToolDone,
    Used,
)
from aq.core.engine.usage import Usage
from aq.core.lease import Fence
from aq.core.manifest import Manifest
from aq.core.settle import Outcome
from aq.core.value import replace
from aq.core.work import Ended, Order
from aq.host.bench import Bench
from aq.host.config import HostConfig
from aq.host.engines.base import Auth, Brief, Engine, Launch, Probe
from tests.support.fleet import wait_until

FENCE = Fence("job", "ada", 3, "abcdef")
FOREVER = "while :; do sleep 0.1; done"
_KINDS = {
    "start": Started,
    "said": Said,
    "tool": ToolCalled,
    "back": ToolDone,
    "retry": Retrying,
    "fault": Faulted,
    "done": Finished,
}


def say(kind: str, **fields: Any) -> str:
    """The shell command by which the fake engine tells an event."""
    return "echo " + shlex.quote(json.dumps({"event": kind, **fields})) + "\n"


def tokens(count: float | None, **how: Any) -> str:
    """The shell command by which it tells what it used."""
    return say("used", output=count, **how)


DONE = say("done", ok=True)


def events_of(text: str) -> Sequence[Event]:
    """The event on a line of the fake engine."""
    if not text.startswith("{"):
        return ()
    told = json.loads(text)
    kind = told.pop("event", "")
    if kind == "used":
        flags = {name: told.pop(name) for name in ("total", "session") if name in told}
        return (Used(Usage(**told), **flags),)
    return (_KINDS[kind](**told),) if kind else ()


@dataclass
class FakeParser:
    """Reads JSON lines; remembers what came on which stream."""

    heard: list[tuple[str, bool]] = field(default_factory=list)
    ended: list[tuple[int, str]] = field(default_factory=list)

    def line(self, text: str, *, stderr: bool) -> Sequence[Event]:
        self.heard.append((text, stderr))
        return events_of(text)

    def end(self, code: int, artifact: str) -> Sequence[Event]:
        self.ended.append((code, artifact))
        return events_of(artifact)


@dataclass
class Fake:
    """One fake engine on one bench."""

    bench: Bench
    root: Path
    engine: Engine
    briefs: list[Brief] = field(default_factory=list)
    parsers: list[FakeParser] = field(default_factory=list)
    launch_with: dict[str, Any] = field(default_factory=dict)

    def launch(self, brief: Brief) -> Launch:
        self.briefs.append(brief)
        return Launch(("sh", "-c", brief.body), **self.launch_with)

    def parser(self) -> FakeParser:
        self.parsers.append(FakeParser())
        return self.parsers[-1]

    @property
    def folder(self) -> Path:
        return self.root / "state" / "runs" / "job" / "3"

    @property
    def log(self) -> str:
        return (self.root / "logs" / "job" / "3.log").read_text()

    def start(self, body: str, *, epoch: int = 3, **keys: Any) -> Fence:
        fence = replace(FENCE, epoch=epoch)
        manifest = Manifest(engine="fake", **keys)
        self.bench.start(Order(fence, 2, "fake", manifest, body, "Do it.\n", "A job"))
        return fence

    def outcome(self) -> Outcome:
        """The next report's outcome; the run is settled by it."""
        report = wait_until(lambda: self.bench.take_reports(0.1), 30, "a report")[0]
        assert isinstance(report, Ended), report
        thread = self.bench._runs[report.fence].thread
        self.bench.finish(report.fence)
        thread.join(10)
        return report.outcome

    def run(self, body: str, **keys: Any) -> Outcome:
        self.start(body, **keys)
        return self.outcome()


@contextmanager
def fake_engine(tmp_path: Path, config: HostConfig, **engine: Any) -> Iterator[Fake]:
    """A bench with a fake engine on it; whatever still runs is stopped at the end."""
    bench = Bench(config, tmp_path / "state", tmp_path / "logs")
    found = Probe("/opt/fake", "9.8.7", Auth.YES)
    fake = Fake(
        bench, tmp_path, Engine("fake", "agentic-coder", lambda _: found, lambda _: Launch(()), FakeParser)
    )
    fake.engine = replace(fake.engine, launch=fake.launch, parser=fake.parser, **engine)
    bench.kit.engines["fake"] = fake.engine
    yield fake
    for run in list(bench._runs.values()):
        run.stop("the test is over")
        run.finish()
        run.thread.join(20)
