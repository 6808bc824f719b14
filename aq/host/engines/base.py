"""What an engine is to the runner: a name, a class, and how to start it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Brief:
    """What an engine is asked to do. `prompt` is the file with the whole prompt."""

    body: str
    prompt: Path
    folder: Path
    workspace: Path
    model: str = ""
    yolo: bool = False


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start it: arguments, the file for its standard input, and more environment."""

    argv: tuple[str, ...]
    stdin: Path | None = None
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine. `kind` is its class (`agentic-coder`, or `shell`). `free` when it costs nothing."""

    name: str
    kind: str
    present: Callable[[], bool]
    launch: Callable[[Brief], Launch]
    free: bool = False
