"""Scripts and schemas: what `aq` prints for other programs, and what it imports for that."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.ui.conftest import Person


def test_help_of_one_command_imports_no_other_command() -> None:
    probe = (
        "import sys; from aq.ui.cli import command_line as aq; aq(['ship', '--help']); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.splitlines()[-1].split() if name.startswith("aq.ui.cli.")}
    assert {name.rsplit(".", 1)[1] for name in loaded} == {"table", "gate", "common"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_prints_a_script_for_the_shell(aq: Person, shell: str) -> None:
    assert "_AQ_COMPLETE" in aq("completion", shell).out


def test_completion_guesses_the_shell(aq: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert aq("completion").out == aq("completion", "fish").out


def test_the_printed_completion_script_completes(aq: Person) -> None:
    lines = {"COMP_WORDS": "aq sta", "COMP_CWORD": "1", "_AQ_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-m", "aq"],
        env={**os.environ, **lines},
        cwd=aq.machine.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["status"], done.stderr


def test_the_schema_describes_every_key_of_a_job(aq: Person) -> None:
    from aq.core.manifest import KEYS

    schema = json.loads(aq("schema").out)
    assert {key.replace("-", "_") for key in schema["properties"]} >= set(KEYS) - {"fix_max"}
    assert "cadence" in json.loads(aq("schema", "--settings").out)["properties"]
