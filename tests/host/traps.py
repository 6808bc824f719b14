"""A workspace of a hostile agent, and a canary that any planted command would touch."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from aq.host.workspace import Captured, Wanted, Workspace, Workspaces
from tests.host.targets import Target
from tests.support.fleet import git

BRANCH = "aq/job/1"


class Trap:
    """A workspace of a hostile agent, and a canary that any planted command would touch."""

    def __init__(self, root: Path, target: Target) -> None:
        self.root, self.target = root, target
        self.canary = root / "canary"
        self.spy = root / "spy"
        self.spy.write_text(f'#!/bin/sh\necho "$0 $*" >> {self.canary}\nexec cat\n')
        self.spy.chmod(0o755)
        self.folder = root / "run"
        self.folder.mkdir()
        self.workspaces = Workspaces(root / "state")
        self.workspace = self.prepare()

    def prepare(self, **more: object) -> Workspace:
        wanted = Wanted(source=self.target.url, **more)  # type: ignore[arg-type]
        return self.workspaces.prepare(self.folder, wanted, BRANCH)

    @property
    def path(self) -> Path:
        return self.workspace.path

    def config(self, *names: str, value: str = "") -> None:
        for name in names:
            git(self.path, "config", name, value or str(self.spy))

    def hooks(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in HOOKS:
            (folder / name).write_text(f"#!/bin/sh\necho {name} >> {self.canary}\n")
            (folder / name).chmod(0o755)

    def write(self, name: str, text: str = "kept\n") -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def sh(self, script: str) -> None:
        """What an agent would do in its workspace, with its own git."""
        env = {**os.environ, "SPY": str(self.spy), "CANARY": str(self.canary)}
        subprocess.run(["sh", "-ec", script], cwd=self.path, env=env, check=True, capture_output=True)
        # Its own git may have run what it planted: that is its own business.
        self.canary.unlink(missing_ok=True)

    def take(self, *allowed: str) -> Captured:
        """Capture, check the scope, commit and push, as the runner does after the engine."""
        return self.workspace.capture(BRANCH, "abcdef", lambda commits: "work\n", allowed)

    def seen(self, captured: Captured) -> set[str]:
        return {path for change in captured.changes for path in (change.path, change.source) if path}

    def mode(self, name: str) -> str:
        return git(self.target.bare, "ls-tree", BRANCH, name).split(" ")[0]


HOOKS = (
    "pre-commit", "post-commit", "commit-msg", "prepare-commit-msg", "post-index-change", "post-checkout",
    "reference-transaction", "pre-push", "fsmonitor-watchman", "post-rewrite", "pre-auto-gc",
)  # fmt: skip
