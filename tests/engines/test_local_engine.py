"""The local engine as aq sees it: where it is found, how it is started, and how its output is read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aq.core.engine.events import (
    Event,
    Faulted,
    Finished,
    Retrying,
    Said,
    Started,
    ToolCalled,
    ToolDone,
    Used,
)
from aq.core.engine.usage import Usage
from aq.core.value import replace
from aq.host.engines.base import Auth, Brief
from aq.host.engines.local import ENGINE
from aq.host.engines.local_agent.address import OLLAMA, URL, base_url
from aq.host.engines.parsers.local import LocalParser
from tests.engines.scripted import Refusal, saying, scripted
from tests.engines.stub import Stub

ADDRESSES = {
    "nothing": ({}, ""),
    "blanks": ({URL: " "}, ""),
    "a whole address": ({URL: "http://box:8080/v1"}, "http://box:8080/v1"),
    "an address with a slash": ({URL: "http://box:8080/v1/"}, "http://box:8080/v1"),
    "an address without a path": ({URL: "https://box"}, "https://box/v1"),
    "an address without a scheme": ({URL: "box:8080"}, "http://box:8080/v1"),
    "ours wins": ({URL: "http://a:1", OLLAMA: "b"}, "http://a:1/v1"),
    "Ollama's host": ({OLLAMA: "box"}, "http://box:11434/v1"),
    "Ollama's host and port": ({OLLAMA: "box:8080"}, "http://box:8080/v1"),
    "Ollama listens everywhere": ({OLLAMA: "0.0.0.0"}, "http://127.0.0.1:11434/v1"),
    "Ollama listens everywhere in the new way": ({OLLAMA: "[::]:11434"}, "http://[::1]:11434/v1"),
    "Ollama behind TLS": ({OLLAMA: "https://ollama.example"}, "https://ollama.example/v1"),
}


@pytest.mark.parametrize(("env", "url"), ADDRESSES.values(), ids=ADDRESSES)
def test_the_server_is_where_the_environment_says(env: Mapping[str, str], url: str) -> None:
    assert base_url(env) == url


def test_without_an_address_the_engine_is_not_here() -> None:
    assert ENGINE.probe({}).path == ""


PROBES = {
    "a server with models": ({"data": [{"id": "tiny"}]}, Auth.YES),
    "a server that wants a key": (Refusal(401, {}), Auth.NO),
    "a server in trouble": (Refusal(503, {}), Auth.UNKNOWN),
}


@pytest.mark.parametrize(("models", "auth"), PROBES.values(), ids=PROBES)
def test_a_probe_asks_for_the_models(models: object, auth: Auth) -> None:
    with scripted(saying(""), models=models) as server:
        found = ENGINE.probe({URL: server.url})
    assert (found.path, found.auth) == (sys.executable, auth)
    assert found.version


def test_nobody_there_is_no(unused_tcp_address: str) -> None:
    assert ENGINE.probe({URL: unused_tcp_address}).auth is Auth.NO


@pytest.fixture
def unused_tcp_address() -> str:
    with scripted(saying("")) as server:
        return server.url


def test_a_server_that_says_nothing_is_not_waited_for_long(stub: Stub) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = ENGINE.probe({URL: f"http://127.0.0.1:{silent.getsockname()[1]}"})
    assert found.auth is Auth.UNKNOWN


def test_an_address_that_is_none_does_not_break_the_probe() -> None:
    assert ENGINE.probe({URL: "http://[oops"}).path == ""
    assert ENGINE.probe({URL: "gopher://box"}).auth is not Auth.YES


BRIEF = Brief("body", Path("/run/prompt.md"), Path("/run"), Path("/work"))
LAUNCHES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing asked": ({}, ["--turns 10"]),
    "a simple job": ({"labels": ("ui", "simple")}, ["--turns 5"]),
    "a complex job": ({"labels": ("complex",)}, ["--turns 20"]),
    "a limit of turns": ({"labels": ("complex",), "turns": 7}, ["--turns 7"]),
    "limits": ({"tokens": 5000, "wall": 60.0}, ["--tokens=5000", "--wall=60.0"]),
    "a model": ({"model": "-tiny"}, ["--model=-tiny"]),
    "lines": ({"commands": ("pytest -q", "--x")}, ["--command=pytest -q", "--command=--x"]),
    "yolo and a verify": ({"yolo": True, "judged": True}, ["--yolo", "--judged"]),
    "where python is": ({"path": "/opt/python"}, ["/opt/python -P -m aq.host.engines.local_agent"]),
}


@pytest.mark.parametrize(("asked", "words"), LAUNCHES.values(), ids=LAUNCHES)
def test_a_launch_says_what_the_brief_says(asked: dict[str, Any], words: list[str]) -> None:
    launch = ENGINE.launch(replace(BRIEF, **asked))
    assert launch.stdin == BRIEF.prompt
    assert "--workspace /work" in " ".join(launch.argv)
    assert all(word in " ".join(launch.argv) for word in words)
    assert ("--yolo" in launch.argv) == bool(asked.get("yolo"))


LINES: dict[str, tuple[dict[str, Any], Event]] = {
    "started": ({"model": "tiny"}, Started(model="tiny")),
    "said": ({"text": "Hm."}, Said("Hm.")),
    "tool": ({"tool": "read_file", "what": "a"}, ToolCalled("read_file", "a")),
    "tool_done": ({"tool": "a", "ok": True, "denied": False}, ToolDone("a", ok=True)),
    "retry": (
        {"status": 429, "delay": 7, "attempt": 2, "words": "slow"},
        Retrying(429, 7.0, 2, "slow"),
    ),
    "usage": ({"input": 1, "cached": 2, "output": 3}, Used(Usage(1, 2, 3))),
    "fault": ({"words": "no", "status": 401, "code": "c", "reset": 3}, Faulted("no", 401, "c", 3.0)),
    "finished": ({"ok": True, "text": "Done.", "turns": 2}, Finished(True, "Done.", "", 2)),
}


@pytest.mark.parametrize(("name", "said", "event"), [(n, *rest) for n, rest in LINES.items()], ids=LINES)
def test_every_line_of_the_agent_is_an_event(name: str, said: dict[str, Any], event: Event) -> None:
    assert list(LocalParser().line(json.dumps({"event": name, **said}), stderr=False)) == [event]


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("value", [None, -1, 1e400, "x", [], {}, True], ids=repr)
def test_a_line_with_nonsense_in_it_is_still_only_an_event(name: str, value: object) -> None:
    keys = ("text", "tool", "what", "ok", "status", "delay", "input", "words", "code", "reset", "turns")
    events = LocalParser().line(json.dumps({"event": name, **dict.fromkeys(keys, value)}), stderr=False)
    assert len(events) == 1
    assert "-1" not in repr(events[0])
    assert "inf" not in repr(events[0])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("Traceback (most recent call last):", id="words"),
        pytest.param("{oops", id="broken JSON"),
        pytest.param('{"event": "finished", "ok": true, "text": "' + "x" * 200_000, id="a line that was cut"),
        pytest.param("[]", id="a list"),
        pytest.param('{"event": ["finished"]}', id="an odd name"),
        pytest.param('{"event": "exploded"}', id="an unknown name"),
        pytest.param('{"a":' * 50_000, id="a deep line"),
    ],
)
def test_a_line_that_is_no_event_is_passed_over(text: str) -> None:
    parser = LocalParser()
    assert list(parser.line(text, stderr=False)) == []
    assert list(parser.end(0, "")) == []


def test_what_is_said_on_stderr_is_no_event() -> None:
    assert list(LocalParser().line('{"event": "finished", "ok": true}', stderr=True)) == []


def test_commands_that_run_often_do_not_import_httpx() -> None:
    script = (
        "import sys\nfrom aq.ui.cli import command_line\ncommand_line(['--help'])\n"
        "import aq.host.engines, aq.host.probe\nprint('httpx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
