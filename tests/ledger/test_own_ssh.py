"""A remote is reached by the ssh that a person chose, wherever that is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aq.host import gitproc as target_git
from aq.ledger import gitproc
from tests.support.fleet import git
from tests.support.tools import first_in_path

FAR = "ssh://far.invalid/r.git"
ASKING = {
    "queue": lambda: gitproc.run(["ls-remote", FAR]),
    "target": lambda: target_git.git("ls-remote", FAR),
}


@pytest.fixture(autouse=True)
def _ask_anew() -> Iterator[None]:
    for told in (gitproc.chose_ssh, target_git.chose_ssh):
        told.cache_clear()
    yield
    for told in (gitproc.chose_ssh, target_git.chose_ssh):
        told.cache_clear()


def script(path: Path) -> Path:
    """A program that notes how it was called."""
    path.write_text(f'#!/bin/sh\necho "$@" >> {path}.calls\nexit 1\n')
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
@pytest.mark.parametrize("where", ["GIT_SSH", "GIT_SSH_COMMAND", "core.sshCommand"])
def test_the_ssh_that_a_person_chose_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object], where: str
) -> None:
    theirs = script(tmp_path / "theirs")
    if where == "core.sshCommand":
        git(tmp_path, "config", "--global", where, str(theirs))
    else:
        monkeypatch.setenv(where, str(theirs))
    ask()
    assert "far.invalid" in Path(f"{theirs}.calls").read_text()


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
def test_without_a_choice_ssh_never_asks_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]
) -> None:
    (tmp_path / "bin").mkdir()
    ssh = script(tmp_path / "bin" / "ssh")
    monkeypatch.setenv("PATH", first_in_path(ssh.parent))
    ask()
    assert "-o BatchMode=yes" in Path(f"{ssh}.calls").read_text()
