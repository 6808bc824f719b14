"""What a host offers is found by looking, and never holds a credential's value."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import psutil
import pytest

from aq.core.requirement import missing
from aq.host.config import HostConfig
from aq.host.engines import looking
from aq.host.probe import probe_engines, probe_offers


def named(offers: frozenset[str], start: str) -> list[str]:
    return [offer for offer in offers if offer.startswith(start)]


def test_a_host_offers_its_system_machine_python_git_name_and_engines() -> None:
    offers = probe_offers(HostConfig("ada", repos={"billing": "/x"}, offers=("has:licence",)))
    assert f"os:{'linux' if sys.platform == 'linux' else 'mac'}" in offers
    assert f"arch:{platform.machine().lower()}" in offers
    assert f"python={platform.python_version()}" in offers
    assert len(named(offers, "git=")) == 1
    assert {"host:ada", "engine:shell", "repo:billing", "has:licence", f"cpus={os.cpu_count()}"} <= offers


def test_a_repositorys_url_is_not_offered() -> None:
    url = "https://user:" + "canary" + "@forge.invalid/x.git"
    assert not any("canary" in offer for offer in probe_offers(HostConfig("ada", repos={"x": url})))


TOOLS = {
    "a version": ("echo v22.3.0", "node=22.3.0"),
    "a version on standard error": ("echo 'openjdk 21.0.1' >&2", "node=21.0.1"),
    "no version": ("echo hello", "has:node"),
    "a failing tool": ("exit 3", "has:node"),
}


@pytest.mark.parametrize(("script", "offer"), TOOLS.values(), ids=TOOLS)
def test_a_tool_is_offered_with_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, offer: str
) -> None:
    tool = tmp_path / "bin" / "node"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    offers = probe_offers(HostConfig("ada"))
    assert [*named(offers, "node="), *named(offers, "has:node")] == [offer]


def test_a_tool_that_is_not_here_is_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    offers = probe_offers(HostConfig("ada"))
    assert not named(offers, "git")
    assert not named(offers, "engine:"), "without a shell there is no shell engine"


def test_a_denied_engine_is_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert probe_engines(HostConfig("ada")) == {"shell": "shell"}
    assert probe_engines(HostConfig("ada", deny=("shell",))) == {}


PROBES = {
    "a-file-that-is-there": ("test -d /", "has:a-file-that-is-there"),
    "a-file-that-is-not": ("test -d /nowhere", None),
    "version": ("echo 'Copyright 2024'; echo 'release 12.4, V12.4.131'", "version=12.4"),
    "on-standard-error": ("echo 3.1 >&2", "on-standard-error=3.1"),
    "version-and-a-failure": ("echo 3.1; exit 2", None),
    "syntax-error": ("(", None),
}


def test_the_owners_probe_offers_its_name_or_the_version_that_it_prints() -> None:
    offers = probe_offers(HostConfig("ada", probes={name: command for name, (command, _) in PROBES.items()}))
    found = {name: [*named(offers, f"{name}="), *named(offers, f"has:{name}")] for name in PROBES}
    assert found == {name: [offer] if offer else [] for name, (_, offer) in PROBES.items()}


def test_a_probe_that_hangs_is_given_up_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "PROBE_SECONDS", 0.3)
    command = f"echo $$ > {tmp_path}/pid; exec sleep 60"
    assert "has:x" not in probe_offers(HostConfig("ada", probes={"x": command}))
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_only_variables_that_the_owner_lists_and_that_are_set_are_offered_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_TOKEN", "canary")
    monkeypatch.setenv("B_TOKEN", "canary")
    monkeypatch.setenv("EMPTY", "")
    offers = probe_offers(HostConfig("ada", job_env=("A_TOKEN", "EMPTY", "NOT_HERE", "NODE_OPTIONS")))
    assert named(offers, "cred:") == ["cred:A_TOKEN"]
    assert not any("canary" in offer for offer in offers)


def test_a_host_offers_its_memory_and_an_engines_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "codex"
    tool.write_text("#!/bin/sh\necho codex-cli 0.169.0\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    looking.forget()
    offers = probe_offers(HostConfig("ada"))
    assert {"engine:codex", "auth:codex", "codex=0.169.0"} <= offers
    assert "auth:shell" not in offers
    assert missing(("memory>=1", "cpus>=1", "memory<100000", "has:memory"), offers) == ()
    assert missing(("memory>=99999", "cpus<1"), offers) == ("memory>=99999", "cpus<1")
