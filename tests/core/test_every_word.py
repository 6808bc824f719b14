"""What each operation writes, and why it refuses, word for word: the commits are the audit trail."""

from __future__ import annotations

import inspect

from aq.core import operations
from aq.core.lifecycle import Trigger
from tests.core.every_operation import GOLDEN, told


def test_every_operation_writes_and_refuses_in_exactly_these_words() -> None:
    assert told() == GOLDEN.read_text("utf-8"), "look at what changed: `python -m tests.core.every_operation`"


def test_the_story_has_every_trigger() -> None:
    story = GOLDEN.read_text("utf-8")
    assert [trigger for trigger in Trigger if f"\nAq-Op: {trigger}\n" not in story] == []


def test_the_story_asks_for_every_operation() -> None:
    import tests.core.every_operation as story

    source = inspect.getsource(story) + inspect.getsource(story.Queue)
    kinds = [name for name in operations.__all__ if inspect.isclass(getattr(operations, name, None))]
    assert kinds
    assert [name for name in kinds if f"{name}(" not in source and name != "Operation"] == []
