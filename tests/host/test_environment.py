"""What a child sees of this machine: what is allowed or asked for by name, and never what confuses it."""

from __future__ import annotations

import pytest

from aq.host.environment import DROPPED, child_environment

HOST = {
    "PATH": "/bin",
    "LC_TIME": "C",
    "HOME": "/home/a",
    "TERM": "xterm-256color",
    "CI": "",
    "SECRET_KEY": "x",
    "ENGINE_KEY": "y",
    "ENGINE_BASE_URL": "http://elsewhere",
    "CODEX_SANDBOX_NETWORK_DISABLED": "1",
    **dict.fromkeys(DROPPED, "1"),
}
FIXED = {"TERM": "dumb", "NO_COLOR": "1", "CI": "true", "GIT_TERMINAL_PROMPT": "0"}


@pytest.mark.attack("S18")
def test_a_child_sees_what_is_allowed_and_what_is_asked_for() -> None:
    seen = child_environment(HOST, ("ENGINE_KEY", "NOT_HERE"), {"AQ_JOB": "a"})
    basic = {"PATH": "/bin", "HOME": "/home/a", "LC_TIME": "C"}
    assert seen == {**basic, **FIXED, "ENGINE_KEY": "y", "AQ_JOB": "a"}


@pytest.mark.attack("S16")
@pytest.mark.parametrize("name", [*sorted(DROPPED), "CODEX_SANDBOX_NETWORK_DISABLED"])
def test_what_changes_an_engines_ways_is_dropped_even_when_it_is_asked_for(name: str) -> None:
    assert name not in child_environment(HOST, (name,), {})


def test_the_runs_own_variables_win() -> None:
    assert child_environment(HOST, (), {"PATH": "/own", "CI": "no"})["PATH"] == "/own"
