"""A small queue on this machine whose state before an operation is made once and put back for each fault:
always at the same path, so that what is written in its files stays true."""

from __future__ import annotations

import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aq
from aq.core.lifecycle import Stage
from aq.ui.cli import command_line
from tests.support.audit import Audit, audit
from tests.support.fleet import FAST, Fleet, Machine
from tests.support.story import Story

# Repositories without sample hooks: they are copied for every fault.
_GIT_CONFIG = """[user]
name = Alice
email = alice@example.invalid
[init]
defaultBranch = main
templateDir = {home}/template
[gc]
auto = 0
"""


def tell(text: str) -> None:
    """A line for who watches."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def preload() -> None:
    """Import everything once: each fault happens in a fork of this process."""
    for module in pkgutil.walk_packages(aq.__path__, "aq."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def hermetic(root: Path) -> None:
    """This process and its children see no user's git config, state or credentials from now on."""
    preload()
    home = root / "home"
    home.mkdir(parents=True, exist_ok=True)
    (home / "template").mkdir(exist_ok=True)
    (home / ".gitconfig").write_text(_GIT_CONFIG.format(home=home))
    (home / "host.yaml").write_text("min-disk: 0\nstop-grace: 1s\n")
    for name in list(os.environ):
        if name.startswith(("GIT_", "AQ_", "XDG_")):
            del os.environ[name]
    os.environ |= {
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(root),
        "AQ_STATE_DIR": str(home / "state"),
        "AQ_HOST_CONFIG": str(home / "host.yaml"),
        "AQ_SANDBOX": "off",
        "NO_COLOR": "1",
        "TERM": "dumb",
    }


@dataclass
class World:
    """The queue below `root`: a hub, and the clones `you` and `ada`."""

    root: Path

    @property
    def hub(self) -> Path:
        return self.root / "hub.git"

    def machine(self, name: str) -> Machine:
        return Machine(name, self.root / name, self.root / f"{name}.state")

    @property
    def you(self) -> Machine:
        return self.machine("you")

    def aq(self, *arguments: str, on: str = "you") -> int:
        """The command line in this very process, which is one that may die."""
        machine = self.machine(on)
        os.chdir(machine.path)
        os.environ["AQ_STATE_DIR"] = str(machine.state)
        return command_line(list(arguments))

    def audited(self) -> Audit:
        """The history of the hub, which must be sound and legal."""
        return audit(self.hub)

    def stages(self) -> dict[str, Stage]:
        return self.audited().stages()


class Template:
    """The state before one operation."""

    def __init__(self, root: Path, prepare: Callable[[Story], None]) -> None:
        self.world, self._kept = World(root / "world"), root / "kept"
        for path in (self.world.root, self._kept):
            shutil.rmtree(path, ignore_errors=True)
        fleet = Fleet(self.world.root, FAST)
        ada = fleet.machine("ada")
        prepare(Story(ada.ledger("run-ada"), fleet.hub, "ada"))
        fleet.audited = False
        fleet.end()
        self._copy(self.world.root, self._kept)

    def restore(self) -> World:
        """The world as it was."""
        shutil.rmtree(self.world.root)
        self._copy(self._kept, self.world.root)
        return self.world

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def apart(function: Callable[[], int], log: Path) -> int:
    """The exit code of a function in a process of its own; what it says goes to a file."""
    pid = os.fork()
    if not pid:
        os._exit(quietly(function, log)())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def quietly(function: Callable[[], int], log: Path) -> Callable[[], int]:
    """The function with its words, and those of a failure, in a file."""

    def call() -> int:
        number = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(number, 1)
        os.dup2(number, 2)
        try:
            return function()
        except BaseException:
            import traceback

            traceback.print_exc()
            return 99

    return call
