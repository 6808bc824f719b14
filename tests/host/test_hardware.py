"""What a machine is made of: its own memory or its container's, and a graphics processor that is there."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from aq.host.hardware import graphics, memory_bytes

WHOLE = int(psutil.virtual_memory().total)


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        ("max\n", WHOLE),
        ("1073741824\n", 1073741824),
        (f"{WHOLE * 4}\n", WHOLE),
        ("odd", WHOLE),
        (None, WHOLE),
    ],
)
def test_a_containers_limit_counts_when_it_is_the_lower(
    tmp_path: Path, limit: str | None, found: int
) -> None:
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
    assert memory_bytes(tmp_path / "memory.max") == found


@pytest.mark.parametrize(
    ("devices", "tool", "found"),
    [
        pytest.param([], "", [], id="none"),
        pytest.param(["nvidia0"], "", ["nvidia"], id="a device"),
        pytest.param(["kfd", "dri"], "", ["amd"], id="another device"),
        pytest.param(["dri"], "", [], id="a screen"),
        pytest.param([], "echo 'GPU 0: H100'", ["nvidia"], id="a tool that finds one"),
        pytest.param([], "echo 'No devices were found'", [], id="a tool that finds none"),
        pytest.param([], "echo 'GPU lost'; exit 9", [], id="a tool that fails"),
    ],
)
@pytest.mark.skipif("sys.platform == 'darwin'", reason="a Mac's own is always there")
def test_a_graphics_processor_is_offered_when_there_is_one(
    tmp_path: Path, devices: list[str], tool: str, found: list[str]
) -> None:
    (tmp_path / "dev").mkdir()
    for name in devices:
        (tmp_path / "dev" / name).touch()
    if tool:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{tool}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    assert list(graphics({"PATH": f"{tmp_path}"}, tmp_path)) == found
