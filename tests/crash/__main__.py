"""`python -m tests.crash WHAT`: the full forms of the faults, and the samples that the tests take."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.crash.damage import check_damage
from tests.crash.fullness import check_fullness
from tests.crash.points import GIT, SYSCALL, check_points
from tests.crash.replies import check_cuts
from tests.crash.soak import Plan, Soak
from tests.crash.world import hermetic, tell

_KINDS = {"all": (SYSCALL, GIT), "syscall": (SYSCALL,), "git": (GIT,)}


def _points(root: Path, chosen: argparse.Namespace) -> tuple[str, list[str]]:
    found = check_points(root, chosen.sample, chosen.seed, chosen.only, chosen.cases, _KINDS[chosen.kind])
    return f"{found.points} points", found.trouble


def _replies(root: Path, chosen: argparse.Namespace) -> tuple[str, list[str]]:
    found = check_cuts(root, chosen.count or 400, chosen.seed)
    return f"{found.cut} connections cut, {found.points} points", found.trouble


def _damage(root: Path, chosen: argparse.Namespace) -> tuple[str, list[str]]:
    found = check_damage(root, chosen.count or 500, chosen.seed)
    codes = ", ".join(f"exit {code}: {count}" for code, count in sorted(found.named.items()))
    return f"{codes}; {found.points} points", found.trouble


def _full(root: Path, chosen: argparse.Namespace) -> tuple[str, list[str]]:
    found = check_fullness(root, chosen.sample, chosen.seed, chosen.only, chosen.cases)
    return f"{found.points} points", found.trouble


def _soak(root: Path, chosen: argparse.Namespace) -> tuple[str, list[str]]:
    plan = Plan(chosen.minutes, chosen.jobs, chosen.kills, chosen.hosts, chosen.seed)
    found = Soak(root, plan).run()
    stages = ", ".join(f"{stage} {count}" for stage, count in sorted(found.stages.items()))
    blows = ", ".join(f"{name} {count}" for name, count in sorted(found.blows.items()))
    said = f"{stages}; {found.claims} claims; {blows}; {found.grown:.1f} MiB more in a host at most"
    return f"{said}; {found.jobs} jobs", found.trouble


_WHAT: dict[str, Callable[[Path, argparse.Namespace], tuple[str, list[str]]]] = {
    "points": _points,
    "replies": _replies,
    "damage": _damage,
    "full": _full,
    "soak": _soak,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.crash")
    parser.add_argument("what", choices=_WHAT)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="the cases with this in their name")
    parser.add_argument("--cases", type=int, default=0, help="so many of the cases; 0 for all")
    parser.add_argument("--sample", type=int, default=0, help="so many points of each case; 0 for all")
    parser.add_argument("--kind", choices=_KINDS, default="all", help="points: what is counted")
    parser.add_argument("--count", type=int, default=0, help="replies, damage: how many")
    parser.add_argument("--minutes", type=float, default=5, help="soak: how long")
    parser.add_argument("--jobs", type=int, default=400, help="soak: jobs at most")
    parser.add_argument("--kills", type=int, default=40, help="soak: blows to hosts")
    parser.add_argument("--hosts", type=int, default=4, help="soak: how many")
    parser.add_argument("--root", type=Path, default=None, help="where to work; a memory disk is fastest")
    return parser


def main() -> int:
    chosen = _parser().parse_args()
    root = chosen.root or Path(tempfile.mkdtemp(prefix="aq-crash-"))
    began = time.monotonic()
    hermetic(root)
    try:
        said, trouble = _WHAT[chosen.what](root / "work", chosen)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    tell("\n".join(trouble))
    tell(f"seed {chosen.seed}, {time.monotonic() - began:.0f} s: {said}, {len(trouble)} in trouble")
    return bool(trouble)


if __name__ == "__main__":
    sys.exit(main())
