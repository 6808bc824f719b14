"""`aq doctor` on the engines of a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.host.engines import looking
from tests.ui.conftest import Person


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    for name in ("CODEX_API_KEY", "OPENAI_API_KEY", "GH_TOKEN", "GITHUB_TOKEN", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    looking.forget()
    return folder


def install(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_doctor_lists_engines_with_versions_and_says_which_lack_credentials(aq: Person, tools: Path) -> None:
    install(tools, "codex", '[ "$1" = login ] && exit 1; echo codex-cli 0.169.0')
    install(tools, "copilot", "echo 1.0.102")
    said = " ".join(aq("doctor").out.split())
    assert "copilot 1.0.102 (whether it is logged in cannot be seen)" in said
    assert "engine codex is here and has no credentials" in said
    assert "codex 0.169.0" not in said


def test_doctor_names_the_line_of_a_broken_engine_file(aq: Person, tools: Path, hermetic_home: Path) -> None:
    (hermetic_home / "engines").mkdir()
    (hermetic_home / "engines" / "mytool.yaml").write_text("argv: [mytool]\nprompt: mail\n")
    said = " ".join(aq("doctor", code=1).out.split())
    assert "mytool.yaml:2: prompt: 'mail' is not known; write one of 'stdin', 'file' or 'arg'" in said
    assert "until then there is no such engine" in said
