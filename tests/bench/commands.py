"""What a person waits for: starting `aq`, `aq status`, `aq add`, beside a bare Python and a bare fetch."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from aq.ledger.paths import QueuePaths
from tests.bench.fixtures import make_clone, make_hub
from tests.bench.measure import Table, Target, figure, grouped, interleave, median, ratio

_SIZES = ((10, 0), (1_000, 0), (10_000, 10_000))
_QUICK_SIZES = ((10, 0), (1_000, 1_000))
_STATUS_LIMITS = {1_000: 250.0, 10_000: 500.0}
_ADD_LIMIT = 300.0
_numbers = itertools.count()


def _process(*args: str, cwd: Path | None = None) -> None:
    subprocess.run(args, cwd=cwd, check=True, capture_output=True, stdin=subprocess.DEVNULL)


def _aq(clone: Path, *args: str) -> Callable[[], None]:
    return lambda: _process(sys.executable, "-m", "aq", *args, cwd=clone)


def _add(clone: Path) -> None:
    _process(sys.executable, "-m", "aq", "add", "--engine", "shell", f"echo {next(_numbers)}", cwd=clone)


def _bare_fetch(clone: Path, hub: Path) -> None:
    """What `aq status` asks of git at the least: the same refs, with nothing around it."""
    store = QueuePaths(clone, clone / ".git").store
    specs = ["+refs/heads/main:refs/aq/fetched/bench/main", "+refs/aq/hosts/*:refs/aq/fetched/bench/hosts/*"]
    _process(
        "git",
        "--git-dir",
        str(store),
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        str(hub),
        *specs,
    )


def run(root: Path, *, quick: bool) -> list[Table]:
    """Three tables: start, status, add."""
    rounds = 5 if quick else 15
    sizes = _QUICK_SIZES if quick else _SIZES
    clones: dict[tuple[int, int], tuple[Path, Path]] = {}
    for waiting, shipped in sizes:
        hub = make_hub(root / f"{waiting}.git", waiting, shipped, history=True)
        clone = make_clone(hub, root / f"clone-{waiting}")
        _aq(clone, "status")()
        clones[waiting, shipped] = (clone, hub)
    return [_start(root, rounds), _status(clones, rounds), _adding(clones, rounds)]


def _start(root: Path, rounds: int) -> Table:
    cases = {
        "`python -c pass`": lambda: _process(sys.executable, "-c", "pass"),
        "`aq --version`": _aq(root, "--version"),
        "`aq --help`": _aq(root, "--help"),
    }
    taken = {name: median(times) for name, times in interleave(cases, 2 * rounds, 2).items()}
    base = taken["`python -c pass`"]
    rows = [[name, figure(value), ratio(value, base)] for name, value in taken.items()]
    target = Target("`aq --version` / `python -c pass`", taken["`aq --version`"] / base, 8, "x")
    return Table("Starting", ["command", "ms", "ratio"], rows, [target])


def _name(size: tuple[int, int]) -> str:
    waiting, shipped = map(grouped, size)
    return f"{waiting} waiting, {shipped} shipped"


def _status(clones: dict[tuple[int, int], tuple[Path, Path]], rounds: int) -> Table:
    cases: dict[str, Callable[[], None]] = {"python": lambda: _process(sys.executable, "-c", "pass")}
    for size, (clone, hub) in clones.items():
        cases[f"fetch {size}"] = lambda clone=clone, hub=hub: _bare_fetch(clone, hub)
        cases[f"status {size}"] = _aq(clone, "status")
    taken = {name: median(times) for name, times in interleave(cases, rounds, 2).items()}
    rows, targets = [], []
    for size in clones:
        fetch, status = taken[f"fetch {size}"], taken[f"status {size}"]
        rows.append(
            [
                _name(size),
                figure(fetch),
                figure(status),
                figure(status - fetch),
                ratio(status - fetch, taken["python"]),
            ]
        )
        if size[0] in _STATUS_LIMITS:
            targets.append(
                Target(f"{_name(size)}: on top of the fetch", status - fetch, _STATUS_LIMITS[size[0]], " ms")
            )
    notes = [f"warm caches; a bare `python -c pass` took {figure(taken['python'])} ms in the same rounds"]
    header = ["queue", "bare fetch ms", "`aq status` ms", "on top ms", "to `python -c pass`"]
    return Table("`aq status`", header, rows, targets, notes)


def _adding(clones: dict[tuple[int, int], tuple[Path, Path]], rounds: int) -> Table:
    cases: dict[str, Callable[[], None]] = {"python": lambda: _process(sys.executable, "-c", "pass")}
    cases |= {_name(size): lambda clone=clone: _add(clone) for size, (clone, _) in clones.items()}
    taken = {name: median(times) for name, times in interleave(cases, rounds, 2).items()}
    python = taken.pop("python")
    values = list(taken.values())
    rows = [
        [name, figure(value), ratio(value, values[0]), ratio(value, python)] for name, value in taken.items()
    ]
    targets = [
        Target("`aq add`, slowest size", max(values), _ADD_LIMIT, " ms"),
        Target("`aq add`, slowest / smallest size", max(values) / values[0], 2.0, "x"),
    ]
    notes = ["against a local hub; the push, and the view brought up to date, included"]
    return Table("`aq add`", ["queue", "ms", "ratio", "to `python -c pass`"], rows, targets, notes)
