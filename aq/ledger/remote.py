"""Talking to the hub: one fetch with explicit refspecs, one push with a verdict per ref. Nothing
here decides what to do after a loss."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from aq.core.errors import AqError, DiskFullError
from aq.core.event import one_line
from aq.core.ids import is_id
from aq.core.value import Value
from aq.ledger.gitproc import KILLED, Finished, last_words, run, unreachable
from aq.ledger.locks import sweep_locks
from aq.ledger.objects import MissingObjectError
from aq.ledger.space import says_full

# What git exits with when it could not even begin.
_FATAL = 128
# A hub's lock lives for milliseconds.
_HUB_LOCK = 5.0
_SCHEME = re.compile(r"^(https?|ssh|git|file)://", re.IGNORECASE)
_BATCHED = ["-c", "gc.auto=0", "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never"]


class BranchGoneError(AqError):
    """The remote answers, and the queue branch is not there."""


def check_url(url: str) -> str:
    """A remote's URL or path that git will not take for anything else. Raises AqError."""
    if not url or url.startswith("-") or "::" in url or any(ord(c) < 32 for c in url):
        raise AqError(f"{url!r} is not a remote", "give an https:// or ssh:// URL, user@host:path, or a path")
    return url


# What git says of a repository that lacks objects or holds broken ones.
_DAMAGE = (
    "bad object",
    "unable to read",
    "corrupt",
    "not a git repository",
    "did not send all necessary objects",
    "missing blob",
    "missing tree",
    "inflate",
    "invalid sha1",
    "loose object",
    "object file",
)


def damaged(done: Finished) -> bool:
    """Whether git complained about the store, not about the remote."""
    ours = [line for line in done.err.splitlines() if not line.startswith("remote:")]
    return bool(done.code) and any(words in line for line in ours for words in _DAMAGE)


class Verdict(StrEnum):
    """What a push did to one ref."""

    OK = "ok"
    UP_TO_DATE = "up to date"
    LOST = "lost the race"
    STALE = "someone else wrote it"
    TOGETHER = "went down with another ref"
    POLICY = "refused by the remote"
    BROKEN = "did not arrive whole"
    UNKNOWN = "unknown"


class Pushed(Value):
    """The verdict on one ref, with the remote's words."""

    verdict: Verdict
    words: str = ""


# Words of `git push --porcelain` under LC_ALL=C (git.md section 4).
_LOST = (
    "fetch first",
    "non-fast-forward",
    "cannot lock ref",
    "failed to update ref",
    "failed to lock",
    "reference already exists",
    "already exists",
    "incorrect old value",
)
# Of a ref in an atomic push that is not the cause, or of all refs when the hub does not tell the cause.
_TOGETHER = ("atomic push fail", "atomic transaction failed", "transaction aborted")
_NOT_ATOMIC = "does not support --atomic"


def classify(flag: str, summary: str) -> Pushed:
    """The verdict of one porcelain line."""
    if flag in (" ", "+", "*", "-"):
        return Pushed(Verdict.OK)
    if flag == "=":
        return Pushed(Verdict.UP_TO_DATE)
    if any(words in summary for words in _TOGETHER):
        return Pushed(Verdict.TOGETHER, summary)
    if "stale info" in summary:
        return Pushed(Verdict.STALE, summary)
    if any(words in summary for words in _LOST):
        return Pushed(Verdict.LOST, summary)
    if "unpacker error" in summary:
        return Pushed(Verdict.BROKEN, summary)
    if "[remote failure]" in summary:
        return Pushed(Verdict.UNKNOWN, summary)
    if "[remote rejected]" in summary:
        return Pushed(Verdict.POLICY, summary.removeprefix("[remote rejected] "))
    return Pushed(Verdict.LOST, summary)


def _remote_words(err: str) -> str:
    """What the remote's own hooks said, in one line."""
    lines = (line.removeprefix("remote:").strip() for line in err.splitlines() if line.startswith("remote:"))
    return one_line(" ".join(line for line in lines if line), 200)


class PushSpec(Value):
    """One ref to push. `expect` is the oid it must have now ("" for none); None asks for a plain
    fast-forward. The queue branch gets commits that descend from what it must have: it is never forced."""

    oid: str
    ref: str
    expect: str | None = None


