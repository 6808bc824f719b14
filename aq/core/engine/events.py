"""What an engine says while it runs, the same for every engine: its parser makes these from its own
output. Nothing here is trusted: texts are an engine's words."""

from __future__ import annotations

from aq.core.engine.usage import Usage
from aq.core.value import Value


class Started(Value):
    """A session began."""

    session: str = ""
    model: str = ""


class Said(Value):
    """Words of the model for people. The last is the summary unless `Finished` has one."""

    text: str


class ToolCalled(Value):
    """The engine uses a tool."""

    tool: str
    what: str = ""


class ToolDone(Value):
    """A tool came back. `denied` when the engine was not allowed to use it."""

    tool: str = ""
    ok: bool = True
    denied: bool = False


class Retrying(Value):
    """The engine tries its model again by itself, after `delay` seconds; None when it does not say."""

    status: int | None = None
    delay: float | None = None
    attempt: int = 0
    words: str = ""


class Used(Value):
    """Usage so far. `total`: of the whole run (else since the last such event); `session`: of the whole
    session, earlier runs of it included."""

    usage: Usage
    total: bool = False
    session: bool = False


class Faulted(Value):
    """The engine reports an error: an HTTP status if known, its own code, its words, and in how many
    seconds a limit resets if it says so."""

    words: str
    status: int | None = None
    code: str = ""
    reset: float | None = None


class Finished(Value):
    """The terminal event: without one a run is never a success."""

    ok: bool
    text: str = ""
    code: str = ""
    turns: int | None = None


Event = Started | Said | ToolCalled | ToolDone | Retrying | Used | Faulted | Finished
