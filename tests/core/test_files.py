"""Our own files: values as plain data, as YAML, and where they lie in the tree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aq.core.change import Change, JobEdit, PauseEdit, Refusal
from aq.core.codec import decode_as, encode
from aq.core.errors import InvalidFileError
from aq.core.event import Event
from aq.core.fleet import Beat
from aq.core.jobfile import parse_job
from aq.core.layout import FileEdit, file_edits, folder_of, names_on
from aq.core.lease import Lease
from aq.core.lifecycle import Stage
from aq.core.manifest import Check, CheckKind, Deps, Manifest
from aq.core.record import CheckResult, Note, Record, Run, Verdict
from aq.core.settings import Amount, Pause, Spend
from aq.core.values import plain, revive
from tests.support.builders import NOW, beat, job, lease

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
    money,
    st.just(NOW),
    words,
)
beats = st.builds(
    Beat,
    words,
    words,
    st.integers(0, 99),
    st.just(NOW),
    money,
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
        f"2: epoch: Input should be a valid integer, unable to parse string as an integer; {REPAIR}",
    ),
    "a wrong type inside": (
        Record,
        b"runs:\n- epoch: 1\n  host: [h]",
        f"3: runs.0.host: Input should be a valid string; {REPAIR}",
    ),
    "a key that is missing": (Lease, b"job: a", f"1: host: Field required; {REPAIR}"),
    "a stage that does not exist": (
        Record,
        b"stage: limbo",
        f"1: stage: Input should be 'inbox', 'building', 'review', 'testing', 'shipped', 'failed' or 'dead_letter'; {REPAIR}",
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
    "a pause by hand": (
        Pause,
        b"stop: maybe",
        f"1: stop: Input should be a valid boolean, unable to interpret input; {REPAIR}",
    ),
}


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
    with suppress(InvalidFileError), locating("a.record.yaml:"):
        decode_as(Record, data, "a.record.yaml")


def test_a_record_of_twenty_full_runs_is_within_the_limits() -> None:
    record = Record()
    for epoch in range(1, 31):
        record = record.with_run(Run(epoch, "mac-1", "n", "shell", NOW, outcome="crash", reason="x" * 200))
    assert (len(record.runs), len(record.older), record.older[0]) == (20, 10, "epoch 1 mac-1 crash")
    assert decode_as(Record, encode(record), "x") == record


def event() -> Event:
    return Event("add", "alice", "op")


def paths(change: Change) -> dict[str, str]:
    """What is done to each path: `blob`, `file` or `gone`."""
    return {
        edit.path: "blob" if edit.blob else "file" if edit.content is not None else "gone"
        for edit in file_edits(change)
    }


def test_only_shipped_jobs_lie_in_folders_by_day() -> None:
    assert folder_of(Stage.SHIPPED, NOW) == "shipped/2026/11/21"
    assert {stage: folder_of(stage, NOW) for stage in Stage if stage is not Stage.SHIPPED} == {
        s: str(s) for s in Stage if s is not Stage.SHIPPED
    }


def test_a_new_job_is_only_its_file() -> None:
    added = job("a")
    assert file_edits(Change(event(), (JobEdit(None, added),))) == [
        FileEdit("queue/inbox/a.md", blob="blob-a")
    ]


def test_a_claim_moves_the_same_blob_and_adds_record_and_lease() -> None:
    before, after = job("a"), job("a", host="mac-1")
    assert paths(Change(event(), (JobEdit(before, after),))) == {
        "queue/inbox/a.md": "gone",
        "queue/building/a.md": "blob",
        "queue/building/a.record.yaml": "file",
        "queue/building/a.lease.yaml": "file",
    }


def test_a_release_removes_the_lease_and_what_lay_in_the_old_folder() -> None:
    before = job("a", host="mac-1")
    after = replace(before, stage=Stage.INBOX, folder="inbox", lease=None)
    assert paths(Change(event(), (JobEdit(before, after),))) == {
        "queue/building/a.md": "gone",
        "queue/building/a.record.yaml": "gone",
        "queue/building/a.lease.yaml": "gone",
        "queue/inbox/a.md": "blob",
        "queue/inbox/a.record.yaml": "file",
    }


def test_a_change_in_place_removes_only_the_lease() -> None:
    before = job("a", Stage.REVIEW, host="mac-1")
    after = replace(before, lease=None)
    assert paths(Change(event(), (JobEdit(before, after),))) == {
        "queue/review/a.md": "blob",
        "queue/review/a.record.yaml": "file",
        "queue/review/a.lease.yaml": "gone",
    }


def test_a_job_that_was_changed_by_hand_leaves_every_file_that_it_may_have() -> None:
    before = job("a", Stage.BUILDING, problem="its lease was written by hand")
    after = replace(before, stage=Stage.INBOX, folder="inbox", problem="")
    done = paths(Change(event(), (JobEdit(before, after),)))
    assert {path for path, what in done.items() if what == "gone"} == {
        f"queue/building/a{end}" for end in (".md", ".record.yaml", ".lease.yaml")
    }


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("queue/inbox/a.md", ["queue", "inbox", "a.md"]),
        ("queue/inbox/x/y.md", ["queue", "inbox", "x/y.md"]),
        ("queue/shipped/2026/11/21/a.md", ["queue", "shipped", "2026", "11", "21", "a.md"]),
        ("queue/spend/2026-11-21.yaml", ["queue", "spend", "2026-11-21.yaml"]),
        ("profiles/dev.md", ["profiles", "dev.md"]),
        ("queue/PAUSED", ["queue", "PAUSED"]),
    ],
)
def test_a_path_in_a_flat_folder_is_one_name(path: str, names: list[str]) -> None:
    assert names_on(path) == names


def test_the_fleet_s_files() -> None:
    change = Change(
        event(),
        pause=PauseEdit(Pause("alice")),
        spend={"2026-11-21": Spend(Amount(1, 0))},
        removed=("queue/x",),
    )
    assert {edit.path: edit.content for edit in file_edits(change)} == {
        "queue/x": None,
        "queue/PAUSED": b"by: alice\n",
        "queue/spend/2026-11-21.yaml": b"fleet:\n  reserved: 1\n",
    }
    assert file_edits(Change(event(), pause=PauseEdit(None))) == [FileEdit("queue/PAUSED")]


def test_a_lease_is_written_with_all_that_fences() -> None:
    assert decode_as(Lease, encode(lease("a")), "x").fence.key == "a:1:n1"


def test_a_refusal_reads_as_what_and_what_to_do() -> None:
    assert (str(Refusal("no")), str(Refusal("no", "do this"))) == ("no", "no; do this")
