"""Damage on the disk: a file of aq's own folder in a clone is cut, zeroed, garbled or gone. The next command
recovers, or ends with an error that has a name; nothing damaged is ever pushed."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from aq.core.errors import EXIT_NEGATIVE, EXIT_OK, EXIT_TRY_LATER
from aq.core.lifecycle import Stage
from tests.crash.world import Template, World, apart, tell
from tests.support.fleet import git
from tests.support.remotes import away
from tests.support.story import Story

_NAMED = (EXIT_OK, EXIT_NEGATIVE, EXIT_TRY_LATER)
# Cheap to lose, dear to believe.
_KINDS = {
    "loose object": "store.git/objects/??/*",
    "pack": "store.git/objects/pack/*.pack",
    "pack index": "store.git/objects/pack/*.idx",
    "ref": "store.git/refs/**/*",
    "packed refs": "store.git/packed-refs",
    "HEAD": "store.git/HEAD",
    "store config": "store.git/config",
    "cache": "store.git/aq-*",
    "parses": "parsed.jsonl",
    "tip": "tip",
    "intake": "intake*.json",
    "spool": "spool/*.json",
    "queue.json": "queue.json",
}


def _prepare(tale: Story) -> None:
    """A store with packs, loose objects and packed refs; a file in the spool."""
    tale.testing("x")
    tale.inbox("y")
    you = World(tale.hub.parent).you
    you.aq("status")
    git(you.paths.store, "-c", "gc.auto=1", "gc", "--quiet")
    git(you.paths.store, "update-ref", "refs/aq/old", (you.paths.home / "tip").read_text().strip())
    git(you.paths.store, "pack-refs", "--all")
    tale.inbox("z")
    you.aq("status")
    you.drop("dropped")
    with away(tale.hub):
        you.aq("status", ok=False)


@dataclass
class Damaged:
    """What the damage showed."""

    points: int = 0
    named: Counter[str] = field(default_factory=Counter)
    trouble: list[str] = field(default_factory=list)


def _spoil(path: Path, dice: random.Random) -> str:
    """One kind of damage to a file, and its name."""
    content = bytearray(path.read_bytes())
    how = dice.choice(["cut", "emptied", "zeroed", "a bit flipped", "garbled", "gone"])
    at = dice.randrange(len(content) + 1)
    if how == "gone":
        path.unlink()
        return how
    if how == "cut":
        content = content[:at]
    elif how == "emptied":
        content = bytearray()
    elif how == "zeroed":
        content[at:] = bytes(len(content) - at)
    elif how == "a bit flipped" and content:
        content[at % len(content)] ^= 1 << dice.randrange(8)
    elif how == "garbled":
        end = min(len(content), at + 16)
        content[at:end] = dice.randbytes(end - at)
    path.chmod(0o644)
    path.write_bytes(content)
    return f"{how} at {at}"


class Damaging:
    """The clone `you`, spoiled in one place at a time."""

    def __init__(self, root: Path) -> None:
        self.root, self.log = root, root / "log"
        self.template = Template(root, _prepare)

    def check(self, kind: str, dice: random.Random, found: Damaged) -> str:
        """What went wrong after one damage, or nothing."""
        world = self.template.restore()
        files = sorted(path for path in world.you.paths.home.glob(_KINDS[kind]) if path.is_file())
        path = dice.choice(files)
        where = f"{path.relative_to(world.you.paths.home)} {_spoil(path, dice)}"
        self.log.unlink(missing_ok=True)
        codes = [apart(lambda words=words: world.aq(*words), self.log) for words in _COMMANDS]
        said = self.log.read_text(errors="replace")
        if "Traceback" in said or "bug in aq" in said:
            return f"{where}: {said[-1500:]}"
        if kind == "queue.json" and codes[0] == EXIT_NEGATIVE:
            assert "aq init" in said, said
            codes = self._init(world)
        found.named[str(codes[0])] += 1
        return self._judge(where, world, codes, spooled=kind == "spool")

    def _init(self, world: World) -> list[int]:
        repaired = apart(lambda: world.aq("init", "--remote", str(world.hub)), self.log)
        return [repaired, *(apart(lambda words=words: world.aq(*words), self.log) for words in _COMMANDS[1:])]

    def _judge(self, where: str, world: World, codes: list[int], *, spooled: bool) -> str:
        said = self.log.read_text(errors="replace")[-1500:]
        if codes[0] not in _NAMED or codes[-1] != EXIT_OK:
            return f"{where}: exits {codes}: {said}"
        try:
            stages = world.stages()
        except AssertionError as error:
            return f"{where}: the hub: {error}"
        wanted = {"x": Stage.SHIPPED, "y": Stage.INBOX, "z": Stage.INBOX}
        drops = [job for job in stages if job.startswith("dropped")]
        kept = list(world.you.paths.spool.glob("*.damaged"))
        if {job: stages.get(job) for job in wanted} != wanted:
            return f"{where}: {stages}: {said}"
        return (
            "" if len(drops) == 1 or (spooled and kept) else f"{where}: {drops} of the dropped file: {said}"
        )


_COMMANDS = (("status",), ("status",), ("ship", "x"), ("status",))


def check_damage(root: Path, count: int, seed: int) -> Damaged:
    """So many damages, all kinds of files in turn."""
    found, dice = Damaged(), random.Random(seed)
    damaging = Damaging(root)
    kinds = list(_KINDS)
    for number in range(count):
        trouble = damaging.check(kinds[number % len(kinds)], dice, found)
        found.points += 1
        if trouble:
            found.trouble.append(trouble)
            tell(f"TROUBLE {trouble}")
    return found
