"""A target repository with one commit, for every test here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.host.targets import Target, make_target


@pytest.fixture
def target(tmp_path: Path, hermetic_home: Path) -> Target:
    return make_target(tmp_path)
