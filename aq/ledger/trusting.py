"""A host that trusts signed commits only: follows the queue's line, verifies each new commit once, and says
what is not to be obeyed. What it found is kept beside the store, for the next process."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from aq import __version__
from aq.core.change import Refusal
from aq.core.distrust import Distrust
from aq.core.errors import AqError, FrozenError, InvalidFileError
from aq.core.event import parse
from aq.core.files.signersfile import Pins, parse_signers
from aq.core.layout import SETTINGS, SIGNERS
from aq.core.sealed import summed, unsummed
from aq.core.signers import Role, Signers
from aq.core.sshsig import signed, unsigned
from aq.core.standing import Standing
from aq.core.trust import Deed, judge
from aq.core.values import plain, revive
from aq.ledger.changes import Looking, changed_by
from aq.ledger.commits import parse_commit
from aq.ledger.history import History
from aq.ledger.line import Line
from aq.ledger.manifests import ParseCache
from aq.ledger.objects import Objects
from aq.ledger.signing import good_keys, public_key, sign
from aq.ledger.store import write_atomic

_FORMAT = f"{__version__}-2"
_KEPT = 64
# Walking in process is cheaper than starting git up to about this many commits.
_WALK = 32
_BATCH = 200


def load_pins(path: Path) -> Pins:
    """The pinned signers. Raises AqError."""
    try:
        return parse_signers(path.read_bytes(), str(path))
    except FileNotFoundError:
        hint = "`aq trust init` makes the first key, or joins with another's"
        raise AqError(f"host.yaml says `trust: signed`, and there is no {path}", hint) from None


class Trust:
    """The trust of one process in one queue. `key` signs what it writes: it may be absent where nothing is
    written."""

    def __init__(self, pins: Pins, key: Path, kept: Path) -> None:
        self.pins, self.key, self.kept = pins, key, kept
        self.public = public_key(key) if key.exists() else ""
        self._digest = hashlib.sha256(pins.text().encode()).hexdigest()
        self._standings: OrderedDict[str, Standing] = OrderedDict()
        self._own: OrderedDict[bytes, None] = OrderedDict()
        self._beats: dict[str, bool] = {}
        self._written: tuple[str, int] = ("", 0)

    def attach(self, objects: Objects, git_dir: Path, oid_size: int, cache: ParseCache) -> None:
        """Work on this store; called again when it was made anew."""
        self.objects, self.git_dir, self.oid_size = objects, git_dir, oid_size
        self.history = History(objects, git_dir, oid_size)
        self.looking = Looking(objects, cache, oid_size)
        self._standings.clear()
        self._load()

    # --- signing ----------------------------------------------------------------------------------

    def sign(self, payload: bytes) -> bytes:
        """The commit with this process's signature."""
        if not self.public:
            raise AqError(f"there is no key {self.key} to sign with", "`aq trust init` makes one")
        header = "gpgsig" if self.oid_size == 20 else "gpgsig-sha256"
        raw = signed(payload, sign(self.key, payload), header)
        self._own[raw] = None
        if len(self._own) > _KEPT:
            self._own.popitem(last=False)
        return raw

    def refusal(self, oid: str) -> Refusal | None:
        """Why nobody would obey a commit that this process made: said before it is pushed."""
        flaw = self.at(oid).flawed.get(oid)
        if flaw is None:
            return None
        hint = f"an admin's `aq trust add NAME '{self.public}' --role …` lets this key do it"
        return Refusal(f"this commit {flaw.why}", hint)

    def name(self, tip: str) -> str:
        """The principal that this process signs as, or nothing for a key that is not known."""
        signers = self.at(tip).signers if tip else self.pins.signers
        return signers.who(self.public)

    def speaks_for(self, host: str, tip: str) -> bool:
        """Whether this process signs as a host."""
        signers = self.at(tip).signers
        return signers.who(self.public) == host and Role.HOST in signers.roles(host)

    # --- verifying --------------------------------------------------------------------------------

    def at(self, tip: str) -> Standing:
        """The standing at a commit of the line. Raises MissingObjectError."""
        standing = self._standings.get(tip)
        if standing is None:
            base, line = self._way(tip)
            standing = self._standings.get(base) or Standing(self.pins.signers)
            for start in range(0, len(line), _BATCH):
                standing = self._followed(standing, line[start : start + _BATCH])
        self._standings[tip] = standing
        self._standings.move_to_end(tip)
        while len(self._standings) > _KEPT:
            self._standings.popitem(last=False)
        return standing

    def _way(self, tip: str) -> tuple[str, list[tuple[str, str]]]:
        """The newest known commit of the line before `tip`, and the commits after it, oldest first."""
        known = {*self._standings, *self.pins.since}
        walked: list[tuple[str, str]] = []
        at = tip
        while at not in known and len(walked) < _WALK:
            parents = self.history.commit(at).parents
            if len(parents) != 1:
                break
            walked.append((at, parents[0]))
            at = parents[0]
        if at in known:
            return at, walked[::-1]
        whole = Line(self.objects, self.git_dir, tip)
        line = whole.ids()
        last = max((n for n, (oid, _) in enumerate(line) if oid in known), default=-1)
        wanted = line[last + 1 :]
        split = next((oid for oid, _ in wanted if oid in whole.split), "")
        if split:
            raise FrozenError(
                f"the merge {split[:12]} joins two histories of the queue: one of them would be undone",
                "find out who pushed it, and put the branch back to the commit before it",
            )
        return (line[last][0] if last >= 0 else ""), wanted

    def _followed(self, standing: Standing, line: Sequence[tuple[str, str]]) -> Standing:
        raws = self.objects.read_many([oid for oid, _ in line])
        # What this process signed a moment ago need not be verified.
        keys = iter(good_keys([unsigned(raw) for raw in raws if raw not in self._own]))
        changed = changed_by(self.git_dir, line)
        for (oid, before), raw in zip(line, raws, strict=True):
            key = self.public if raw in self._own else next(keys)
            if self.looking.unsound(oid, before):
                raise FrozenError(
                    f"the commit {oid[:12]} has a tree that git cannot have written",
                    "find out who pushed it, and put the branch back to the commit before it",
                )
            info = parse_commit(raw)
            event = parse(info.message) if len(info.parents) < 2 else None
            changes = changed.get(oid, ())
            settings = standing.distrust().instead.get(SETTINGS)
            touch = self.looking.touch(event, changes, before, settings)
            subject = info.message.splitlines()[0] if info.message else ""
            flaw = "has a signature that is not good" if unsigned(raw)[1] else "is not signed"
            standing = self._judged(standing, Deed(oid, subject, event, changes, key, flaw, touch))
        return standing

    def _judged(self, standing: Standing, deed: Deed) -> Standing:
        why, signers = judge(deed, standing.signers), None
        brought = next((each.new for each in deed.changes if each.path == SIGNERS), None)
        if not why and brought is not None:
            why, signers = self._signers(brought)
        return standing.after(deed, why, signers)

    def _signers(self, blob: str) -> tuple[str, Signers | None]:
        if not blob or " " in blob:
            return f"takes {SIGNERS} away", None
        try:
            return "", parse_signers(self.objects.read(blob), SIGNERS).signers
        except InvalidFileError as error:
            return f"brings signers that are not valid: {error}", None

    def seen(self, tip: str) -> tuple[Distrust, str]:
        """What is not to be obeyed at a commit, and the commit that the signers are from."""
        standing = self.at(tip)
        return standing.distrust(), standing.rotated

    def vouches(self, oid: str) -> bool:
        """Whether an admin, by the newest signers that are known, signed a commit wherever it is."""
        (key,) = good_keys([unsigned(self.objects.read(oid))])
        signers = next(reversed(self._standings.values())).signers if self._standings else self.pins.signers
        return Role.ADMIN in signers.roles(signers.who(key))

    def is_beat_of(self, host: str, oid: str, tip: str) -> bool:
        """Whether a beat is signed by the host that it speaks for. Each is looked at once."""
        if oid not in self._beats:
            (key,) = good_keys([unsigned(self.objects.read(oid))])
            signers = self.at(tip).signers if tip else self.pins.signers
            if len(self._beats) > 1000:
                self._beats.clear()
            self._beats[oid] = signers.who(key) == host and Role.HOST in signers.roles(host)
        return self._beats[oid]

    # --- what the next process needs --------------------------------------------------------------

    def save(self, tip: str) -> None:
        """Keep the standing at a tip that the remote has. Losing it costs a look at each commit again."""
        standing = self._standings.get(tip)
        written = (tip, len(self._beats))
        if standing is None or written == self._written:
            return
        facts = {"format": _FORMAT, "pins": self._digest, "tip": tip, "beats": self._beats}
        content = json.dumps({**facts, "standing": plain(standing)}, separators=(",", ":"))
        try:
            write_atomic(self.kept, summed(content).encode())
        except OSError:
            return
        self._written = written

    def _load(self) -> None:
        try:
            saved = json.loads(unsummed(self.kept.read_text("utf-8")))
            if (saved["format"], saved["pins"]) == (_FORMAT, self._digest):
                self._standings[str(saved["tip"])] = revive(Standing, saved["standing"])
                self._beats = {str(oid): bool(good) for oid, good in saved["beats"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, AqError):
            return
