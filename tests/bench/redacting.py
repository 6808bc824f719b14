"""How fast output becomes a log: through the redactor alone, and from a child's output to the disk; and
what a sandbox costs."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from aq.core.secrecy.redaction import Redactor
from aq.core.secrecy.secret_shapes import SHAPES
from aq.host.process import Child
from aq.host.sandbox import Room, sandbox
from tests.bench.measure import Table, Target, figure, interleave, median

_SIZE = 8_000_000
_CHUNK = 64 * 1024
_KNOWN = 30
_LIMIT = 4.0


def _kinds() -> dict[str, bytes]:
    """Output of several kinds, none with a secret in it."""
    package = Path(__file__).parents[2] / "aq"
    code = b"".join(path.read_bytes() for path in sorted(package.rglob("*.py")) if "shapes" not in path.name)
    lines = code.decode().splitlines()
    events = (
        json.dumps({"type": "assistant", "n": at, "text": "\n".join(lines[at : at + 12])})
        for at in range(0, len(lines), 6)
    )
    return {
        "source code": code,
        "an engine's events (JSON lines)": "\n".join(events).encode(),
        "coloured test output": b"\x1b[32mPASS\x1b[0m tests/test_x.py::test_one \x1b[1m12 ms\x1b[0m\r\n" * 20,
        "one endless line": code.replace(b"\n", b" "),
    }


def _filled(data: bytes, size: int) -> bytes:
    return (data * (size // len(data) + 1))[:size]


def _redact(data: bytes, known: tuple[str, ...]) -> None:
    redactor = Redactor(known)
    for at in range(0, len(data), _CHUNK):
        redactor.write(data[at : at + _CHUNK])
    redactor.close()


def _through_a_child(root: Path, data: bytes, known: tuple[str, ...]) -> float:
    """Seconds from the start of a child that prints this to the end of its log."""
    source = root / "output"
    source.write_bytes(data)
    started = time.perf_counter()
    child = Child(
        ("cat", str(source)),
        cwd=root,
        env={"PATH": os.environ["PATH"]},
        log=root / f"{secrets.token_hex(4)}.log",
        run_id=secrets.token_hex(6),
        known_secrets=known,
    )
    child.wait(600)
    return time.perf_counter() - started


def run(root: Path, *, quick: bool) -> Iterator[Table]:
    """The tables of this benchmark."""
    size = _SIZE // 4 if quick else _SIZE
    known = tuple(f"value-{secrets.token_hex(16)}" for _ in range(_KNOWN))
    rows, slowest = [], float("inf")
    for kind, sample in _kinds().items():
        data = _filled(sample, size)
        taken = interleave({"cpu": lambda data=data: _redact(data, known)}, 1 if quick else 3)  # type: ignore[misc]
        alone = size / 1000 / median(taken["cpu"])
        whole = size / 1e6 / _through_a_child(root, data, known)
        slowest = min(slowest, alone, whole)
        rows.append([kind, figure(alone), figure(whole)])
    yield Table(
        "Redaction",
        ["output", "redactor, MB/s", "child to disk, MB/s"],
        rows,
        [Target("the slowest", slowest, _LIMIT, " MB/s", at_least=True)],
        [f"{len(SHAPES)} shapes, {_KNOWN} known values in every form, {size / 1e6:g} MB in 64 KiB pieces."],
    )
    if sandbox():
        yield _walls(root, quick=quick)


def _walls(root: Path, *, quick: bool) -> Table:
    for name in ("work", "tmp"):
        (root / name).mkdir()
    room = Room(root / "work", root / "tmp", hide=(Path.home() / ".ssh", Path.home() / ".aws"))
    plain = ("/bin/sh", "-c", "exit 0")
    wrapped = sandbox().wrap(plain, room)
    taken = interleave(
        {
            "as it is": lambda: subprocess.run(plain, check=True),
            "confined": lambda: subprocess.run(wrapped, check=True),
        },
        5 if quick else 30,
    )
    rows = [[name, figure(median(values))] for name, values in taken.items()]
    return Table(f"Starting a process, with {sandbox().name}", ["process", "median, ms"], rows)
