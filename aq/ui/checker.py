"""Checking job files for `aq add`. The schema library takes as long to import as everything else that the
command does, so a second core imports it meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aq.core.value import Value
from aq.ui.ahead import Ahead

if TYPE_CHECKING:
    from aq.core.manifest import Manifest


class Source(Value):
    """One thing to submit: what its id is made from, its name for people, and its content."""

    stem: str
    name: str
    content: bytes


class Question(Value):
    """The files to check."""

    sources: tuple[Source, ...]
    allow_secret: bool


def _ready() -> Callable[[Question], list[Manifest]]:
    from aq.core.submission import checked

    return lambda asked: [checked(s.content, s.name, allow_secret=asked.allow_secret) for s in asked.sources]


_begun: list[Ahead[Question, list[Manifest]]] = []


def begin() -> None:
    """Get ready, for a command that will ask."""
    _begun.append(Ahead(_ready))


def check(question: Question) -> list[Manifest]:
    """The manifests of files that may be submitted. Raises InvalidFileError for the first that may not."""
    return _begun.pop().ask(question) if _begun else _ready()(question)
