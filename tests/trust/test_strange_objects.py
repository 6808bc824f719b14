"""Objects that no git would write, in which git sees something else than we might: what changed is judged by
git's eyes, so that nothing may be obeyed that those do not see."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from aq.core.errors import FrozenError
from aq.core.operations import PauseFleet
from aq.ledger.commits import parse_commit
from aq.ledger.trees import is_sound
from tests.support.fleet import Fleet, git, op
from tests.support.signing import PERSON, Ring
from tests.support.story import Story

OID, OTHER = b"\1" * 20, b"\2" * 20
AS_EVE = ("-c", "user.name=eve", "-c", "user.email=eve@example.invalid")
WHO = "author e <e@x> 1 +0000\ncommitter e <e@x> 1 +0000\n\nnothing to see\n"


def line(mode: bytes, name: bytes, oid: bytes = OID) -> bytes:
    return mode + b" " + name + b"\0" + oid


@pytest.mark.parametrize(
    ("raw", "sound"),
    [
        (b"", True),
        (line(b"100644", b"a") + line(b"40000", b"a-b") + line(b"100755", b"a.c"), True),
        (line(b"100644", b"a.b") + line(b"40000", b"a"), True),
        (line(b"40000", b"a") + line(b"100644", b"a.b"), False),
        (line(b"100644", b"a") + line(b"100644", b"a", OTHER), False),
        (line(b"100644", b"a") + line(b"100644", b"a.b") + line(b"40000", b"a"), False),
        (line(b"100664", b"a"), False),
        (line(b"040000", b"a"), False),
        (line(b"0100644", b"a"), False),
        (line(b"100644", b"a/b"), False),
        (line(b"100644", b"a") + b"rest", False),
    ],
)
def test_a_sound_tree_is_one_that_git_could_have_written(raw: bytes, sound: bool) -> None:
    assert is_sound(raw) is sound


def test_a_commit_has_the_tree_and_the_parents_that_git_sees() -> None:
    raw = f"tree aa\nparent bb\n{WHO}".replace("\n\n", "\ntree cc\nparent dd\n\n", 1).encode()
    assert (parse_commit(raw).tree, parse_commit(raw).parents) == ("aa", ("bb",))
    assert parse_commit(b"author x\n\nno tree").tree == ""


@pytest.fixture
def paused(fleet: Fleet) -> Story:
    """A queue that alice has stopped."""
    fleet.audited = False
    alice = Story(Ring(fleet, alice=PERSON).ledger("alice"), fleet.hub)
    alice.do(PauseFleet(**op("alice"), why="stop"))
    return alice


def _write(story: Story, kind: str, raw: bytes) -> str:
    return git(story.hub, "hash-object", "-t", kind, "-w", "--stdin", "--literally", data=raw)


def _raw(story: Story, name: str) -> bytes:
    return bytes.fromhex(git(story.hub, "rev-parse", name))


def _tree(story: Story, change: Callable[[bytes], bytes], name: str = "main:") -> bytes:
    """The id of a tree of the tip with its bytes changed."""
    raw = subprocess.run(
        ["git", "cat-file", "tree", name], cwd=story.hub, capture_output=True, check=True
    ).stdout
    return bytes.fromhex(_write(story, "tree", change(raw)))


def _resumed(story: Story) -> bytes:
    """A `queue` folder without the stop."""
    stop = line(b"100644", b"PAUSED", _raw(story, "main:queue/PAUSED"))
    return _tree(story, lambda raw: raw.replace(stop, b""), "main:queue")


def _two_queues(story: Story) -> bytes:
    entry = line(b"40000", b"queue", _raw(story, "main:queue"))
    return _tree(story, lambda raw: raw.replace(entry, entry + line(b"40000", b"queue", _resumed(story))))


def _padded_mode(story: Story) -> bytes:
    return _tree(story, lambda raw: raw.replace(b"40000 queue\0", b"040000 queue\0"))


@pytest.mark.attack("S3")
@pytest.mark.parametrize("forge", [_two_queues, _padded_mode])
def test_a_tree_that_hides_what_changed_freezes_a_signed_host(
    paused: Story, forge: Callable[[Story], bytes]
) -> None:
    commit = f"tree {forge(paused).hex()}\nparent {git(paused.hub, 'rev-parse', 'main')}\n{WHO}"
    git(paused.hub, "update-ref", "refs/heads/main", _write(paused, "commit", commit.encode()))
    with pytest.raises(FrozenError, match="a tree that git cannot have written"):
        paused.ledger.fetch()


@pytest.mark.attack("S3")
def test_a_second_tree_in_a_commit_is_not_read(paused: Story) -> None:
    tip, tree = git(paused.hub, "rev-parse", "main"), git(paused.hub, "rev-parse", "main^{tree}")
    entry = line(b"40000", b"queue", _raw(paused, "main:queue"))
    other = _tree(paused, lambda raw: raw.replace(entry, line(b"40000", b"queue", _resumed(paused))))
    commit = f"tree {tree}\nparent {tip}\n{WHO}".replace("\n\n", f"\ntree {other.hex()}\n\n", 1)
    git(paused.hub, "update-ref", "refs/heads/main", _write(paused, "commit", commit.encode()))
    # Every host fetches all beats, and whatever hangs on them.
    beat = git(paused.hub, *AS_EVE, "commit-tree", other.hex(), "-m", "{}")
    git(paused.hub, "update-ref", "refs/aq/hosts/eve", beat)
    paused.ledger.fetch()
    assert paused.ledger.objects.has(other.hex())
    assert paused.snapshot.pause
