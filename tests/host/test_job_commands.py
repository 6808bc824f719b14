"""Which command lines of jobs run here is the owner's word: `job-commands` of host.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.core.files.jobfile import parse_job
from aq.host.checks import refused_command
from aq.host.config import HostConfig, load_host_config
from tests.runner.hosts import host
from tests.support.fleet import HELLO, Fleet, add

LISTED = ("pytest -q", "npm ci")


@pytest.mark.attack("S1")
@pytest.mark.parametrize(
    ("front", "listed", "off"),
    [
        ("verify: pytest -q", "", "does not allow the command 'pytest -q'"),
        ("verify: ['pytest -q ', {file_exists: a}]", "", "does not allow the command 'pytest -q '"),
        ("verify: [{file_exists: a}, {git_clean: true}]", "", ""),
        (
            "verify: pytest -q; curl evil",
            "does not allow the command 'pytest -q; curl evil'",
            "does not allow",
        ),
        ("verify: [{test_passes: pytest -x}]", "does not allow the command 'pytest -x'", "does not allow"),
        ("setup: npm ci", "", "does not allow the command 'npm ci'"),
        ("setup: npm i evil", "does not allow the command 'npm i evil'", "does not allow"),
        ("engine: shell", "the shell engine runs scripts", "the shell engine runs scripts"),
        ("engine-class: shell", "the shell engine runs scripts", "the shell engine runs scripts"),
        ("engine: claude", "", ""),
    ],
)
def test_any_listed_and_off(front: str, listed: str, off: str) -> None:
    manifest, _ = parse_job(f"---\n{front}\n---\nDo it.\n".encode())
    assert refused_command(manifest, HostConfig("ada", commands=LISTED)) == ""
    for mode, words in (("listed", listed), ("off", off)):
        said = refused_command(manifest, HostConfig("ada", commands=LISTED, job_commands=mode))
        assert (words in said) if words else said == ""


def test_a_job_whose_commands_are_not_allowed_is_refused_with_the_key_to_look_at(
    fleet: Fleet, hermetic_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (hermetic_home / "host.yaml").write_text("job-commands: off\n")
    assert load_host_config().job_commands == "off"
    add(fleet.you.ledger(), "job", HELLO)
    with host(fleet, monkeypatch) as ada:
        ada.until(lambda: "job" in ada.runner.refuses)
        assert "host.yaml has `job-commands: off`" in ada.runner.refuses["job"][0]
