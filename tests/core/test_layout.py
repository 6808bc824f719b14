"""Where jobs, records, leases and the fleet's files lie in the queue's tree."""

from __future__ import annotations

import pytest

from aq.core.change import Change, JobEdit, PauseEdit, Refusal
from aq.core.codec import decode_as
from aq.core.encoding import encode
from aq.core.event import Event
from aq.core.layout import FileEdit, file_edits, folder_of, is_no_attempt, names_on
from aq.core.lease import Lease
from aq.core.lifecycle import Stage
from aq.core.settings import Amount, Pause, Spend
from aq.core.value import replace
from tests.support.builders import NOW, job, lease


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


@pytest.mark.parametrize(
    "name",
    [
        ".x.md",
        "x.txt~",
        "x.md.swp",
        "x.tmp",
        "#x.md#",
        "README.md",
        "x.draft.md",
        "x.record.yaml",
        "x.lease.yaml",
    ],
)
def test_what_nobody_means_as_a_job_yet(name: str) -> None:
    assert is_no_attempt(name)


@pytest.mark.parametrize("name", ["x.md", "X.MD", "notes.txt", "job.markdown", "job.md.txt", "#x", "swp"])
def test_what_somebody_may_mean_as_a_job(name: str) -> None:
    assert not is_no_attempt(name)
