"""Logs: redacted before they reach the disk, and never longer than their head and tail."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from aq.host import logfile
from aq.host.checks import last_line
from aq.host.logfile import CappedLog, Lines, note
from aq.host.process import Child
from tests.support.canaries import BY_KIND

AWS = "AKIA" + "X" * 16
HUB = "ghp_" + "a1B2" * 9
KNOWN = "canary" + "-of-the-environment"


def written(path: Path, lines: list[bytes], known: tuple[str, ...] = ()) -> str:
    log = CappedLog(path, known)
    stream = log.stream()
    for line in lines:
        stream.write(line)
    stream.close()
    log.close()
    return path.read_text()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logfile, "HEAD_BYTES", 100)
    monkeypatch.setattr(logfile, "TAIL_BYTES", 50)


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
    assert last_line(child.tail) == wanted


def test_standard_error_is_in_the_log_and_blank_lines_do_not_hide_the_last_words(tmp_path: Path) -> None:
    child = run(tmp_path, "echo out; echo oops >&2; echo; echo '   '")
    assert "oops\n" in (tmp_path / "log").read_text()
    assert last_line(child.tail) == "oops"


def test_a_child_that_says_nothing_has_no_last_line(tmp_path: Path) -> None:
    assert last_line(run(tmp_path, "true").tail) == ""


def test_a_child_goes_on_though_its_log_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    loop = "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done"
    child = run(tmp_path, f"{loop}; : > ended")
    assert (tmp_path / "ended").exists()
    assert child.stopped == ""


def test_a_key_of_many_lines_is_redacted_though_its_lines_come_one_by_one(tmp_path: Path) -> None:
    key = BY_KIND["private key"].example
    lines = "".join(f"echo '{line}'; sleep 0.05; " for line in key.splitlines())
    child = run(tmp_path, f"echo a; {lines} echo b")
    assert (tmp_path / "log").read_text() == "a\n[redacted:private key]\nb\n"
    assert list(child.tail) == ["a", "[redacted:private key]", "b"]


def test_two_sources_do_not_disturb_each_others_secrets(tmp_path: Path) -> None:
    log = CappedLog(tmp_path / "log")
    out, err = log.stream(), log.stream()
    assert out.write(HUB[:12].encode()) == []
    assert err.write(b"oops\n") == ["oops"]
    assert out.write(HUB[12:].encode() + b"\n") == ["[redacted:GitHub token]"]
    log.close()
    assert (tmp_path / "log").read_text() == "oops\n[redacted:GitHub token]\n"


def test_what_is_beyond_the_head_stays_in_order(small: None, tmp_path: Path) -> None:
    long, short = b"x" * 60 + b"\n", b"y\n"
    text = written(tmp_path / "log", [long, long, short])
    assert text == "x" * 60 + "\n\n[61 bytes cut]\ny\n"


def test_one_large_piece_is_split_between_head_and_tail(small: None, tmp_path: Path) -> None:
    text = written(tmp_path / "log", [b"".join(b"%09d\n" % n for n in range(100))])
    assert text.startswith("000000000\n")
    assert "[850 bytes cut]" in text
    assert text.endswith("000000099\n")


def test_a_remark_of_our_own_is_a_line_in_the_log(tmp_path: Path) -> None:
    note(tmp_path / "a" / "log", "sandbox: none")
    note(tmp_path / "a" / "log", "more")
    assert (tmp_path / "a" / "log").read_text() == "sandbox: none\nmore\n"


def test_lines_are_whole_and_bounded_however_they_come() -> None:
    lines = Lines(5)
    assert lines.feed(b"ab") == []
    assert lines.feed(b"c\n\nlong-er\nla") == [b"abc", b"", b"long-"]
    assert lines.feed(b"stone") == []
    assert lines.rest() == [b"lasto"]
    assert Lines(5).rest() == []
