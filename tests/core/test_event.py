"""The event log's words: what a commit says comes back, whatever people and engines write."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aq.core.event import FLEET_OPS, Event, one_line, parse, render, subject
from aq.core.lifecycle import Stage, Trigger

CLAIM = Event(
    "claim",
    "mac-2",
    "op-1",
    "fix-login",
    Stage.INBOX,
    Stage.BUILDING,
    "mac-2",
    3,
    1,
    "",
    (("Aq-Engine", "shell"), ("Aq-Lease", "n1")),
)


def test_a_claim_reads_like_this() -> None:
    assert render(CLAIM) == (
        "claim fix-login on mac-2 (attempt 1)\n\n"
        "Aq-Job: fix-login\nAq-Op: claim\nAq-From: inbox\nAq-To: building\n"
        "Aq-Host: mac-2\nAq-Epoch: 3\nAq-Attempt: 1\n"
        "Aq-By: mac-2\nAq-Op-Id: op-1\nAq-Engine: shell\nAq-Lease: n1\n"
    )
    assert parse(render(CLAIM)) == CLAIM
    assert (CLAIM.get("Aq-Engine"), CLAIM.get("Aq-None")) == ("shell", "")


def test_a_new_job_comes_from_new() -> None:
    message = render(Event("add", "alice", "op-1", "a", None, Stage.INBOX))
    assert "Aq-From: new\nAq-To: inbox\n" in message
    assert parse(message) == Event("add", "alice", "op-1", "a", None, Stage.INBOX)


def test_a_fleet_event_names_no_job_and_no_stage() -> None:
    assert (
        render(Event("pause", "alice", "op-1", detail="release"))
        == "pause: release\n\nAq-Op: pause\nAq-By: alice\nAq-Op-Id: op-1\n"
    )


def test_a_subject_is_one_line_of_at_most_120_characters() -> None:
    text = subject(Event("fail", "mac-1", "op-1", "a", detail="x\n\ny " * 100))
    assert text.startswith("fail a: x y x y")
    assert len(text) == 120
    assert text.endswith("…")


@pytest.mark.parametrize(
    ("text", "flat"),
    [
        ("a\nb\tc", "a b c"),
        ("\x1b[31mred", "?[31mred"),
        ("  a  ", "a"),
        ("a\u2028b", "a b"),
        ("\u202eevil", "?evil"),
        ("", ""),
    ],
)
def test_text_is_flattened_for_a_line(text: str, flat: str) -> None:
    assert one_line(text) == flat


@pytest.mark.parametrize(
    "message",
    [
        "",
        "\n",
        "fix the login",
        "claim a\n\nAq-Job: a\n",
        "x\n\nAq-Op: launch\n",
        "Aq-Op: claim is what it says\n\nno trailer here",
        "x\n\nAq-Op:claim\n",
        "x\n\nAq-Op: claim\n\nSigned-off-by: bob\n",
    ],
)
def test_a_commit_that_is_not_ours_is_none(message: str) -> None:
    assert parse(message) is None


@pytest.mark.parametrize("number", ["x", "-1", "", "²", "١٢", "9" * 10, "1.5"])
def test_a_number_that_is_none_is_zero_and_no_crash(number: str) -> None:
    event = parse(f"x\n\nAq-Op: claim\nAq-Epoch: {number}\nAq-Attempt: {number}\nAq-From: nowhere\n")
    assert event is not None
    assert (event.epoch, event.attempt, event.source) == (0, 0, None)


names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,10}", fullmatch=True)
hostile = st.text(max_size=60) | st.sampled_from(
    [
        "x\n\nAq-Op: ship",
        "Aq-By: root",
        ": ",
        "a: b: c",
        "\r\nAq-Job: other",
        "\x85Aq-Epoch: 9",
        "\u2029\u2029Aq-To: shipped",
    ]
)
events = st.builds(
    Event,
    op=st.sampled_from([*Trigger, *FLEET_OPS]).map(str),
    by=hostile,
    op_id=names,
    job=names,
    source=st.none() | st.sampled_from(Stage),
    target=st.sampled_from(Stage),
    host=st.just("") | names,
    epoch=st.integers(0, 10**6),
    attempt=st.integers(0, 99),
    detail=hostile,
    extra=st.lists(
        st.tuples(
            st.sampled_from(["Aq-Reason", "Aq-Branch", "Aq-Engine"]),
            hostile.filter(lambda text: one_line(text) != ""),
        ),
        unique_by=lambda pair: pair[0],
        max_size=3,
    ).map(tuple),
)


@settings(deadline=None, max_examples=300)
@given(events)
@example(
    Event(
        "fail",
        "mac-1",
        "op",
        "a",
        Stage.REVIEW,
        Stage.INBOX,
        "h",
        1,
        1,
        "x\n\nAq-Op: ship\nAq-To: shipped",
        (("Aq-Reason", "y\nAq-Epoch: 99"),),
    )
)
def test_an_event_comes_back_though_its_text_is_hostile(event: Event) -> None:
    back = parse(render(event))
    assert back is not None
    assert (back.op, back.job, back.source, back.target, back.host) == (
        event.op,
        event.job,
        event.source,
        event.target,
        event.host,
    )
    assert (back.epoch, back.attempt, back.op_id, back.by) == (
        event.epoch,
        event.attempt,
        event.op_id,
        one_line(event.by),
    )
    if len(subject(event)) < 120:
        assert back.detail == one_line(event.detail)
    assert back.extra == tuple((name, one_line(text)) for name, text in event.extra)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=120) | hostile.map(lambda text: f"x\n\nAq-Op: claim\n{text}"))
def test_any_message_is_an_event_or_none(message: str) -> None:
    event = parse(message)
    assert event is None or event.op in {*Trigger, *FLEET_OPS}
