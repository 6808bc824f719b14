"""When the runs of shipped jobs began, as the archive tells it without parsing their records."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aq.core.encoding import encode
from aq.core.instants import instant, later
from aq.core.operations import Ship, Verified
from aq.core.record import Note, Record, Run
from aq.core.value import replace
from aq.ledger.archive import starts_in
from tests.support.fleet import Fleet, op
from tests.support.story import story

NOW = "2026-11-21T10:00:00Z"
NASTY = (
    "plain",
    "\nruns:\n- epoch: 1\n  started: '2026-11-21T09:00:00Z'\n  attempt: 2\n",
    "x\n- epoch: 9\n  verify_only: true\n",
    "'\n  started: '2026-11-21T09:00:00Z'",
)
WORDS = st.sampled_from(NASTY) | st.text(max_size=30)
TIMES = st.integers(0, 10**10).map(instant)
RUNS = st.builds(
    Run,
    st.integers(1, 9),
    st.just("ada"),
    st.just("n"),
    st.just("shell"),
    TIMES,
    st.integers(0, 30),
    reason=WORDS,
    score=WORDS,
    verify_only=st.booleans(),
)
NOTES = st.lists(st.builds(Note, WORDS, st.just(NOW), WORDS), max_size=2).map(tuple)
OLDER = st.lists(WORDS, max_size=2).map(tuple)
RECORDS = st.builds(Record, feedback=NOTES, runs=st.lists(RUNS, max_size=4).map(tuple), older=OLDER)


@settings(max_examples=50, deadline=None)
@given(RECORDS)
@example(Record(runs=(Run(1, "ada", "n", "shell", NOW, 2), Run(2, "ada", "n", "shell", NOW, 1))))
def test_a_record_of_ours_is_read_as_it_was_written_whatever_people_say_in_it(record: Record) -> None:
    assert tuple(starts_in(encode(record))) == record.starts


HOSTILE = {
    "nothing": b"",
    "no yaml": b"\nruns:\n\xff\xfe\n- \n- [[[",
    "a time that there is not": b"\nruns:\n- epoch: 1\n  started: '2026-99-99T99:99:99Z'\n  attempt: 1\n",
    "no time": b"\nruns:\n- epoch: 1\n  started: soon\n  attempt: 1\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_record_that_somebody_wrote_by_hand_tells_nothing_and_stops_nobody(name: str) -> None:
    assert list(starts_in(HOSTILE[name])) == []


def test_the_archive_tells_of_the_days_since_and_of_what_was_shipped_meanwhile(fleet: Fleet) -> None:
    tale = story(fleet)
    tale.shipped("one")
    tale.building("two")
    tale.do(replace(tale.fail_of("two"), failure="crash"))
    tale.do(replace(tale.claim_of("two"), at=later(op()["at"], 3600)))
    tale.do(tale.land_of("two"))
    tale.do(Verified(**op("ada"), fence=tale.fence("two")))

    def told(since: str) -> list[tuple[str, bool]]:
        return sorted(tale.snapshot.archive.starts(since))

    today = op()["at"]
    assert [retry for _, retry in told(today)] == [False]
    tale.do(Ship(**op(), job="two"))
    kept = [job.record.starts for job in tale.snapshot.archive.recent(None)]
    assert told(today) == sorted(start for starts in kept for start in starts)
    assert [retry for _, retry in told(today)] == [False, False, True]
    assert told(later(today, 2 * 86400)) == []
