"""The queue as one host or command sees it: fetch, read, and perform operations as group commits
with compare-and-swap pushes (DESIGN section 5, rules 1 to 4)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from aq.core.change import Refusal
from aq.core.errors import FrozenError, TryLaterError
from aq.core.fleet import Beat
from aq.core.results import Result, Waiting
from aq.core.snapshot import Snapshot
from aq.core.value import replace
from aq.ledger.arrivals import Arrivals
from aq.ledger.commits import Committer, Identity, PlumbingCommitter
from aq.ledger.history import History
from aq.ledger.hosts import load_hosts, save_hosts
from aq.ledger.locks import sweep_locks
from aq.ledger.manifests import ParseCache
from aq.ledger.objects import MissingObjectError, Objects, PlumbingObjects
from aq.ledger.order import OrderIndex
from aq.ledger.pusher import SECONDS, Pusher
from aq.ledger.reader import Reader
from aq.ledger.remote import BranchGoneError, Remote
from aq.ledger.rewinds import Rewinds
from aq.ledger.settled import Settled
from aq.ledger.store import QueueConfig, Store, save_config

if TYPE_CHECKING:
    from aq.core.operations import Operation
    from aq.ledger.beatwriter import BeatWriter
    from aq.ledger.line import Line
    from aq.ledger.trusting import Trust


class Ledger:
    """One process's hold on the queue. Not thread-safe: one thread owns it. With `trust`, it signs what it
    writes and obeys signed commits only."""

    def __init__(
        self,
        store: Store,
        config: QueueConfig,
        who: Identity,
        role: str,
        *,
        timeout: float = 60.0,
        trust: Trust | None = None,
    ) -> None:
        self.store, self.config, self.who, self.role = store, config, who, role
        self.timeout, self.trust = timeout, trust
        self.tip = ""
        self.beats: dict[str, tuple[str, Beat]] = {}
        self.pusher = Pusher(self)
        self.rewound = ("", "")
        # Whether this process looks at the remote again and again; a short command has packed when it ends.
        self._looks_on = self._is_host
        # Called before the remote is asked, and after a fetch that was adopted.
        self.on_ask: Callable[[], None] = lambda: None
        self.on_fetch: Callable[[], None] = lambda: None
        self.vet: Callable[[Operation], Refusal | None] = lambda _: None
        self._open()

    def _open(self) -> None:
        self.store.ensure()
        git_dir = self.store.git_dir
        self.remote = Remote(
            self.config.url, self.config.branch, git_dir, self.role, self.config.beat_refs, self.timeout
        )
        self.oid_size = 32 if self.store.is_sha256 else 20
        kind = PlumbingObjects if self.oid_size == 32 else Objects
        self.objects = kind(git_dir)
        committer = PlumbingCommitter if self.oid_size == 32 else Committer
        self.committer = committer(self.objects, self.oid_size)
        self.history = History(self.objects, git_dir, self.oid_size)
        self.rewinds = Rewinds(self.objects, self.history, self.trust)
        self.arrivals = Arrivals(self.objects, git_dir, self.oid_size)
        self.cache = ParseCache(self.store.paths.home / "parsed.jsonl", self.objects.read)
        self.order = OrderIndex(git_dir / "aq-order.json")
        self.settled = Settled(git_dir / "aq-settled")
        times = self.arrivals.times
        self.reader = Reader(self.objects, self.cache, times, self.oid_size, self.order, self.settled)
        if self.trust:
            self.trust.attach(self.objects, git_dir, self.oid_size, self.cache)
            self.committer.sign = self.trust.sign
            self.reader.distrust = self.trust.seen
        tip = self.store.seen_tip()
        if tip and self.objects.has(tip):
            self.tip = tip

    def distrusted(self, commit: str) -> Refusal | None:
        """Why the hosts of this queue would not obey a commit that was just built."""
        return self.trust.refusal(commit) if self.trust else None

    def line(self) -> Line:
        """The commits of the queue up to the known tip."""
        from aq.ledger.line import Line  # an audit's, and no other command's

        return Line(self.objects, self.store.git_dir, self.tip)

    def close(self) -> None:
        """End child processes and forget the refs that only this process used."""
        self.cache.flush()
        with contextlib.suppress(MissingObjectError):
            self.arrivals.flush()
        self.order.flush()
        self.settled.flush()
        if self.beats:
            save_hosts(self.store.git_dir / "aq-hosts.json", self.beats)
        self.objects.close()
        if not self._is_host:
            import shutil

            shutil.rmtree(self.store.git_dir / self.remote.seen, ignore_errors=True)
        self.store.packing.look()

    @property
    def _is_host(self) -> bool:
        """Whether this is the ledger of `aq run`."""
        return self.role.startswith("run-")

    def known_hosts(self) -> dict[str, tuple[str, Beat]]:
        """The beats that were fetched, by this process or else by the last one that did."""
        return self.beats or load_hosts(self.store.git_dir / "aq-hosts.json")

    def recall_hosts(self) -> None:
        """Go by the beats that were fetched last, while the remote is away. To be shown, never to decide."""
        self.beats = self.known_hosts()

    def fetch(self) -> None:
        """Look at the remote. Raises TryLaterError, or FrozenError when history was rewound."""
        try:
            beats = self._look()
        except MissingObjectError:
            # The store is a cache: whatever is wrong with it, a new one is right.
            self._reopen()
            try:
                beats = self._look()
            except MissingObjectError as error:
                hint = "run `git fsck` on the remote: a new copy of it is damaged as well"
                raise TryLaterError(error.what, hint) from None
        self.beats = {host: (oid, beat) for host, oid in beats.items() if (beat := self._beat(host, oid))}
        if self.trust:
            self.trust.save(self.tip)
        if self._looks_on:
            self.store.packing.look()
        self._looks_on = True
        self.on_fetch()

    def _look(self) -> dict[str, str]:
        self.on_ask()
        seen = self._last_seen()
        tip, beats = self._fetch(seen)
        self._accept(tip, beats, seen)
        return self._look() if self._beats_moved() else beats

    def _last_seen(self) -> str:
        """The tip to compare with. Its note may be damaged: what names no commit here is no history, while
        the other note names one."""
        seen = self.store.seen_tip() or self.tip
        older = self.store.older_tip()
        lost = seen and older not in ("", seen) and not self.objects.has(seen)
        return older if lost and self.objects.has(older) else seen

    def _beats_moved(self) -> bool:
        """Whether the queue says that beats are elsewhere than this clone thought: one place for the
        whole fleet, or its hosts would not see each other."""
        queue = self.reader.snapshot(self.tip)
        if queue.settings_error or queue.settings.beats in ("", self.config.beats):
            return False
        self.config = replace(self.config, beats=queue.settings.beats)
        self.remote = replace(self.remote, beats=self.config.beat_refs)
        save_config(self.store.paths, self.config)
        return True

    def _fetch(self, seen: str) -> tuple[str, dict[str, str]]:
        try:
            return self.remote.fetch()
        except BranchGoneError as error:
            if not seen:
                raise
            raise FrozenError(
                f"the queue's history was rewound: {error.what}",
                f"put it back: git --git-dir {self.store.git_dir} "
                f"push {self.config.url} {seen}:{self.remote.head}",
            ) from None
        except TryLaterError as error:
            if "mismatched algorithms" in error.what:
                self._reopen("sha256")
                return self.remote.fetch()
            if "File exists" in error.what and sweep_locks(self.store.git_dir):
                return self.remote.fetch()
            raise
        except OSError as error:
            raise MissingObjectError(f"the store is damaged: {error}") from None

    def _reopen(self, object_format: str = "") -> None:
        self.objects.close()
        self.pusher.unsettled = None
        self.tip = ""
        self.store.discard()
        self.store.ensure(object_format)
        self._open()

    def _beat(self, host: str, oid: str) -> Beat | None:
        content = None
        if self.cache.missing([oid]):
            try:
                content = self.history.commit(oid).message.encode()
            except MissingObjectError:
                return None
        beat = self.cache.value(Beat, oid, content, f"beat of {host}")
        if not isinstance(beat, Beat) or beat.host != host:
            return None
        return beat if not self.trust or self.trust.is_beat_of(host, oid, self.tip) else None

    def _accept(self, new: str, beats: Mapping[str, str], seen: str) -> None:
        """Adopt a fetched tip if it descends from the last one seen before the fetch (rule 1)."""
        if not self.objects.has(new):
            raise MissingObjectError(f"the fetched tip {new} is not in the store")
        if not seen:
            beat = self.rewinds.missed(new, filter(None, (self._beat(*each) for each in beats.items())))
            if beat:
                what = f"host {beat.host} knows a history that this remote lacks ({beat.tip[:12]})"
                raise self._frozen(beat.tip, new, what)
        elif not self.rewinds.goes_on(new, seen):
            what = f"is no ancestor of {new[:12]}" if self.objects.has(seen) else "is gone"
            raise self._frozen(seen, new, f"the queue's history was rewound: {seen[:12]} {what}")
        self._adopt(new, seen)

    def _frozen(self, old: str, new: str, what: str) -> FrozenError:
        self.rewound = (old, new)
        return FrozenError(what, "find out who forced the branch, then `aq doctor --accept-rewind`")

    def _adopt(self, new: str, seen: str) -> None:
        latest = self.store.seen_tip()
        if latest not in ("", seen, new) and self.objects.has(latest) and self.history.descends(latest, new):
            # Another process of this clone pushed after our fetch began.
            new = latest
        self.tip = new
        if new != latest:
            with self.store.locked():
                self.store.save_tip(new)

    def forget_hosts(self, hosts: Iterable[str]) -> list[str]:
        """Remove the beats of these hosts from the hub; whoever beat meanwhile stays. The names of those that
        went. Raises TryLaterError."""
        refs = {f"{self.config.beat_refs}/{host}": self.beats[host][0] for host in hosts}
        return [ref.rpartition("/")[2] for ref in self.remote.remove(refs)] if refs else []

    def limit_time(self, seconds: float) -> None:
        """Let no network call last longer than this, within what the process asked for."""
        self.remote = replace(self.remote, timeout=max(1.0, min(self.timeout, seconds)))

    def snapshot(self) -> Snapshot:
        """The queue at the tip known now. Fetches when nothing was ever seen."""
        if not self.tip:
            self.fetch()
        try:
            return self.reader.snapshot(self.tip)
        except MissingObjectError:
            self._reopen()
            self.fetch()
            return self.reader.snapshot(self.tip)

    def as_written(self, commit: str) -> Snapshot:
        """The queue as a commit of the past wrote it, whomever this machine trusts now."""
        return Reader(self.objects, self.cache, self.arrivals.times, self.oid_size, self.order).snapshot(
            commit
        )

    def perform(
        self, operations: Sequence[Operation], beat: BeatWriter | None = None, seconds: float = SECONDS
    ) -> list[Result]:
        """Ask every operation on the newest tip and push what comes out, as often as it takes but not
        much longer than `seconds`. The results include those of an earlier call that were not
        settled. Raises FrozenError."""
        try:
            return self.pusher.perform(operations, beat, seconds)
        except MissingObjectError:
            self._reopen()
        why = "the store was damaged and was made anew"
        try:
            whole = [
                op for op in operations if self.objects.has(getattr(op, "blob", "") or self._fetched_tip())
            ]
            results = self.pusher.perform(whole, beat, seconds)
        except (MissingObjectError, TryLaterError) as error:
            whole, results, why = [], [], error.what
        return [*results, *(Waiting(operation, why) for operation in operations if operation not in whole)]

    def _fetched_tip(self) -> str:
        if not self.tip:
            self.fetch()
        return self.tip

    def advance(self, tip: str) -> None:
        """Our push landed: its last commit is the tip."""
        self.tip = tip
        with self.store.locked():
            self.store.save_tip(tip)
        if self.trust:
            self.trust.save(tip)

    def contains(self, commit: str) -> bool:
        """Whether a commit of ours is in the queue's history, by the newest fetch."""
        return self.history.descends(self.tip, commit)

    def read_commit_blob(self, blob: str) -> bytes:
        """A file's content by blob id."""
        return self.objects.read(blob)

    def write_blob(self, content: bytes) -> str:
        """Store a file's content and return its id."""
        return self.objects.write("blob", content)
