"""A seeded sample of each kind of fault; the full forms are `python -m tests.crash WHAT`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash import fullness, tracer

FULL = os.environ.get("AQ_FULL") == "1"
# How much larger the samples are than by default.
TIMES = int(os.environ.get("AQ_CRASH_TIMES", "1"))
ROOT = Path(__file__).parents[2]


def _sample(tmp_path: Path, *words: str) -> str:
    """The words of a run of its own, in which nothing may go wrong: it forks, and waits for every child."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash", *words, "--root", str(tmp_path / "crash")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.skipif(bool(tracer.why_not()), reason=tracer.why_not() or "-")
def test_a_host_killed_at_any_file_changing_call_needs_no_hand(tmp_path: Path) -> None:
    said = _sample(
        tmp_path,
        "points",
        "--kind",
        "syscall",
        *([] if FULL else ["--cases", "7", "--sample", str(3 * TIMES)]),
    )
    assert " points, 0 in trouble" in said


@pytest.mark.skipif(os.name != "posix", reason="the shim is a shell script")
def test_a_host_killed_before_or_after_any_git_process_needs_no_hand(tmp_path: Path) -> None:
    said = _sample(
        tmp_path, "points", "--kind", "git", *([] if FULL else ["--cases", "4", "--sample", str(3 * TIMES)])
    )
    assert " points, 0 in trouble" in said


def test_a_connection_cut_at_any_byte_claims_once_and_lands_once(tmp_path: Path) -> None:
    said = _sample(tmp_path, "replies", "--count", "400" if FULL else str(10 * TIMES))
    assert " points, 0 in trouble" in said


def test_damage_to_any_file_of_the_store_is_recovered_or_named(tmp_path: Path) -> None:
    said = _sample(tmp_path, "damage", "--count", "500" if FULL else str(13 * TIMES))
    assert " points, 0 in trouble" in said


@pytest.mark.skipif(bool(fullness.why_not()), reason=fullness.why_not() or "-")
def test_a_full_disk_is_named_and_loses_nothing(tmp_path: Path) -> None:
    few = ["--cases", "4", "--sample", str(2 * TIMES)]
    said = _sample(tmp_path, "full", *([] if FULL else few))
    assert " points, 0 in trouble" in said


@pytest.mark.timeout(7200 if FULL else 300)
def test_hosts_that_are_killed_and_frozen_all_the_time_run_every_job_once(tmp_path: Path) -> None:
    size = ["5", "400", "40", "4"] if FULL else ["0.2", "8", "2", "2"]
    words = [word for name, each in zip(_SOAK, size, strict=True) for word in (name, each)]
    assert " jobs, 0 in trouble" in _sample(tmp_path, "soak", *words)


_SOAK = ("--minutes", "--jobs", "--kills", "--hosts")
