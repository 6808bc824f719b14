"""What an engine is to the runner: where it is found, how it is started, and how its output is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from aq.core.engine.events import Event
from aq.core.value import Value, field


class Auth(StrEnum):
    """Whether an engine has credentials. `unknown` is worth a try."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Probe(Value):
    """What a look at this machine found. `path` is empty when the engine is not here."""

    path: str = ""
    version: str = ""
    auth: Auth = Auth.UNKNOWN


class Brief(Value):
    """What an engine is asked to do. `prompt` is the file with the whole prompt, `folder` the run's own
    folder outside the workspace; `session` is the engine's session to go on with, or nothing; `usd`,
    `turns`, `tokens` and `wall` are limits that engines with such an option are told as well;
    `commands` are the lines that run anyway, such as verify's; `judged` that a verify follows; `labels`
    are the job's; `sandboxed` that aq confines the engine, which then needs no sandbox of its own."""

    body: str
    prompt: Path
    folder: Path
    workspace: Path
    path: str = ""
    model: str = ""
    yolo: bool = False
    session: str = ""
    usd: float | None = None
    turns: int | None = None
    tokens: int | None = None
    wall: float | None = None
    commands: tuple[str, ...] = ()
    judged: bool = False
    labels: tuple[str, ...] = ()
    sandboxed: bool = False


class Launch(Value):
    """How to start it: arguments, the file for its standard input, more environment, files to write
    first (path to content), and a file in the run folder that it leaves its result in."""

    argv: tuple[str, ...]
    stdin: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[Path, str] = field(default_factory=dict)
    artifact: Path | None = None


class Parser(Protocol):
    """Reads one engine's output. It never raises on what the engine says."""

    def line(self, text: str, *, stderr: bool) -> Sequence[Event]:
        """The events of one line of output, without its newline; a long line may come cut."""

    def end(self, code: int, artifact: str) -> Sequence[Event]:
        """The events that only the end tells: from the exit code, or the text of the result file."""


class Engine(Value):
    """One engine. `kind` is its class (`agentic-coder`, or `shell`). `env` names the variables of the
    host that it may see, credentials included; `resumes` when a session can go on; `verdict` when its
    events decide, not its exit code; `free` when it costs nothing."""

    name: str
    kind: str
    probe: Callable[[Mapping[str, str]], Probe]
    launch: Callable[[Brief], Launch]
    parser: Callable[[], Parser]
    env: tuple[str, ...] = ()
    state: tuple[str, ...] = ()
    resumes: bool = False
    verdict: bool = True
    free: bool = False
