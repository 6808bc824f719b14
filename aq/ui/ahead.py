"""A forked child that gets ready on another core, and then answers one question. Only for what can be
answered here as well: a child that fails, for whatever reason, has no say."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


class Ahead(Generic[Q, A]):
    """`ready` makes the function that answers, which is the slow part: it is begun at once where the
    platform can fork."""

    def __init__(self, ready: Callable[[], Callable[[Q], A]]) -> None:
        self._ready = ready
        self._pipes = _forked(ready) if _may_fork() else None

    def ask(self, question: Q) -> A:
        """The answer. Raises what the function raises."""
        if self._pipes:
            with contextlib.suppress(Exception):
                return _asked(*self._pipes, question)  # type: ignore[no-any-return]
        return self._ready()(question)


def _may_fork() -> bool:
    # A forked copy of other threads' locks would hang, and macOS's own libraries do not survive a fork.
    return hasattr(os, "fork") and sys.platform != "darwin" and threading.active_count() == 1


def _asked(questions: int, answers: int, question: object) -> Any:
    import pickle

    with os.fdopen(questions, "wb") as pipe:
        pickle.dump(question, pipe)
    with os.fdopen(answers, "rb") as pipe:
        # Our own child wrote it; one that failed wrote nothing.
        return pickle.load(pipe)  # noqa: S301


def _forked(ready: Callable[[], Callable[[Any], Any]]) -> tuple[int, int]:
    """The ends of the pipes for the question and for the answer. The child ends with its parent: it then
    reads the end of its pipe."""
    asks, questions = os.pipe()
    answers, writes = os.pipe()
    if os.fork():
        os.close(asks)
        os.close(writes)
        return questions, answers
    try:
        import pickle

        os.close(questions)
        os.close(answers)
        answer = ready()
        with os.fdopen(asks, "rb") as pipe:
            question = pickle.load(pipe)  # noqa: S301
        content = pickle.dumps(answer(question))
        with os.fdopen(writes, "wb") as pipe:
            pipe.write(content)
    finally:
        # Nothing of the parent's is flushed or torn down twice, and what went wrong here is told there.
        os._exit(0)
