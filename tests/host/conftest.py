"""A target repository with one commit, and what is done to it from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.fleet import git


@dataclass
class Target:
    """A bare repository, and a person's clone of it."""

    bare: Path
    seed: Path

    @property
    def url(self) -> str:
        return str(self.bare)

    def push(self, name: str, text: str, branch: str = "main") -> str:
        """A person's commit on a branch; its id."""
        (self.seed / name).write_text(text)
        git(self.seed, "add", ".")
        git(self.seed, "commit", "--quiet", "-m", f"{name} by a person")
        git(self.seed, "push", "--quiet", "origin", f"HEAD:{branch}")
        return git(self.seed, "rev-parse", "HEAD")

    def show(self, what: str) -> str:
        return git(self.bare, "show", what)

    def tip(self, branch: str = "main") -> str:
        return git(self.bare, "rev-parse", branch)

    def hook(self, name: str, script: str) -> None:
        path = self.bare / "hooks" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


@pytest.fixture
def target(tmp_path: Path, hermetic_home: Path) -> Target:
    bare, seed = tmp_path / "target.git", tmp_path / "seed"
    git(tmp_path, "init", "--quiet", "--bare", "-b", "main", str(bare))
    git(tmp_path, "clone", "--quiet", str(bare), str(seed))
    made = Target(bare, seed)
    made.push("README", "a target\n")
    return made
