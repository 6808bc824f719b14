"""A target repository, and what is done to it from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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


def make_target(root: Path) -> Target:
    """A target repository with one commit."""
    bare, seed = root / "target.git", root / "seed"
    git(root, "init", "--quiet", "--bare", "-b", "main", str(bare))
    git(root, "clone", "--quiet", str(bare), str(seed))
    made = Target(bare, seed)
    made.push("README", "a target\n")
    return made
