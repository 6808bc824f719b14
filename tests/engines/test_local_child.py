"""The local engine's child process, started as aq starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aq.core.value import replace
from aq.host.engines.base import Brief
from aq.host.engines.local import ENGINE
from aq.host.engines.local_agent.address import KEY, MODEL, OLLAMA_WINDOW, URL, WINDOW
from tests.engines.scripted import Refusal, calling, saying, scripted
from tests.engines.stub import Stub
from tests.support.fleet import wait_until
from tests.support.processes import gone

BRIEF = Brief("body", Path("/run/prompt.md"), Path("/run"), Path("/work"))


def agent(work: Path, env: Mapping[str, str], *args: str) -> subprocess.Popen[str]:
    """The child process as aq starts it."""
    brief = replace(BRIEF, workspace=work, path=sys.executable)
    return subprocess.Popen(
        [*ENGINE.launch(brief).argv, *args],
        cwd=work,
        env={**os.environ, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def played(work: Path, env: Mapping[str, str], *args: str) -> tuple[int, list[dict[str, Any]], str]:
    """Its exit code, events and stderr."""
    process = agent(work, env, *args)
    out, err = process.communicate("Write hello.txt. STUB_FILE=hello.txt\n", timeout=60)
    return process.returncode, [json.loads(line) for line in out.splitlines()], err


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A workspace that has an `aq` and a `json` of its own: neither may be taken for ours."""
    found = tmp_path / "work"
    (found / "aq").mkdir(parents=True)
    for name in ("aq/__init__.py", "json.py", "httpx.py", "sitecustomize.py"):
        (found / name).write_text("raise SystemExit('hijacked')\n")
    return found


def test_the_child_process_works_and_never_runs_code_of_the_workspace(work: Path, stub: Stub) -> None:
    code, events, err = played(work, {URL: f"{stub.url}/v1"})
    assert (code, err) == (0, "")
    assert (work / "hello.txt").read_text() == "hello\n"
    assert [event["event"] for event in events] == [
        "started",
        "usage",
        "tool",
        "tool_done",
        "usage",
        "said",
        "finished",
    ]
    assert events[0]["model"] == "stub-model"
    assert stub.asked[0].model == "stub-model"


MODELS = {
    "the first of the server": ({}, (), "one"),
    "what the job asks for": ({}, ("--model=two",), "two"),
    "what the host sets": ({MODEL: "two"}, (), "two"),
    "the job's before the host's": ({MODEL: "two"}, ("--model=three",), "three"),
}


@pytest.mark.parametrize(("env", "args", "model"), MODELS.values(), ids=MODELS)
def test_which_model_is_asked(work: Path, env: Mapping[str, str], args: tuple[str, ...], model: str) -> None:
    models = {"data": [{"id": "one"}, {"id": "two", "max_model_len": 2048}, "odd"]}
    with scripted(saying("Done."), models=models) as server:
        played(work, {URL: server.url, **env}, *args)
        asked = server.asked[0]
    assert asked["model"] == model
    assert asked["max_tokens"] == (512 if model == "two" else 1024)


WINDOWS = {
    "what the host says": ({WINDOW: "2000", OLLAMA_WINDOW: "3000"}, 500),
    "what Ollama is told": ({OLLAMA_WINDOW: "3000"}, 750),
    "nonsense": ({WINDOW: "large", OLLAMA_WINDOW: "0"}, 1024),
}


@pytest.mark.parametrize(("env", "answer"), WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("args", [(), ("--model=tiny",)], ids=["any model", "a model by name"])
def test_an_answer_may_take_a_quarter_of_the_window(
    work: Path, env: Mapping[str, str], answer: int, args: tuple[str, ...]
) -> None:
    with scripted(saying("Done.")) as server:
        played(work, {URL: server.url, **env}, *args)
    assert server.asked[0]["max_tokens"] == answer


NO_SERVER = {
    "no models": ({"data": []}, "the server has no model"),
    "a key is refused": (
        Refusal(401, {"error": {"message": "bad key", "code": "invalid_api_key"}}),
        "bad key",
    ),
}


@pytest.mark.parametrize(("models", "words"), NO_SERVER.values(), ids=NO_SERVER)
def test_a_server_that_is_of_no_use_ends_the_run_in_order(work: Path, models: object, words: str) -> None:
    with scripted(saying(""), models=models) as server:
        code, events, err = played(work, {URL: server.url, KEY: "made-up"})
    assert (code, err) == (1, "")
    assert [event["event"] for event in events] == ["fault", "finished"]
    assert events[0]["words"] == words
    assert events[1]["ok"] is False


def test_without_an_address_the_child_says_so(work: Path) -> None:
    code, events, err = played(work, {})
    assert code == 1
    assert "Traceback" not in err
    assert events[-1]["ok"] is False
    assert events[0]["words"] == f"{URL} names no model server"


def test_a_stopped_child_takes_its_command_with_it(work: Path) -> None:
    with scripted(calling("run_command", command="echo $$ > pid; exec sleep 600", timeout=500)) as server:
        process = agent(work, {URL: server.url}, "--yolo")
        assert process.stdin
        process.stdin.close()
        wait_until(lambda: (work / "pid").exists() and (work / "pid").read_text(), 30, "the command")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
    for stream in (process.stdout, process.stderr):
        assert stream
        stream.close()
    assert gone(int((work / "pid").read_text()))


# A command whose start ends with a stop of the agent: of all moments the one that a stop hits least often.
STOPPED_AT_THE_START = """
import signal, subprocess, sys
from pathlib import Path
from aq.host.engines.local_agent.commands import run_line

class Stopped(subprocess.Popen):
    def __init__(self, *words, **keys):
        super().__init__(*words, **keys)
        Path("pid").write_text(str(self.pid))
        signal.raise_signal(signal.SIGTERM)

def stop(*_):
    raise SystemExit(143)

signal.signal(signal.SIGTERM, stop)
subprocess.Popen = Stopped
run_line("exec sleep 600", Path.cwd(), 500)
"""


def test_a_stop_in_the_middle_of_a_commands_start_leaves_no_command(work: Path) -> None:
    script = [sys.executable, "-P", "-c", STOPPED_AT_THE_START]
    done = subprocess.run(script, cwd=work, check=False, timeout=60)
    assert done.returncode == 143
    assert gone(int((work / "pid").read_text()))
