"""Looking for engines: path, version, and whether there are credentials, never what they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from aq.core.requirement import parse_requirement, satisfied
from aq.host.config import HostConfig
from aq.host.engines import ENGINES, looking
from aq.host.engines.base import Auth, Probe
from aq.host.probe import look_at_engines, probe_engines, probe_offers
from tests.support.fleet import wait_until

CONFIG = HostConfig("ada")
KEYS = {name for engine in ENGINES.values() for name in engine.env}
Install = Callable[[str, str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts fake programs on a PATH of their own, in an environment without credentials."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    for name in {*KEYS, "CODEX_HOME", "OPENAI_API_BASE", "OLLAMA_API_BASE", "COPILOT_PROVIDER_BASE_URL"}:
        monkeypatch.delenv(name, raising=False)
    looking.forget()

    def make(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return make


def probe(engine: str) -> Probe:
    return ENGINES[engine].probe(os.environ)


VERSIONS = {
    "claude": ("echo '2.1.197 (Claude Code)'", "2.1.197"),
    "codex": ("echo 'WARNING: no 1.2 here' >&2; echo codex-cli 0.169.0", "0.169.0"),
    "gemini": ("echo 0.61.0", "0.61.0"),
    "copilot": ("echo 'GitHub Copilot CLI 1.0.102.'; echo update", "1.0.102"),
    "opencode": ("echo 1.18.33", "1.18.33"),
    "qwen": ("echo 0.15.10-nightly.1", "0.15.10-nightly.1"),
    "aider": ("echo aider 0.86.2", "0.86.2"),
    "mini": ("echo 'This is mini-swe-agent version 2.4.6.'", "2.4.6"),
    "devin": ("echo 'devin 3.0.1 (abc)'", "3.0.1"),
    "cursor-agent": ("echo 2026.09.02-c22c1a3", "2026.09.02-c22c1a3"),
    "amp": ("echo '0.0.1790142911-gabc (released today)'", "0.0.1790142911-gabc"),
    "goose": ("echo ' 1.10.3'", "1.10.3"),
    "crush": ("echo 'crush version v0.11.2'", "0.11.2"),
}


@pytest.mark.parametrize("engine", VERSIONS)
def test_an_engine_that_is_here_is_found_with_its_version(engine: str, install: Install) -> None:
    script, version = VERSIONS[engine]
    path = install(engine, script)
    found = probe(engine)
    assert (found.path, found.version) == (str(path), version)


@pytest.mark.parametrize("engine", VERSIONS)
def test_an_engine_that_is_not_here_is_not_found(engine: str, install: Install) -> None:
    assert probe(engine) == Probe()


def test_every_agent_is_looked_for() -> None:
    assert {*VERSIONS, "local", "shell"} == set(ENGINES)


@pytest.mark.parametrize(
    ("engine", "script"),
    [
        pytest.param("mini", "echo 'mini 1.2.3, a file manager'", id="another mini"),
        pytest.param("crush", "echo 'crush 1.2.3 (compression)'", id="another crush"),
    ],
)
def test_another_program_of_the_same_name_is_no_engine(engine: str, script: str, install: Install) -> None:
    install(engine, script)
    assert probe(engine) == Probe()


def test_a_migration_tool_called_goose_is_not_offered(install: Install) -> None:
    install("goose", "echo 'goose version: v3.24.1'")
    assert probe("goose").auth is Auth.NO
    assert "goose" not in probe_engines(CONFIG)


KEY = {
    "claude": "ANTHROPIC_API_KEY",
    "codex": "OPENAI_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "copilot": "GH_TOKEN",
    "opencode": "OPENROUTER_API_KEY",
    "qwen": "DASHSCOPE_API_KEY",
    "aider": "ANTHROPIC_API_KEY",
    "mini": "OPENAI_API_KEY",
    "cursor-agent": "CURSOR_API_KEY",
    "amp": "AMP_API_KEY",
    "goose": "GOOSE_PROVIDER",
    "crush": "OPENAI_API_KEY",
}


@pytest.mark.parametrize("engine", KEY)
def test_a_key_in_the_environment_is_enough(
    engine: str, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(engine, f"{VERSIONS[engine][0]}; exit 1")
    monkeypatch.setenv(KEY[engine], "can" + "ary")
    assert probe(engine).auth is Auth.YES
    monkeypatch.setenv(KEY[engine], "")
    assert probe(engine).auth is not Auth.YES


FILES = {
    "gemini": (".gemini/oauth_creds.json", Auth.YES),
    "qwen": (".qwen/oauth_creds.json", Auth.YES),
    "amp": (".local/share/amp/secrets.json", Auth.YES),
    "goose": (".config/goose/config.yaml", Auth.UNKNOWN),
    "mini": (".config/mini-swe-agent/.env", Auth.UNKNOWN),
    "aider": (".aider.conf.yml", Auth.UNKNOWN),
    "crush": (".config/crush/crush.json", Auth.UNKNOWN),
}


@pytest.mark.parametrize("engine", FILES)
def test_a_file_of_its_own_may_be_enough_and_is_never_read(
    engine: str, install: Install, hermetic_home: Path
) -> None:
    install(engine, VERSIONS[engine][0])
    assert probe(engine).auth is Auth.NO
    name, auth = FILES[engine]
    path = hermetic_home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    assert probe(engine).auth is auth


ANSWERS = {
    "claude logged in": ("claude", """echo '{"loggedIn": true}'""", Auth.YES),
    "claude logged out": ("claude", """echo '{"loggedIn": false}'; exit 1""", Auth.NO),
    "claude too old to say": ("claude", "echo 'unknown command'; exit 1", Auth.UNKNOWN),
    "claude saying something else": ("claude", "echo '{[}'; exit 1", Auth.UNKNOWN),
    "codex logged in": ("codex", "echo Logged in", Auth.YES),
    "codex logged out": ("codex", "echo Not logged in; exit 1", Auth.NO),
    "opencode with credentials": ("opencode", "echo '└  2 credentials'", Auth.YES),
    "opencode with none": ("opencode", "echo '└  0 credentials'", Auth.UNKNOWN),
    "cursor logged in": ("cursor-agent", "echo Logged in as alice", Auth.YES),
    "cursor logged out": ("cursor-agent", "echo Not logged in", Auth.NO),
    "devin logged in": ("devin", "echo Logged in", Auth.YES),
    "devin logged out": ("devin", "exit 1", Auth.NO),
    "copilot, whose keychain nobody sees": ("copilot", "exit 1", Auth.UNKNOWN),
}


@pytest.mark.parametrize(("engine", "script", "auth"), ANSWERS.values(), ids=ANSWERS)
def test_an_engine_that_can_tell_is_asked(engine: str, script: str, auth: Auth, install: Install) -> None:
    version = VERSIONS[engine][0]
    install(engine, f'if [ "$1" = --version ]; then {version}; exit; fi\n{script}')
    assert probe(engine).auth is auth


def test_codex_with_a_provider_of_its_own_may_have_credentials(
    install: Install, hermetic_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("codex", "echo 1.2.3; exit 1")
    assert probe("codex").auth is Auth.NO
    (hermetic_home / "cx").mkdir()
    (hermetic_home / "cx" / "config.toml").write_text("")
    monkeypatch.setenv("CODEX_HOME", str(hermetic_home / "cx"))
    assert probe("codex").auth is Auth.UNKNOWN


def test_without_credentials_an_engine_is_here_and_not_offered(install: Install) -> None:
    install("codex", "echo 1.2.3; [ $1 = --version ]")
    install("copilot", "echo 1.0.102")
    assert {name: look.auth for name, (_, look) in look_at_engines(CONFIG).items()}["codex"] is Auth.NO
    assert "codex" not in probe_engines(CONFIG)
    assert "copilot" in probe_engines(CONFIG)
    offers = probe_offers(CONFIG)
    assert "engine:copilot" in offers
    assert "engine:codex" not in offers
    assert not any(offer.startswith("codex=") for offer in offers)


def test_engines_that_are_logged_in_come_before_those_that_may_be(install: Install) -> None:
    install("claude", "echo 2.1.0")
    install("copilot", "echo 1.0.102")
    install("codex", "echo 0.1.0")
    assert [name for name in probe_engines(CONFIG) if name != "shell"] == ["claude", "codex", "copilot"]
    install("claude", """echo 2.1.0; [ "$1" = --version ]""")
    looking.forget()
    assert [name for name in probe_engines(CONFIG) if name != "shell"] == ["codex", "claude", "copilot"]


def test_a_job_can_ask_for_a_version_of_an_engine(install: Install) -> None:
    install("cursor-agent", "echo 2026.09.02-c22c1a3")
    install("claude", "echo 2.1.197")
    offers = probe_offers(CONFIG)
    for clause in ("engine:claude", "claude>=2.1", "claude==2.1.197", "cursor-agent>=2026.9", "has:claude"):
        assert satisfied(parse_requirement(clause), offers), clause
    assert not satisfied(parse_requirement("claude>=3"), offers)


def test_no_credentials_value_is_ever_in_what_is_found(
    install: Install, monkeypatch: pytest.MonkeyPatch, hermetic_home: Path
) -> None:
    canary = "can" + "ary-value"
    for name in KEYS - {"CLAUDE_CONFIG_DIR"}:
        monkeypatch.setenv(name, canary)
    for engine, (script, _) in VERSIONS.items():
        install(engine, script)
    assert canary not in repr(look_at_engines(CONFIG).values())
    assert canary not in repr(probe_offers(CONFIG))


def test_a_program_is_asked_once_as_long_as_it_is_the_same(install: Install, tmp_path: Path) -> None:
    log = tmp_path / "log"
    path = install("codex", f"echo asked >> {log}; echo 1.2.3")
    assert [probe("codex").version for _ in range(3)] == ["1.2.3"] * 3
    assert log.read_text().count("asked") == 2  # once for its version, once for its login
    install("codex", f"echo asked >> {log}; echo 1.2.4")
    os.utime(path, (1, 1))
    assert probe("codex").version == "1.2.4"
    assert log.read_text().count("asked") == 4


def test_a_program_that_hangs_is_given_up_with_all_its_children(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(looking, "PROBE_SECONDS", 1.0)
    path = install("amp", f"sleep 600 & echo $! > {tmp_path / 'pid'}; sleep 600")
    assert probe("amp") == Probe(str(path), "", Auth.NO)
    child = int((tmp_path / "pid").read_text())
    wait_until(lambda: is_dead(child), 5, "the child to end")


def is_dead(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


ODD = {
    "no version": "echo hello",
    "an exit code": "echo 1.2.3; exit 3",
    "no text": "printf '\\377\\376\\000'",
    "endless output": "yes 1.2.3 | head -c 3000000",
    "an odd version": "echo '1.2.3;rm-rf/x y'",
}


@pytest.mark.parametrize("script", ODD.values(), ids=ODD)
def test_whatever_it_prints_its_version_fits_an_offer(script: str, install: Install) -> None:
    install("gemini", script)
    version = probe("gemini").version
    assert version in ("", "1.2.3")


def test_a_program_that_cannot_be_started_is_here_without_a_version(install: Install) -> None:
    path = install("gemini", "")
    path.write_text("#!/nowhere/at/all\n")
    assert probe("gemini") == Probe(str(path), "", Auth.NO)
