"""Every test gets a home of its own: no user's git config, state or credentials is seen or touched."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fleet import Fleet
from tests.support.tools import first_in_path, git_template, quick_tools

_GIT_CONFIG = """[user]
name = Alice
email = alice@example.invalid
[init]
defaultBranch = main
templateDir = {template}
[gc]
auto = 0
[receive]
autogc = false
[maintenance]
auto = false
[pack]
threads = 1
"""


def pytest_configure() -> None:
    # As the command itself has it: what tests make is dropped as it is, without a search for garbage.
    gc.set_threshold(50_000, 20, 20)
    # A script that puts the tests in its background has them ignore Ctrl-C, and so would all they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tools_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stands before the machine's own tools in PATH."""
    return quick_tools(tmp_path_factory.mktemp("tools"))


@pytest.fixture(scope="session")
def git_config(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A person's own."""
    return _GIT_CONFIG.format(template=git_template(tmp_path_factory.mktemp("template")))


@pytest.fixture(autouse=True)
def hermetic_home(
    tmp_path: Path, tools_of_tests: Path, git_config: str, monkeypatch: pytest.MonkeyPatch
) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(git_config)
    (home / "host.yaml").touch()
    for name in list(os.environ):
        if name.startswith(("GIT_", "AQ_", "XDG_")):
            monkeypatch.delenv(name)
    settings = {
        "HOME": home,
        "PATH": first_in_path(tools_of_tests),
        "GIT_CONFIG_GLOBAL": home / ".gitconfig",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": tmp_path,
        "AQ_STATE_DIR": home / "state",
        "AQ_HOST_CONFIG": home / "host.yaml",
        "AQ_SANDBOX": "off",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    return home


@pytest.fixture
def fleet(tmp_path: Path, hermetic_home: Path) -> Iterator[Fleet]:
    """A bare hub with an empty queue, and machines that share only it."""
    made = Fleet(tmp_path / "fleet")
    yield made
    made.end()
