"""What a host offers is found by looking, and never holds a credential's value."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from aq.host.config import HostConfig
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
