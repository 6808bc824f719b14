"""`aq doctor` tries to escape from the sandbox and prints what held."""

from __future__ import annotations

import pytest

from aq.host.config import HostConfig
from aq.host.escape import Trial
from aq.host.sandbox import Sandbox, sandbox
from aq.ui import confinement
from aq.ui.confinement import sandbox_findings
from aq.ui.finding import Finding

BOX = Sandbox("/usr/bin/bwrap")
HELD, LEAKED = Trial("reading a hidden file", True), Trial("writing into the home folder", False)


def levels(
    monkeypatch: pytest.MonkeyPatch, box: Sandbox, trials: tuple[Trial, ...] = (), asked: str = "auto"
) -> list[Finding]:
    monkeypatch.delenv("AQ_SANDBOX")
    monkeypatch.setattr(confinement, "sandbox", lambda: box)
    monkeypatch.setattr(confinement, "try_to_escape", lambda _: trials)
    return list(sandbox_findings(HostConfig("ada", sandbox=asked)))


def test_what_held_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert levels(monkeypatch, BOX, (HELD, HELD)) == [
        Finding("ok", "sandbox bubblewrap held: reading a hidden file, reading a hidden file")
    ]


def test_what_did_not_hold_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    ok, bad = levels(monkeypatch, BOX, (HELD, LEAKED))
    assert (ok.level, bad.level) == ("ok", "BAD")
    assert bad.what == "sandbox bubblewrap did not hold: writing into the home folder"


def test_a_sandbox_that_cannot_be_tried_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [finding.level for finding in levels(monkeypatch, BOX)] == ["BAD"]


NONE = {"auto": "note", "off": "ok", "required": "BAD"}


@pytest.mark.parametrize(("asked", "level"), NONE.items(), ids=NONE)
def test_without_a_sandbox_it_depends_on_what_the_owner_wants(
    monkeypatch: pytest.MonkeyPatch, asked: str, level: str
) -> None:
    found = levels(monkeypatch, Sandbox(why="bubblewrap is not installed"), asked=asked)
    assert [finding.level for finding in found] == [level]


def test_a_sandbox_that_is_switched_off_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = levels(monkeypatch, BOX, (HELD,), asked="off")
    assert found == [
        Finding("ok", "sandbox bubblewrap held, and host.yaml switches it off: reading a hidden file")
    ]
    monkeypatch.undo()
    monkeypatch.setenv("AQ_SANDBOX", "off")
    assert list(sandbox_findings(HostConfig("ada"))) == [Finding("ok", "sandbox: off")]


def test_the_real_one_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AQ_SANDBOX")
    if not sandbox():
        pytest.skip(f"no sandbox here: {sandbox().why}")
    assert [finding.level for finding in sandbox_findings(HostConfig("ada"))] == ["ok"]
