"""A child whose lines are read: both streams to their end, whatever holds them, and nothing outlives it."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aq.host.process import Child, Exit
from aq.host.tree import marked, sweep
from tests.host.fakes import FOREVER
from tests.support.fleet import wait_until

ENV = {"PATH": os.environ["PATH"]}


class Heard:
    """Starts children and keeps their lines."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run_id = f"test-{secrets.token_hex(6)}"
        self.lines: list[tuple[str, bool]] = []

    def line(self, text: str, stderr: bool) -> list[str]:
        self.lines.append((text, stderr))
        return [f"{'!' if stderr else ''}{text}"]

    def child(self, script: str, grace: float = 0.3) -> Child:
        return Child(
            ("sh", "-c", script),
            cwd=self.root,
            env=ENV,
            log=self.root / "log",
            run_id=self.run_id,
            grace=grace,
            known_secrets=("canary" + "-of-a-token",),
            on_line=self.line,
            raw=self.root / "raw",
        )


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[Heard]:
    made = Heard(tmp_path)
    yield made
    sweep(made.run_id, 0.1)


def test_what_is_slow_to_take_in_is_no_silence_of_the_pipe(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aq.host.process._DRAIN_SECONDS", 0.5)
    take_in = heard.line

    def slowly(text: str, stderr: bool) -> list[str]:
        time.sleep(0.2)
        return take_in(text, stderr)

    monkeypatch.setattr(heard, "line", slowly)
    heard.child("seq 12").wait(60)
    assert [text for text, _ in heard.lines] == [str(n) for n in range(1, 13)]
    assert (heard.root / "log").read_text().split() == [str(n) for n in range(1, 13)]


HOLDERS = {
    "standard output": "setsid sleep 300 2> /dev/null &",
    "standard error": "setsid sleep 300 > /dev/null &",
    "both, deaf to TERM": f"setsid sh -c 'trap \"\" TERM HUP; {FOREVER}' &",
    "both, twice removed": "(setsid sh -c 'sleep 300; echo late' &) ;",
    "both, in a chain": 'sh -c "sh -c \'sh -c \\"sleep 300; true\\"; true\'; true" &',
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_a_grandchild_that_holds_a_stream_keeps_nobody_waiting(heard: Heard, holder: str) -> None:
    child = heard.child(f"{holder} echo out; echo err >&2; exit 3")
    assert child.wait(60) == Exit(3)
    assert sorted(heard.lines) == [("err", True), ("out", False)]
    assert not marked(heard.run_id)


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_nothing_of_a_tree_is_left_after_a_stop(heard: Heard, holder: str) -> None:
    child = heard.child(f"{holder} : > ready; {FOREVER}")
    wait_until((heard.root / "ready").exists, 10)
    child.stop("enough")
    assert not marked(heard.run_id)
    assert child.wait(10).stopped == "enough"


def test_a_process_that_leaves_its_session_and_its_mark_while_it_is_watched_is_ended(heard: Heard) -> None:
    hidden = "env -i PATH=\"$PATH\" setsid sh -c 'echo $$ > pid; sleep 300' > /dev/null 2>&1"
    child = heard.child(f"{hidden} & sleep 1.2; {FOREVER}")
    ended: list[Exit] = []
    waiter = threading.Thread(target=lambda: ended.append(child.wait(60)))
    waiter.start()
    pid = int(wait_until(lambda: (heard.root / "pid").exists() and (heard.root / "pid").read_text(), 10))
    wait_until(lambda: pid in {process.pid for process in child._known}, 10, "a look at the tree")
    child.stop("enough")
    waiter.join(20)
    assert ended
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text(), 5)


def test_a_stopped_tree_takes_no_further_step(heard: Heard) -> None:
    child = heard.child(": > ready; sleep 300; : > next; sleep 300; : > more")
    wait_until((heard.root / "ready").exists, 10)
    child.stop("enough")
    assert child.wait(10).stopped == "enough"
    assert not (heard.root / "next").exists()


def test_the_log_has_what_the_reader_made_of_a_line_and_the_raw_file_the_line(heard: Heard) -> None:
    child = heard.child("echo out; sleep 0.2; echo canary-of-a-token >&2; sleep 0.2; printf 'no newline'")
    assert child.wait(30) == Exit(0)
    assert (heard.root / "log").read_text() == "out\n![redacted:environment]\nno newline\n"
    assert (heard.root / "raw").read_text() == "out\n[redacted:environment]\nno newline"
    assert heard.lines[1] == ("canary" + "-of-a-token", True)
    assert list(child.tail)[-1] == "no newline"


def test_bytes_that_are_no_text_are_lines_too(heard: Heard) -> None:
    heard.child("printf '\\377\\376\\r\\n\\000x\\n'").wait(30)
    assert heard.lines == [("\ufffd\ufffd", False), ("\x00x", False)]


def test_a_tick_comes_while_a_child_runs(heard: Heard) -> None:
    ticks: list[float] = []
    child = heard.child("sleep 1.3")
    child.wait(30, lambda: ticks.append(time.monotonic()))
    assert len(ticks) >= 2


def test_a_program_that_cannot_start_leaves_its_files_closed(heard: Heard) -> None:
    with pytest.raises(FileNotFoundError):
        Child(
            ("/no/such/program",),
            cwd=heard.root,
            env=ENV,
            log=heard.root / "log",
            run_id=heard.run_id,
            on_line=heard.line,
            raw=heard.root / "raw",
        )
    assert (heard.root / "raw").read_text() == ""


def test_what_is_in_the_pipe_when_a_child_ends_is_read_to_its_end(heard: Heard) -> None:
    def slow(text: str, stderr: bool) -> list[str]:
        time.sleep(3.2 if text == "1" else 0)
        return Heard.line(heard, text, stderr)

    heard.line = slow  # type: ignore[method-assign]
    assert heard.child("seq 1 5000").wait(30) == Exit(0)
    assert len(heard.lines) == 5000
    assert (heard.root / "log").read_text().endswith("\n5000\n")
