"""What a host remembers: its name's lock, its nonces, its evidence, and what an earlier process left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from aq.core.errors import AqError
from aq.core.health import Breaker
from aq.core.sealed import summed
from aq.host import memory as module
from aq.host.memory import HostMemory
from aq.host.rundir import RunDir, RunNote
from aq.host.tree import marked
from tests.support.damage import flipped
from tests.support.fleet import wait_until

EVIDENCE = {"job:1:n": ("oid", 12.5, 99.25)}


def test_one_process_has_the_name_and_the_next_gets_it_after_that(tmp_path: Path) -> None:
    first, second = HostMemory(tmp_path), HostMemory(tmp_path)
    first.lock("ada")
    assert (tmp_path / "pid").read_text() == str(os.getpid())
    with pytest.raises(AqError, match="`aq run` is already running here as host ada; stop that one"):
        second.lock("ada")
    first.unlock()
    assert not (tmp_path / "pid").exists()
    second.lock("ada")
    second.unlock()


def test_a_killed_process_does_not_keep_the_name(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from aq.host.memory import HostMemory;"
        "m = HostMemory(Path(sys.argv[1])); m.lock('ada'); print('locked', flush=True); time.sleep(300)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout
    with holder.stdout:
        assert holder.stdout.readline() == b"locked\n"
    mine = HostMemory(tmp_path)
    with pytest.raises(AqError):
        mine.lock("ada")
    holder.kill()
    holder.wait()
    mine.lock("ada")
    mine.unlock()


def test_the_folder_is_for_this_user_only(tmp_path: Path) -> None:
    HostMemory(tmp_path / "state")
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_nonces_outlive_the_process(tmp_path: Path) -> None:
    first = HostMemory(tmp_path)
    first.add_nonce("a")
    first.add_nonce("b")
    assert HostMemory(tmp_path).nonces() == {"a", "b"}


def test_only_the_newest_nonces_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT_NONCES", 3)
    memory = HostMemory(tmp_path)
    for n in range(9):
        memory.add_nonce(str(n))
    assert "8" in memory.nonces()
    assert "0" not in memory.nonces()
    assert len(memory.nonces()) <= 4


@pytest.mark.parametrize("text", ["", "{", '{"a": 1}', "\x00"], ids=["empty", "cut", "a mapping", "rubbish"])
@pytest.mark.parametrize("written", [str, summed], ids=["by somebody", "by aq"])
def test_broken_files_are_no_memory(tmp_path: Path, text: str, written: Callable[[str], str]) -> None:
    for name in ("nonces.json", "observations.json"):
        (tmp_path / name).write_text(written(text))
    memory = HostMemory(tmp_path)
    assert memory.nonces() == frozenset()
    assert memory.load_evidence() == {}
    memory.add_nonce("a")
    assert HostMemory(tmp_path).nonces() == {"a"}


def test_evidence_is_kept_within_a_boot(tmp_path: Path) -> None:
    HostMemory(tmp_path).save_evidence(EVIDENCE)
    assert HostMemory(tmp_path).load_evidence() == EVIDENCE


def test_no_flipped_bit_makes_another_moment_of_an_observation(tmp_path: Path) -> None:
    memory = HostMemory(tmp_path)
    memory.save_evidence(EVIDENCE)
    kept = tmp_path / "observations.json"
    content = kept.read_bytes()
    for at in range(8 * len(content)):
        kept.write_bytes(flipped(content, at))
        assert memory.load_evidence() in (EVIDENCE, {})


def test_evidence_of_another_boot_is_dropped_because_the_clock_began_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    HostMemory(tmp_path).save_evidence(EVIDENCE)
    monkeypatch.setattr(module, "boot_id", lambda: "the-next-boot")
    assert HostMemory(tmp_path).load_evidence() == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"until": "soon"}', '{"until": 1e999, "rests": "x"}'])
def test_what_went_bad_is_kept_and_a_broken_file_is_no_memory_of_it(tmp_path: Path, text: str) -> None:
    kept = Breaker(("a",), 2, 1_800_000_000.0, "crash after 0s")
    HostMemory(tmp_path).save_breaker(kept)
    assert HostMemory(tmp_path).load_breaker() == kept
    (tmp_path / "breaker.json").write_text(summed(text))
    assert HostMemory(tmp_path).load_breaker() == Breaker()


def note_of(root: Path, epoch: int, **more: object) -> RunNote:
    note = RunNote("job", "ada", epoch, f"nonce-{epoch}", f"memory-{os.getpid()}-{epoch}", **more)  # type: ignore[arg-type]
    RunDir(root / "runs", "job", epoch).create(note)
    return note


def test_what_an_earlier_process_left_running_is_ended_and_named(tmp_path: Path) -> None:
    note = note_of(tmp_path, 1)
    left = subprocess.Popen(["sleep", "300"], env={"AQ_RUN_ID": note.run_id, "PATH": os.environ["PATH"]})
    wait_until(lambda: marked(note.run_id), 10)
    note_of(tmp_path, 2)
    assert sorted(HostMemory(tmp_path).orphans()) == ["nonce-1", "nonce-2"]
    left.wait(10)
    assert not marked(note.run_id)
    assert list(HostMemory(tmp_path).orphans()) == [], "each is named once"


def test_a_run_whose_process_cannot_be_ended_is_no_orphan(tmp_path: Path) -> None:
    note_of(tmp_path, 1, pid=os.getpid(), started=psutil.Process().create_time())
    assert list(HostMemory(tmp_path).orphans()) == []


def test_a_pid_that_was_used_again_does_not_hide_an_orphan(tmp_path: Path) -> None:
    note_of(tmp_path, 1, pid=os.getpid(), started=1.0)
    assert list(HostMemory(tmp_path).orphans()) == ["nonce-1"]
