"""The kill switch and the accepted rewind."""

from __future__ import annotations

from aq.core.operations import AcceptRewind, PauseFleet, ResumeFleet
from aq.core.settings import Pause
from aq.core.value import replace
from tests.support.builders import NOW, Queue


def pause_of(queue: Queue, why: str = "", stop: bool = False) -> PauseFleet:
    return PauseFleet(**queue.common(), why=why, stop=stop)


def test_a_pause_says_who_why_and_when() -> None:
    queue = Queue()
    change = queue.do(pause_of(queue, "release"))
    assert queue.now.pause == Pause("alice", "release", NOW, stop=False)
    assert (change.event.op, change.event.get("Aq-Reason")) == ("pause", "release")


def test_a_second_pause_is_done_but_a_stop_is_more_than_a_pause() -> None:
    queue = Queue()
    queue.do(pause_of(queue))
    queue.refused(pause_of(queue), "paused already by alice", done=True)
    change = queue.do(pause_of(queue, stop=True))
    assert queue.now.pause is not None
    assert queue.now.pause.stop
    assert change.event.extra == ()
    queue.refused(pause_of(queue), "paused already", done=True)
    queue.refused(pause_of(queue, stop=True), "paused already", done=True)


def test_an_empty_pause_file_is_a_pause_by_someone() -> None:
    queue = Queue.having(pause=Pause())
    queue.refused(pause_of(queue), "paused already by someone", done=True)


def test_resume_lifts_the_pause_once() -> None:
    queue = Queue()
    queue.do(pause_of(queue))
    queue.do(ResumeFleet(**queue.common()))
    assert queue.now.pause is None
    queue.refused(ResumeFleet(**queue.common()), "the queue is not paused", done=True)


def test_a_rewind_is_accepted_only_on_the_tip_that_the_person_saw() -> None:
    queue = Queue()
    accept = AcceptRewind(**queue.common(), old="a" * 40, new=queue.now.tip)
    change = queue.do(accept)
    assert (change.event.op, dict(change.event.extra)) == (
        "accept-rewind",
        {"Aq-Old": "a" * 40, "Aq-New": queue.now.tip},
    )
    queue.now = replace(queue.now, tip="1" * 40)
    queue.refused(accept, "the remote moved meanwhile")
