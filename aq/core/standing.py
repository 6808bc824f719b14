"""What a host trusts at one commit, carried from commit to commit: the signers, and what distrusted commits
left behind that nobody has put right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from aq.core.distrust import Distrust
from aq.core.layout import PAUSED, SIGNERS
from aq.core.signers import Signers
from aq.core.trust import JOB, Changed, Deed, thing_of
from aq.core.value import Value, field, replace

ACCEPTED = "Aq-Accepted"


class Doubt(Value):
    """A job or file that distrusted commits changed: which, what is wrong with the first, and each path as it
    was before them and as it is now."""

    commits: tuple[str, ...]
    why: str
    was: dict[str, str]
    now: dict[str, str]

    @property
    def text(self) -> str:
        """What to tell a person."""
        more = f" (and {len(self.commits) - 1} more)" if len(self.commits) > 1 else ""
        first = self.commits[0][:12]
        return f"commit {first} {self.why}{more}; an admin's `aq trust accept {first}` takes it as it is"


class Flawed(Value):
    """A distrusted commit, as a list shows it."""

    subject: str
    why: str


class Standing(Value):
    """`rotated` is the commit that the signers are from, empty while they are the pinned ones."""

    signers: Signers
    rotated: str = ""
    doubts: dict[str, Doubt] = field(default_factory=dict)
    flawed: dict[str, Flawed] = field(default_factory=dict)

    def after(self, deed: Deed, why: str, signers: Signers | None = None) -> Standing:
        """The standing once a commit is judged: `why` it is distrusted, or the signers that it brings."""
        flawed = {**self.flawed, deed.commit: Flawed(deed.subject, why)} if why else self.flawed
        doubts = self._doubts(deed, why)
        if not why and deed.event and deed.event.op == "accept":
            accepted = deed.event.get(ACCEPTED)
            doubts = _struck(doubts, accepted)
            flawed = {oid: each for oid, each in flawed.items() if oid != accepted}
        if signers is not None:
            return Standing(signers, deed.commit, doubts, flawed)
        return replace(self, doubts=doubts, flawed=flawed)

    def _doubts(self, deed: Deed, why: str) -> dict[str, Doubt]:
        if not why and not self.doubts:
            return self.doubts
        doubts = dict(self.doubts)
        for thing, changes in _by_thing(deed.changes).items():
            doubt = _changed(doubts.pop(thing, None), changes, deed.commit, why)
            # A whole file that a trusted key wrote is trusted; a job keeps what others wrote beside it.
            if doubt and doubt.was != doubt.now and (why or thing.startswith(JOB)):
                doubts[thing] = doubt
        return doubts

    def open_flaws(self) -> Mapping[str, Flawed]:
        """The distrusted commits that something in the queue still hangs on."""
        hanging = {oid for doubt in self.doubts.values() for oid in doubt.commits}
        return {oid: each for oid, each in self.flawed.items() if oid in hanging}

    def distrust(self) -> Distrust:
        """What is out of play and not obeyed."""
        jobs = {
            thing.removeprefix(JOB): each.text for thing, each in self.doubts.items() if thing.startswith(JOB)
        }
        files = {thing: each for thing, each in self.doubts.items() if not thing.startswith(JOB)}
        instead = {
            thing: each.was[thing]
            for thing, each in files.items()
            # A stop counts whoever asked for it; one that was lifted by nobody trusted goes on.
            if thing != SIGNERS and (thing != PAUSED or not each.now[thing])
        }
        return Distrust(jobs, {thing: each.text for thing, each in files.items()}, instead)


def _by_thing(changes: tuple[Changed, ...]) -> Mapping[str, list[Changed]]:
    found: dict[str, list[Changed]] = defaultdict(list)
    for each in changes:
        thing = thing_of(each.path)
        if thing:
            found[thing].append(each)
    return found


def _changed(old: Doubt | None, changes: list[Changed], commit: str, why: str) -> Doubt | None:
    """A doubt with one more commit's changes; none while nothing was distrusted yet."""
    if old is None and not why:
        return None
    was, now = {each.path: each.old for each in changes}, {each.path: each.new for each in changes}
    if old is None:
        return Doubt((commit,), why, was, now)
    commits = (*old.commits, commit) if why else old.commits
    return Doubt(commits, old.why, {**was, **old.was}, {**old.now, **now})


def _struck(doubts: Mapping[str, Doubt], commit: str) -> dict[str, Doubt]:
    """The doubts without those that hung on this commit alone. Signers are never taken after the fact."""
    left = {}
    for thing, doubt in doubts.items():
        commits = tuple(oid for oid in doubt.commits if oid != commit or thing == SIGNERS)
        if commits:
            left[thing] = replace(doubt, commits=commits)
    return left
