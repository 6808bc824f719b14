"""What a whole run of an engine came to: the sum of its events."""

from __future__ import annotations

from aq.core.engine.events import Faulted
from aq.core.engine.usage import Usage
from aq.core.value import Value, field

# The end code of an engine that stopped before it was done, with work worth a look.
PARTIAL = "partial"


class EngineReport(Value):
    """The facts of a finished engine. `finished` is None without a terminal event, else whether the
    engine called it a success; `code` is the process's exit code, or minus a signal's number; `stderr`
    holds its last lines; `session_usage` is the last total over the whole session, to subtract when it
    is resumed."""

    finished: bool | None = None
    text: str = ""
    session: str = ""
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    session_usage: Usage = field(default_factory=Usage)
    turns: int | None = None
    denied: tuple[str, ...] = ()
    faults: tuple[Faulted, ...] = ()
    end_code: str = ""
    code: int = 0
    stderr: tuple[str, ...] = ()
