"""A person at a machine: runs commands in this process and sees what is printed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from aq.ui.cli import command_line
from tests.support.fleet import Fleet, Machine
from tests.support.story import Story, story


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, which must be one document under the contract."""
        found = json.loads(self.out)
        assert found["contract"] == 1
        assert isinstance(found, dict)
        return found


class Person:
    """`aq` typed at one machine."""

    def __init__(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.machine = machine
        self._capsys = capsys
        monkeypatch.chdir(machine.path)
        monkeypatch.setenv("AQ_STATE_DIR", str(machine.state))

    def __call__(self, *args: str, code: int = 0) -> Said:
        """One command, which must end with this code."""
        self._capsys.readouterr()
        ended = command_line(list(args))
        printed = self._capsys.readouterr()
        assert ended == code, f"aq {args} ended with {ended}: {printed.out}{printed.err}"
        return Said(ended, printed.out, printed.err)

    def refused(self, *args: str, code: int = 1) -> str:
        """The words of a command that must not succeed: what happened, and on the next line what to do."""
        lines = self(*args, code=code).err.splitlines()
        what = next(i for i, line in enumerate(lines) if line.startswith("aq: "))
        assert lines[what + 1].startswith("    "), lines
        assert "\x1b" not in "".join(lines)
        return "\n".join(line.strip() for line in lines[what:])


@pytest.fixture
def aq(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Person:
    """Commands of the person's own machine."""
    return Person(fleet.you, monkeypatch, capsys)


@pytest.fixture
def told(fleet: Fleet) -> Story:
    """Brings jobs into any stage."""
    return story(fleet)
