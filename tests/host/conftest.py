"""A target repository with one commit, for every test here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.host.targets import Target, make_target
from tests.host.traps import Trap


@pytest.fixture
def target(tmp_path: Path, hermetic_home: Path) -> Target:
    return make_target(tmp_path)


@pytest.fixture
def trap(tmp_path: Path, target: Target) -> Trap:
    (target.seed / "src").mkdir()
    (target.seed / "src" / "a.py").write_text("a = 1\n")
    target.push(".gitignore", "*.o\nbuild/\n")
    return Trap(tmp_path, target)
