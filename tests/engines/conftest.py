"""Fixtures of the engines' tests: the stub model, and a host that drives a real CLI against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engines.clis import CLIS
from tests.engines.local_bench import Bench, Serve
from tests.engines.rig import Rig, prepare
from tests.engines.scripted import scripted
from tests.engines.stub import Stub, stub_server


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A model on loopback, healthy until it is told to fail."""
    with stub_server() as made:
        yield made


@pytest.fixture
def rig(
    stub: Stub,
    tmp_path: Path,
    hermetic_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Callable[[str], Rig]]:
    """A host for the engine that is named; the test is skipped where that is not installed."""
    made: list[Rig] = []

    def make(engine: str) -> Rig:
        cli = CLIS[engine]
        if cli.missing:
            pytest.skip(cli.missing)
        made.append(prepare(cli, stub, tmp_path, hermetic_home, monkeypatch))
        return made[-1]

    yield make
    for it in made:
        request.node.user_properties.append(("measured", it.measured))
        it.fleet.end()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "work").mkdir()
    return Bench(tmp_path / "work")


@pytest.fixture
def model() -> Iterator[Serve]:
    """Starts scripted servers that end with the test."""
    with ExitStack() as servers:
        yield lambda *answers, **more: servers.enter_context(scripted(*answers, **more))
