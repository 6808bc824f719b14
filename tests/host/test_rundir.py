"""A run's folder: made empty, its note whole or absent, and found again after a crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aq.core.value import replace
from aq.host.rundir import RunDir, RunNote, leftover_runs
from aq.host.tree import marked

NOTE = RunNote("job", "ada", 3, "nonce", "run-id")


def test_a_new_run_starts_in_an_empty_private_folder(tmp_path: Path) -> None:
    folder = RunDir(tmp_path, "job", 3)
    folder.path.mkdir(parents=True)
    (folder.path / "rubbish").touch()
    folder.create(NOTE)
    assert folder.path == tmp_path / "job" / "3"
    assert sorted(p.name for p in folder.path.iterdir()) == ["run.json", "tmp"]
    assert (folder.path / "tmp").stat().st_mode & 0o077 == 0


def test_an_unfinished_run_is_found_with_its_process(tmp_path: Path) -> None:
    folder = RunDir(tmp_path, "job", 3)
    folder.create(NOTE)
    assert list(leftover_runs(tmp_path)) == [NOTE]
    folder.started(NOTE, 42, 1.5)
    assert list(leftover_runs(tmp_path)) == [replace(NOTE, pid=42, started=1.5)]


def test_a_finished_run_keeps_its_folder_but_is_not_found(tmp_path: Path) -> None:
    folder = RunDir(tmp_path, "job", 3)
    folder.create(NOTE)
    folder.finish()
    folder.finish()
    assert list(leftover_runs(tmp_path)) == []
    assert folder.path.is_dir()


@pytest.mark.parametrize("text", ["", "[]", '{"job": "x"}', json.dumps({"other": 1})])
def test_a_broken_note_is_dropped_and_does_not_hide_the_others(tmp_path: Path, text: str) -> None:
    RunDir(tmp_path, "job", 3).create(NOTE)
    broken = RunDir(tmp_path, "also", 1)
    broken.create(NOTE)
    broken.note_path.write_text(text)
    assert list(leftover_runs(tmp_path)) == [NOTE]
    assert not broken.note_path.exists()


def test_no_folder_no_runs(tmp_path: Path) -> None:
    assert list(leftover_runs(tmp_path / "runs")) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"job": 5},
        {"job": "../up"},
        {"nonce": ["n"]},
        {"pid": "x"},
        {"pid": True},
        {"epoch": -1},
        {"started": None},
        {"run_id": None},
        {"run_id": ""},
    ],
    ids=str,
)
def test_a_note_that_cannot_be_one_of_ours_is_dropped(tmp_path: Path, wrong: dict[str, object]) -> None:
    folder = RunDir(tmp_path, "job", 3)
    folder.create(NOTE)
    folder.note_path.write_text(json.dumps({**json.loads(folder.note_path.read_text()), **wrong}))
    assert list(leftover_runs(tmp_path)) == []
    assert not folder.note_path.exists()


def test_no_mark_marks_no_process() -> None:
    assert not marked("")