class Remote(Value):
    """A hub as one store sees it. `role` keeps the fetched refs of different processes apart: git
    refuses two fetches into the same refs."""

    url: str
    branch: str
    git_dir: Path
    role: str
    beats: str = "refs/aq/hosts"
    timeout: float = 60.0

    @property
    def head(self) -> str:
        """The queue branch's full name."""
        return f"refs/heads/{self.branch}"

    @property
    def seen(self) -> str:
        """The folder of refs that this process fetches into."""
        return f"refs/aq/fetched/{self.role}"

    def fetch(self) -> tuple[str, dict[str, str]]:
        """The tip of the queue branch, and the beat of each host. Raises TryLaterError, DiskFullError,
        BranchGoneError, or MissingObjectError when the store is damaged."""
        specs = [f"+{self.head}:{self.seen}/main", f"+{self.beats}/*:{self.seen}/hosts/*"]
        done = self._git(
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--prune",
            "--no-recurse-submodules",
            "--",
            self.url,
            *specs,
        )
        if done.code:
            if "couldn't find remote ref" in done.err:
                raise BranchGoneError(
                    f"the remote {self.url} has no branch {self.branch}",
                    "was it deleted? `aq init --remote URL` makes a new queue",
                )
            if says_full(done.err):
                raise self._full(done)
            if damaged(done) or not self._readable():
                raise MissingObjectError(f"the store is damaged: {last_words(done)}")
            raise unreachable(self.url, done)
        return self.fetched()

    def fetched(self) -> tuple[str, dict[str, str]]:
        """What the last fetch brought, read from the ref files: this store never packs refs."""
        folder = self.git_dir / self.seen
        hosts = folder / "hosts"
        beats = (
            {
                path.name: path.read_text().strip()
                for path in hosts.iterdir()
                if path.is_file() and is_id(path.name)
            }
            if hosts.is_dir()
            else {}
        )
        return (folder / "main").read_text().strip(), beats

    def push(self, specs: list[PushSpec]) -> dict[str, Pushed]:
        """Push some refs, all or none where the hub can do that; the verdict of each by name. A killed or
        broken push is UNKNOWN for every ref without a line of its own (rule 4).

        All or none, because git packs what a ref would bring even when its lease says no and only another
        ref goes on: with a new tip on the hub that is not here, that is the whole history, each time."""
        done = self._pushed(specs, ["--atomic"] if len(specs) > 1 else [])
        if len(specs) > 1 and _NOT_ATOMIC in done.err:
            # The last ones first: peers that see a claim see the beat that covers it.
            return {ref: each for spec in reversed(specs) for ref, each in self.push([spec]).items()}
        return self._verdicts(specs, done)

    def remove(self, refs: Mapping[str, str]) -> list[str]:
        """Remove each of these refs that is still at its commit; those that went. Raises TryLaterError when
        the hub did not do what it was asked, but for refs that moved."""
        specs = [PushSpec("", ref, expect=oid) for ref, oid in refs.items()]
        done = self._pushed(specs, [])
        verdicts = self._verdicts(specs, done)
        if any(each.verdict not in (Verdict.OK, Verdict.STALE, Verdict.LOST) for each in verdicts.values()):
            raise unreachable(self.url, done)
        return [ref for ref, each in verdicts.items() if each.verdict is Verdict.OK]

    def _pushed(self, specs: list[PushSpec], how: list[str]) -> Finished:
        leases = [f"--force-with-lease={spec.ref}:{spec.expect}" for spec in specs if spec.expect is not None]
        refs = [f"{spec.oid}:{spec.ref}" for spec in specs]
        return self._git(
            "push",
            "--porcelain",
            "--no-verify",
            "--no-follow-tags",
            "--recurse-submodules=no",
            *how,
            *leases,
            "--",
            self.url,
            *refs,
        )

    def _verdicts(self, specs: list[PushSpec], done: Finished) -> dict[str, Pushed]:
        broken = damaged(done) or (done.code == _FATAL and not self._readable())
        lost = Verdict.BROKEN if broken else Verdict.UNKNOWN
        verdicts = {spec.ref: Pushed(lost, last_words(done)) for spec in specs}
        for line in done.out.decode("utf-8", "replace").splitlines():
            parts = line.split("\t")
            if len(parts) >= 3 and len(parts[0]) == 1 and ":" in parts[1] and done.code != KILLED:
                verdicts[parts[1].split(":", 1)[1]] = classify(parts[0], parts[2])
        if says_full(done.err) and all(each.verdict is not Verdict.OK for each in verdicts.values()):
            raise self._full(done)
        lost_races = (Verdict.LOST, Verdict.TOGETHER)
        if any(each.verdict in lost_races for each in verdicts.values()) and is_local(self.url):
            # A push that was killed on this machine may have left the hub's lock: nobody else would go there.
            sweep_locks(Path(self.url.removeprefix("file://")), age=_HUB_LOCK)
        said = _remote_words(done.err)
        return {
            ref: Pushed(Verdict.POLICY, f"{p.words}: {said}") if said and p.verdict is Verdict.POLICY else p
            for ref, p in verdicts.items()
        }

    def _readable(self) -> bool:
        """Whether git can list the store's refs: a damaged config or ref file has many words."""
        return self._git("for-each-ref", "--count=1").code in (0, KILLED)

    def _full(self, done: Finished) -> DiskFullError:
        here = says_full(done.err) == "here"
        return DiskFullError(str(self.git_dir) if here else f"the remote {self.url}")

    def _git(self, *args: str) -> Finished:
        return run(["--git-dir", str(self.git_dir), *_BATCHED, *args], timeout=self.timeout)


def looks_like_forge(url: str) -> bool:
    """Whether the URL names a hosted service, whose push budgets ask for a slower cadence."""
    host = re.sub(r"^[a-z]+://", "", url.lower()).split("/")[0].split("@")[-1]
    return any(name in host for name in ("github.", "gitlab.com", "bitbucket.", "codeberg.", "dev.azure."))


def is_local(url: str) -> bool:
    """Whether the URL is a path on this machine."""
    return url.startswith("file://") or not (_SCHEME.match(url) or re.match(r"^[^/\\]{2,}:", url))
