"""No secret in anything that is kept: every shape, in every place where words end up."""

from __future__ import annotations

import json
import queue
from pathlib import Path
from typing import Any

import pytest

from aq.core.encoding import encode
from aq.core.lease import Fence
from aq.core.record import CheckResult, Record, Run
from aq.core.secrecy.secrets import diff_warnings
from aq.core.settle import Ending, Outcome
from aq.core.squash import squash_message
from aq.core.value import replace
from aq.core.work import Brought, Checked, Ended
from aq.host.config import HostConfig
from aq.host.kit import Kit
from aq.host.logfile import CappedLog
from aq.host.redact import secret_values
from aq.host.sessions import Sessions
from aq.host.workspace import Workspaces
from aq.ui.out import say_json
from tests.support.canaries import BY_KIND, KINDS, KNOWN, leaked

FENCE = Fence("a", "ada", "nonce", 1)


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(
        HostConfig("ada"),
        Workspaces(tmp_path / "state"),
        tmp_path / "runs",
        tmp_path / "logs",
        (KNOWN,),
        queue.SimpleQueue(),
        Sessions(tmp_path / "sessions.json"),
    )


def reported(kit: Kit, report: Any) -> Any:
    kit.report(report)
    return kit.reports.get()


@pytest.mark.attack("S19")
@pytest.mark.parametrize("kind", KINDS)
def test_no_shape_reaches_a_log_wherever_its_output_is_cut(kind: str, tmp_path: Path) -> None:
    data = f"a {BY_KIND[kind].example}\nb\n".encode()
    path = tmp_path / "log"
    for cut in range(len(data)):
        log = CappedLog(path)
        stream = log.stream()
        shown = [*stream.write(data[:cut]), *stream.write(data[cut:]), *stream.close()]
        log.close()
        assert not leaked(kind, path.read_text())
        assert not leaked(kind, "\n".join(shown))
        path.unlink()


@pytest.mark.attack("S19")
@pytest.mark.parametrize("kind", KINDS)
def test_no_shape_reaches_a_record(kind: str, kit: Kit) -> None:
    words = f"it said {BY_KIND[kind].example}"
    ended = reported(kit, Ended(FENCE, Outcome(Ending.FAILED, "agent", words)))
    checked = reported(kit, Checked(FENCE, (CheckResult(words, passed=False, detail=words),), words))
    brought = reported(kit, Brought("a", conflict=words, error=words))
    run = Run(1, "ada", "n", "shell", "2026-11-21T10:00:00Z", reason=ended.outcome.reason)
    record = replace(Record(), runs=(run,))
    texts = (encode(record), repr(ended), repr(checked), repr(brought))
    assert not any(leaked(kind, text if isinstance(text, str) else text.decode()) for text in texts)


@pytest.mark.attack("S19")
@pytest.mark.parametrize("kind", KINDS)
def test_no_shape_reaches_a_commit_message(kind: str) -> None:
    words = BY_KIND[kind].example
    message = squash_message(words, {"Aq-Job": words, "Aq-Model": words}, (words, f"x {words}"))
    assert not leaked(kind, message)


@pytest.mark.parametrize("kind", KINDS)
def test_no_shape_reaches_a_warning_about_a_change(kind: str) -> None:
    lines = BY_KIND[kind].example.splitlines()
    added = "".join(f"+{line}\n" for line in lines)
    path = f"src/{lines[0]}"
    text = f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n{added}"
    assert not any(leaked(kind, warning) for warning in diff_warnings(text.encode()))


@pytest.mark.attack("S19")
@pytest.mark.parametrize("kind", KINDS)
def test_no_shape_reaches_json_output(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"it said\n{BY_KIND[kind].example}"
    say_json({"jobs": [{"title": words, "runs": [{"reason": words}], "n": 1}], "on": True})
    out = capsys.readouterr().out
    assert not leaked(kind, out)
    document = json.loads(out)
    assert document["jobs"][0]["n"] == 1
    assert "[redacted:" in document["jobs"][0]["title"]


def test_json_without_secrets_is_what_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"title": "risk-assessment of tasks: see http://localhost:8080/a@b"})
    assert (
        json.loads(capsys.readouterr().out)["title"]
        == "risk-assessment of tasks: see http://localhost:8080/a@b"
    )


VALUES = {
    "a name that tells": ({"MY_API_KEY": "fake-value-1"}, ("fake-value-1",)),
    "a token": ({"gh_token": "fake-value-1"}, ("fake-value-1",)),
    "a personal access token": ({"AZURE_PAT": "fake-value-1"}, ("fake-value-1",)),
    "a short one": ({"MY_KEY": "fake"}, ()),
    "an ordinary one": ({"EDITOR": "fake-value-1"}, ()),
    "a path that is there": ({"SSH_KEY_FILE": "/usr/bin"}, ()),
    "what only looks like a path": ({"SSH_KEY": "/fake+value/1"}, ("/fake+value/1",)),
    "a folder's name": ({"PWD": "somewhere/else", "OLDPWD": "somewhere/else"}, ()),
    "each line": ({"A_SECRET": "first-fake\n x\n second-fake \n"}, ("first-fake", "second-fake")),
    "a password in a URL": ({"DB": "postgres" + "://bob:" + "fake-fake@h/x"}, ("fake-fake",)),
    "the same one twice": ({"A_KEY": "fake-value-1", "B_KEY": "fake-value-1"}, ("fake-value-1",)),
}


@pytest.mark.parametrize(("environ", "values"), VALUES.values(), ids=VALUES)
def test_values_of_the_environment_that_seem_secret_are_known(
    environ: dict[str, str], values: tuple[str, ...]
) -> None:
    assert secret_values(environ) == values


@pytest.mark.attack("S19")
def test_a_known_value_reaches_no_report(kit: Kit) -> None:
    ended = reported(kit, Ended(FENCE, Outcome(Ending.FAILED, "agent", f"x {KNOWN}", model=KNOWN)))
    assert KNOWN not in repr(ended)
