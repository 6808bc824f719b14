"""Our own files: values as plain data and as YAML, and the words for a damaged one."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aq.core.codec import decode_as
from aq.core.encoding import encode
from aq.core.errors import InvalidFileError
from aq.core.files import document
from aq.core.files.jobfile import parse_job
from aq.core.fleet import Beat
from aq.core.lease import Lease
from aq.core.lifecycle import Stage
from aq.core.manifest import Check, CheckKind, Deps, Manifest
from aq.core.record import CheckResult, Note, Record, Run, Verdict
from aq.core.settings import Amount, Pause, Spend
from aq.core.values import plain, revive
from tests.support.builders import NOW, beat, refusal_of

words = st.text(max_size=20) | st.sampled_from(
    [
        "null",
        "~",
        "",
        "true",
        "no",
        "012",
        "1e3",
        "a: b",
        "# x",
        "- x",
        "&a",
        "!!str",
        "a\nb\n",
        "\x85",
        "\u2028",
        "\x1b",
        "\r",
        "'",
        '"',
        "---",
    ]
)
ttls = st.floats(0.001, 366 * 86400, allow_nan=False)
money = st.floats(0, 1e6, allow_nan=False).map(lambda value: round(value, 6))
runs = st.builds(
    Run,
    st.integers(0, 99),
    words,
    words,
    words,
    st.just(NOW),
    reason=words,
    usd=st.none() | money,
    tokens=st.none() | st.integers(0, 10**9),
    verify_only=st.booleans(),
    ended=st.none() | st.just(NOW),
)
notes = st.builds(Note, words, st.just(NOW), words)
verdicts = st.builds(
    Verdict,
    st.integers(0, 9),
    words,
    st.just(NOW),
    words,
    st.lists(st.builds(CheckResult, words, st.booleans(), words), max_size=2).map(tuple),
)
records = st.builds(
    Record,
    stage=st.sampled_from(Stage),
    since=st.none() | st.just(NOW),
    epoch=st.integers(0, 99),
    hold=st.none() | notes,
    verdict=st.none() | verdicts,
    feedback=st.lists(notes, max_size=3).map(tuple),
    runs=st.lists(runs, max_size=3).map(tuple),
    older=st.lists(words, max_size=2).map(tuple),
    branch=words,
)
leases = st.builds(
    Lease,
    words,
    words,
    words,
    words,
    st.integers(0, 99),
    st.integers(0, 9),
    words,
    ttls,
    st.just(NOW),
    words,
)
beats = st.builds(
    Beat,
    words,
    words,
    st.integers(0, 99),
    st.just(NOW),
    ttls,
    slots=st.integers(0, 9),
    offers=st.frozensets(words, max_size=3),
    engines=st.dictionaries(words, words, max_size=3),
    leases=st.lists(words, max_size=2).map(tuple),
    draining=st.booleans(),
)
spends = st.builds(
    Spend,
    st.builds(Amount, money, money),
    st.dictionaries(words, st.builds(Amount, money, money), max_size=2),
)
VALUES: Any = (
    records
    | leases
    | beats
    | spends
    | st.builds(Pause, words, words, st.none() | st.just(NOW), st.booleans())
)


@settings(deadline=None, max_examples=150)
@given(VALUES)
def test_a_value_comes_back_from_its_file_and_from_plain_data(value: Any) -> None:
    assert decode_as(type(value), encode(value), "x.yaml") == value
    assert revive(type(value), plain(value)) == value


def test_defaults_are_left_out_and_a_value_of_defaults_is_an_empty_file() -> None:
    assert plain(Record(epoch=2)) == {"epoch": 2}
    assert encode(Record()) == b""
    assert encode(Pause(by="alice", stop=True)) == b"by: alice\nstop: true\n"


def test_a_manifest_comes_back_from_plain_data() -> None:
    front = b"deps: {testing: [a]}\nverify: [make, {git_clean: true}]\npriority: low\nretry: {on: crash}"
    manifest = parse_job(b"---\n" + front + b"\n---\nx")[0]
    assert revive(Manifest, plain(manifest)) == manifest
    assert (manifest.deps, manifest.verify[1]) == (Deps((), ("a",)), Check(CheckKind.GIT_CLEAN, "true"))


def test_a_set_is_written_in_one_order_and_keys_that_nobody_knows_any_more_are_passed_over() -> None:
    assert plain(beat("h", offers=frozenset({"b", "a"})))["offers"] == ["a", "b"]
    assert revive(Pause, {"by": "alice", "gone": 1}) == Pause("alice")


REPAIR = "`aq doctor` offers the repair"
BAD = {
    "a list": (Record, b"- 1", "1: keys and values are expected here; write lines like `engine: shell`"),
    "a wrong type": (
        Record,
        b"branch: x\nepoch: many",
        f"2: epoch: Expected `int`, got `str`; {REPAIR}",
    ),
    "a wrong type inside": (
        Record,
        b"runs:\n- epoch: 1\n  host: [h]",
        f"3: runs.0.host: Expected `str`, got `array`; {REPAIR}",
    ),
    "a key that is missing": (Lease, b"job: a", f"1: Object missing required field `host`; {REPAIR}"),
    "a stage that does not exist": (
        Record,
        b"stage: limbo",
        f"1: stage: Invalid enum value 'limbo'; {REPAIR}",
    ),
    "a time that is none": (
        Record,
        b"since: yesterday",
        "1: 'yesterday' is not a time; write it as 2026-12-01T09:00:00Z",
    ),
    "an alias": (
        Record,
        b"a: &x 1\nb: *x",
        "1: YAML anchors and aliases are not allowed; write the value out",
    ),
    "a word that looks like a place": (
        Record,
        b"branch: x\nstage: 'a - at `$[" + b"1" * 5_000 + b"]`'",
        f"2: stage: Invalid enum value 'a - at `$[{'1' * 170}…; {REPAIR}",
    ),
    "a part of a mapping": (
        Pause,
        b"by: x\nwhy:\n  y: z",
        f"2: why: Expected `str`, got `object`; {REPAIR}",
    ),
    "a pause by hand": (
        Pause,
        b"stop: maybe",
        f"1: stop: Expected `bool`, got `str`; {REPAIR}",
    ),
}


@pytest.mark.parametrize(
    ("word", "stop"),
    [("true", True), ("yes", True), ("On", True), ("no", False), ("off", False), ("1", True)],
)
def test_who_stops_the_fleet_by_hand_is_not_asked_for_a_spelling(word: str, stop: bool) -> None:
    assert decode_as(Pause, f"why: deploy\nstop: {word}".encode(), "q/PAUSED").stop is stop


@pytest.mark.parametrize("line", [rb'stage: "\ud800"', rb'branch: x\n"\ud800": y', rb'epoch: "\ud800"'])
def test_text_that_is_no_unicode_is_an_error_with_a_name(
    line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where PyYAML was built without its C library, which refuses it earlier.
    monkeypatch.setattr(document, "_LOADER", yaml.SafeLoader)
    with pytest.raises(InvalidFileError):
        decode_as(Record, line, "q/a.yaml")


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_file_of_ours_is_named_with_its_line(name: str) -> None:
    cls, data, expected = BAD[name]
    with pytest.raises(InvalidFileError) as caught:
        decode_as(cls, data, "q/a.yaml")
    assert str(caught.value) == f"q/a.yaml:{expected}"


@settings(deadline=None, max_examples=100)
@given(
    st.binary(max_size=80)
    | st.lists(
        st.tuples(
            st.sampled_from(["epoch", "stage", "runs", "since", "verdict", "hold"]), st.text(max_size=20)
        ),
        max_size=3,
    ).map(lambda pairs: "\n".join(f"{k}: {v}" for k, v in pairs).encode())
)
def test_any_bytes_are_a_record_or_an_invalid_file(data: bytes) -> None:
    error = refusal_of(InvalidFileError, lambda: decode_as(Record, data, "a.record.yaml"))
    assert error is None or (str(error).startswith("a.record.yaml:") and error.line >= 1)


def test_a_record_of_twenty_full_runs_is_within_the_limits() -> None:
    record = Record()
    for epoch in range(1, 31):
        record = record.with_run(Run(epoch, "mac-1", "n", "shell", NOW, outcome="crash", reason="x" * 200))
    assert (len(record.runs), len(record.older), record.older[0]) == (20, 10, "epoch 1 mac-1 crash")
    assert decode_as(Record, encode(record), "x") == record
