"""Logs: redacted before they reach the disk, and never longer than their head and tail."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from aq.host import process
from aq.host.checks import last_line
from aq.host.process import CappedLog, Child

AWS = "AKIA" + "X" * 16
HUB = "ghp_" + "a1B2" * 9
KNOWN = "canary" + "-of-the-environment"


def written(path: Path, lines: list[bytes], known: tuple[str, ...] = ()) -> str:
    log = CappedLog(path, known)
    for line in lines:
        log.write(log.clean(line))
    log.close()
    return path.read_text()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "HEAD_BYTES", 100)
    monkeypatch.setattr(process, "TAIL_BYTES", 50)


def test_a_short_log_is_kept_whole(small: None, tmp_path: Path) -> None:
    assert written(tmp_path / "a" / "log", [b"one\n", b"two\n"]) == "one\ntwo\n"


def test_a_long_log_keeps_its_head_and_its_tail_and_says_how_much_was_cut(
    small: None, tmp_path: Path
) -> None:
    lines = [b"%09d\n" % n for n in range(100)]
    text = written(tmp_path / "log", lines)
    head = "".join(f"{n:09d}\n" for n in range(10))
    tail = "".join(f"{n:09d}\n" for n in range(95, 100))
    assert text == f"{head}\n[850 bytes cut]\n{tail}"


def test_a_log_just_over_its_head_is_not_cut(small: None, tmp_path: Path) -> None:
    assert written(tmp_path / "log", [b"x" * 99 + b"\n", b"y\n"]) == "x" * 99 + "\ny\n"


def test_a_second_command_appends_and_the_head_counts_both(small: None, tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path, [b"x" * 89 + b"\n"])
    assert written(path, [b"y" * 19 + b"\n", b"z" * 39 + b"\n"]).count("yy") == 0


def test_what_looks_like_a_secret_never_reaches_the_disk(tmp_path: Path) -> None:
    text = written(tmp_path / "log", [f"key {AWS}, token {HUB}.\n".encode()])
    assert text == "key [redacted:AWS access key], token [redacted:GitHub token].\n"


def test_a_known_value_never_reaches_the_disk(tmp_path: Path) -> None:
    text = written(tmp_path / "log", [f"pass={KNOWN}!\n".encode()], (KNOWN,))
    assert text == "pass=[redacted:environment]!\n"


def test_bytes_that_are_no_text_do_not_stop_the_log(tmp_path: Path) -> None:
    assert written(tmp_path / "log", [b"\xff\xfe\n", b"after\n"]).endswith("after\n")


def run(root: Path, script: str, known: tuple[str, ...] = ()) -> Child:
    child = Child(
        ("sh", "-c", script),
        cwd=root,
        env={"PATH": os.environ["PATH"], "CANARY": KNOWN},
        log=root / "log",
        run_id=f"test-{secrets.token_hex(6)}",
        known_secrets=known,
    )
    child.wait(60)
    return child


def test_secrets_that_a_child_prints_are_in_neither_its_log_nor_its_last_line(tmp_path: Path) -> None:
    child = run(tmp_path, f'echo "{HUB[:10]}""{HUB[10:]} $CANARY"', (KNOWN,))
    wanted = "[redacted:GitHub token] [redacted:environment]"
    assert (tmp_path / "log").read_text() == f"{wanted}\n"
    assert last_line(child) == wanted


def test_standard_error_is_in_the_log_and_blank_lines_do_not_hide_the_last_words(tmp_path: Path) -> None:
    child = run(tmp_path, "echo out; echo oops >&2; echo; echo '   '")
    assert "oops\n" in (tmp_path / "log").read_text()
    assert last_line(child) == "oops"


def test_a_child_that_says_nothing_has_no_last_line(tmp_path: Path) -> None:
    assert last_line(run(tmp_path, "true")) == ""


def test_a_child_goes_on_though_its_log_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    loop = "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done"
    child = run(tmp_path, f"{loop}; : > ended")
    assert (tmp_path / "ended").exists()
    assert child.stopped == ""
