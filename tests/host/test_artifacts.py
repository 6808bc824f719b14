"""Artifacts: what the patterns name is kept, as far as it is inside, a file, small enough, and no secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aq.core.secrecy.secrets import redact
from aq.host import artifacts, found
from aq.host.artifacts import Collected, collect

SECRET = "of-the-" + "host-12345"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    for name in (
        "coverage.xml",
        "screenshots/a.png",
        "screenshots/deep/b.png",
        "sub/coverage.xml",
        "src/x.py",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode() + b"\xff" * name.endswith(".png"))
    return root


def kept(work: Path, *patterns: str) -> Collected:
    return collect(
        work,
        patterns,
        work.parent / "kept",
        lambda text: text.replace(SECRET, "[redacted]").strip(),
        (SECRET, ""),
    )


PATTERNS = {
    "nothing": ((), ()),
    "a file by its path": (("coverage.xml",), ("coverage.xml",)),
    "a folder": (("screenshots",), ("screenshots/a.png", "screenshots/deep/b.png")),
    "a wide pattern": (("screenshots/**",), ("screenshots/a.png", "screenshots/deep/b.png")),
    "one level": (("screenshots/*.png",), ("screenshots/a.png",)),
    "any depth": (("**/*.xml",), ("coverage.xml", "sub/coverage.xml")),
    "what is not there": (("gone", "gone/**"), ()),
    "what leaves": (("../x", "sub/../../x"), ()),
}


@pytest.mark.parametrize(("patterns", "names"), PATTERNS.values(), ids=PATTERNS)
def test_the_patterns_say_what_is_kept(work: Path, patterns: tuple[str, ...], names: tuple[str, ...]) -> None:
    (work.parent / "x").write_text("x")
    assert kept(work, *patterns).kept == names
    for name in names:
        assert (work.parent / "kept" / name).read_bytes() == (work / name).read_bytes()


def test_no_link_is_followed_and_no_pipe_is_waited_for(work: Path) -> None:
    outside = work.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    (work / "link").symlink_to(outside / "secret")
    (work / "folder").symlink_to(outside)
    (work / "screenshots" / "in").symlink_to(outside)
    os.mkfifo(work / "pipe")
    assert kept(work, "link", "folder/**", "folder/secret", "pipe", "screenshots/in/*") == Collected()


def test_git_is_no_artifact(work: Path) -> None:
    (work / ".git").mkdir()
    (work / ".git" / "config").write_text("x")
    assert ".git/config" not in kept(work, "**").kept


def test_text_is_kept_without_its_secrets_and_a_binary_file_with_one_is_not(work: Path) -> None:
    (work / "a.txt").write_text(f"say {SECRET} twice {SECRET}")
    (work / "b.bin").write_bytes(b"\xff" + SECRET.encode())
    assert kept(work, "a.txt", "b.bin") == Collected(("a.txt",), 1)
    assert (work.parent / "kept" / "a.txt").read_text() == "say [redacted] twice [redacted]"


TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
BYTES = {
    "one byte that is none of UTF-8": b"caf\xe9\n" + f"token {TOKEN}\n".encode(),
    "right after such a byte": b"\xff" + TOKEN.encode() + b"\x00",
    "UTF-16": f"token {TOKEN}\n".encode("utf-16"),
    "UTF-16 from its great end": f"\ufefftoken {TOKEN}\n".encode("utf-16-be"),
    "UTF-16 without a mark": f"token {TOKEN}\n".encode("utf-16-le"),
    "UTF-32": f"token {TOKEN}\n".encode("utf-32"),
    "a known value in UTF-16": f"say {SECRET}\n".encode("utf-16"),
}


@pytest.mark.parametrize("data", BYTES.values(), ids=BYTES)
def test_no_encoding_hides_what_looks_like_a_secret(work: Path, data: bytes) -> None:
    (work / "a.log").write_bytes(data)
    target = work.parent / "kept"
    assert collect(work, ("a.log",), target, lambda text: redact(text, (SECRET,)), (SECRET,)).left_out == 1
    assert not target.exists()


def test_bytes_that_hold_no_secret_are_kept_to_the_letter(work: Path) -> None:
    data = {"a.bin": bytes(range(256)) * 9, "b.txt": "a token\n".encode("utf-16"), "c.txt": b"a\0b[redacted]"}
    for name, content in data.items():
        (work / name).write_bytes(content)
    assert collect(work, ("*.bin", "*.txt"), work.parent / "kept", redact).kept == tuple(data)
    assert {name: (work.parent / "kept" / name).read_bytes() for name in data} == data


def test_text_without_a_secret_is_kept_to_the_letter(work: Path) -> None:
    (work / "a.txt").write_bytes(b" \r\n[redacted] \x1b[0m\n ")
    kept(work, "a.txt")
    assert (work.parent / "kept" / "a.txt").read_bytes() == b" \r\n[redacted] \x1b[0m\n "


def test_only_so_many_and_so_much_is_kept(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(6):
        (work / f"{n}.log").write_bytes(b"x" * (n + 1))
    monkeypatch.setattr(artifacts, "MAX_FILE", 5)
    assert kept(work, "*.log") == Collected(tuple(f"{n}.log" for n in range(5)), 1)
    monkeypatch.setattr(artifacts, "MAX_TOTAL", 6)
    assert kept(work, "*.log") == Collected(("0.log", "1.log", "2.log"), 3)
    monkeypatch.setattr(artifacts, "MAX_FILES", 1)
    assert kept(work, "*.log") == Collected(("0.log",), 5)


def test_a_vast_workspace_is_not_searched_to_its_end(work: Path) -> None:
    assert len(found.find_files(work, ("**/*",), most=2)) == 2


def test_a_later_look_takes_the_place_of_an_earlier(work: Path) -> None:
    kept(work, "coverage.xml")
    (work / "coverage.xml").write_text("new")
    kept(work, "coverage.xml")
    assert (work.parent / "kept" / "coverage.xml").read_text() == "new"


def test_where_nothing_can_be_written_nothing_is_kept(work: Path) -> None:
    (work.parent / "kept").write_text("a file where a folder should be")
    assert kept(work, "coverage.xml") == Collected()
