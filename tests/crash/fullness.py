"""Full disks: an operation on a small file system with room for so many pages more, from none to enough. It
says so by name, loses nothing, and works when there is room again."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from aq.core.errors import EXIT_NEGATIVE, EXIT_OK, EXIT_TRY_LATER
from tests.crash.cases import CASES
from tests.crash.points import chosen_cases
from tests.crash.world import Template, World, apart, quietly, tell

_SIZE = 64 * 1024 * 1024
_PAGE = 4096
_LOOP = "a whole run"
# What a host does step by step asserts that it gets through: only its restart is judged.
_ASSERTING = ("claim", "land", "verified", "fail", "reclaim", "beat", "view")


def why_not() -> str:
    """Why this machine cannot do it, or nothing."""
    if os.name != "posix" or os.geteuid() != 0:
        return "needs root, to mount a small tmpfs"
    try:
        done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    except OSError as error:
        return str(error)
    return "" if done.returncode == 0 else "may not mount here"


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@dataclass
class Fill:
    """Fills a disk but for some pages, and makes room again."""

    folder: Path

    @property
    def ballast(self) -> Path:
        return self.folder / "ballast"

    def leave(self, pages: int) -> None:
        info = os.statvfs(self.folder)
        left = info.f_bavail * info.f_frsize - pages * _PAGE
        with self.ballast.open("wb") as file, suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, max(1, left))

    def free(self) -> None:
        self.ballast.unlink(missing_ok=True)


@dataclass
class Fullness:
    """What the full disks showed."""

    points: int = 0
    trouble: list[str] = field(default_factory=list)


class Filling:
    """One operation on a disk that gets full."""

    def __init__(self, name: str, disk: Path) -> None:
        self.name, self.case, self.fill = name, CASES[name], Fill(disk)
        self.log = disk.parent / "log"
        self.template = Template(disk / "points", self.case.prepare)
        self.need = self._need()

    def _need(self) -> int:
        """How many pages it takes."""
        world = self.template.restore()
        before = os.statvfs(world.root).f_bavail
        assert apart(lambda: self.case.act(world), self.log) in (EXIT_OK, EXIT_NEGATIVE), self.said
        return max(2, before - os.statvfs(world.root).f_bavail)

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")[-1200:] if self.log.exists() else ""

    def check(self, pages: int) -> str:
        """What went wrong with so many pages left, or nothing."""
        world = self.template.restore()
        self.log.unlink(missing_ok=True)
        self.fill.leave(pages)
        try:
            code = (
                self._looped(world) if self.name == _LOOP else apart(lambda: self.case.act(world), self.log)
            )
        finally:
            self.fill.free()
        said = self.said
        if self.name not in _ASSERTING and (
            code not in (EXIT_OK, EXIT_NEGATIVE, EXIT_TRY_LATER) or "Traceback" in said or "bug in aq" in said
        ):
            return f"{self.name} with {pages} pages left exits {code}: {said}"
        return self._after(world, pages)

    def _looped(self, world: World) -> int:
        """The loop waits for room, which comes after a while."""
        pid = os.fork()
        if not pid:
            os._exit(quietly(lambda: self.case.act(world), self.log)())
        time.sleep(2)
        self.fill.free()
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _after(self, world: World, pages: int) -> str:
        self.log.unlink(missing_ok=True)
        if apart(lambda: self.case.again(world), self.log):
            return f"{self.name} with {pages} pages left, the next time: {self.said}"
        try:
            self.case.holds(world)
        except (AssertionError, KeyError) as error:
            return f"{self.name} with {pages} pages left, in the end: {error}"
        return ""


def check_fullness(root: Path, sample: int, seed: int, only: str = "", cases: int = 0) -> Fullness:
    """So many fillings of each operation, or all."""
    found, dice = Fullness(), random.Random(seed)
    root.mkdir(parents=True, exist_ok=True)
    for name in chosen_cases(dice, only, cases):
        with small_disk(root / name.replace(" ", "-").replace(",", "")) as disk:
            filling = Filling(name, disk)
            pages = range(filling.need + 2)
            for left in sorted(dice.sample(pages, min(sample, len(pages)))) if sample else pages:
                trouble = filling.check(left)
                found.points += 1
                if trouble:
                    found.trouble.append(trouble)
                    tell(f"TROUBLE {trouble}")
            tell(f"{name}: {len(pages)} pages")
    return found
