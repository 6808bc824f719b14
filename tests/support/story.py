"""Brings jobs into any stage through real operations on a real hub, each pushed before the next."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from aq.core.change import Refusal
from aq.core.event import Event, parse
from aq.core.files.jobfile import parse_job
from aq.core.fleet import Lapse
from aq.core.job import Job
from aq.core.lease import Fence
from aq.core.lifecycle import Stage
from aq.core.operations import (
    Add,
    Claim,
    Fail,
    Land,
    Operation,
    Reclaim,
    Reject,
    Release,
    Requeue,
    Revise,
    Ship,
    Unverified,
    Verified,
)
from aq.core.results import Landed, Refused
from aq.core.snapshot import Snapshot
from aq.ledger.ledger import Ledger
from tests.support.fleet import HELLO, claim_of, git, op, perform

TIP = "ab" * 20
# What a person might write to take a job for a host.
FORGED_LEASE = (
    "{job: x, host: eve, boot: b, nonce: n, epoch: 1, attempt: 1, engine: shell, ttl: 3,\n"
    " acquired_at: '2026-01-01T00:00:00Z'}\n"
)


class Story:
    """One ledger and the hub behind it."""

    def __init__(self, ledger: Ledger, hub: Path, host: str = "ada") -> None:
        self.ledger, self.hub, self.host = ledger, hub, host

    @property
    def snapshot(self) -> Snapshot:
        return self.ledger.snapshot()

    def job(self, name: str) -> Job:
        found = self.snapshot.find(name)
        assert found, f"no job {name}"
        return found

    def fence(self, name: str) -> Fence:
        lease = self.job(name).lease
        assert lease, f"{name} has no lease"
        return lease.fence

    def do(self, operation: Operation) -> Landed:
        """The operation, which must land."""
        result = perform(self.ledger, operation)
        assert isinstance(result, Landed), result
        return result

    def refusal(self, operation: Operation) -> Refusal:
        """The operation, which must be refused."""
        result = perform(self.ledger, operation)
        assert isinstance(result, Refused), result
        return result.refusal

    def add_of(self, name: str, text: str = HELLO) -> Add:
        content = text.encode()
        return Add(**op(), job=name, blob=self.ledger.write_blob(content), manifest=parse_job(content)[0])

    def revise_of(self, name: str, text: str) -> Revise:
        content = text.encode()
        return Revise(**op(), job=name, blob=self.ledger.write_blob(content), manifest=parse_job(content)[0])

    def claim_of(self, name: str, host: str = "", **more: Any) -> Claim:
        return claim_of(name, host or self.host, nonce=secrets.token_hex(8), **more)

    def land_of(self, name: str, tip: str = "", **more: Any) -> Land:
        fence = self.fence(name)
        branch = f"aq/{name}/{fence.epoch}" if tip else ""
        fields = {"branch": branch, "tip": tip, "pushed": bool(tip), **more}
        return Land(**op(fence.host), fence=fence, **fields)

    def fail_of(self, name: str, failure: str = "agent", **more: Any) -> Fail:
        fence = self.fence(name)
        return Fail(**op(fence.host), fence=fence, failure=failure, reason="no luck", **more)

    def release_of(self, name: str, reason: str = "quota", **more: Any) -> Release:
        fence = self.fence(name)
        return Release(**op(fence.host), fence=fence, reason=reason, **more)

    def reclaim_of(self, name: str, by: str = "bob") -> Reclaim:
        fence = self.fence(name)
        return Reclaim(**op(by), job=name, lapse=Lapse(fence.key, fence.host, "absent", 9.0, 3.0, 0.5))

    def inbox(self, name: str, text: str = HELLO) -> Job:
        self.do(self.add_of(name, text))
        return self.job(name)

    def building(self, name: str, text: str = HELLO) -> Job:
        """In building; added first when it is new."""
        if not self.snapshot.known(name):
            self.inbox(name, text)
        self.do(self.claim_of(name))
        return self.job(name)

    def verifying(self, name: str, text: str = HELLO, tip: str = "") -> Job:
        """In review under the lease of its run."""
        self.building(name, text)
        self.do(self.land_of(name, tip))
        return self.job(name)

    def judged(self, name: str, text: str = HELLO) -> Job:
        """In review with the verdict `none`: waits for a person."""
        self.verifying(name, text)
        self.do(Unverified(**op(self.host), fence=self.fence(name)))
        return self.job(name)

    def to_be_verified(self, name: str, text: str = HELLO) -> Job:
        """In review with a landed branch, and neither lease nor verdict."""
        self.verifying(name, text, TIP)
        self.do(self.reclaim_of(name))
        return self.job(name)

    def testing(self, name: str, text: str = HELLO, tip: str = "") -> Job:
        self.verifying(name, text, tip)
        self.do(Verified(**op(self.host), fence=self.fence(name)))
        return self.job(name)

    def shipped(self, name: str, text: str = HELLO, tip: str = "") -> Job:
        self.testing(name, text, tip)
        self.do(Ship(**op(), job=name))
        return self.job(name)

    def failed(self, name: str, text: str = HELLO) -> Job:
        self.testing(name, text)
        self.do(Reject(**op(), job=name, message="no"))
        return self.job(name)

    def dead(self, name: str) -> Job:
        self.building(name, "---\nengine: shell\nretry: {max: 0}\n---\nfalse\n")
        self.do(self.fail_of(name))
        return self.job(name)

    def requeue(self, name: str) -> Job:
        self.do(Requeue(**op(), job=name))
        return self.job(name)

    def in_stage(self, stage: Stage, name: str) -> Job:
        """The job in a stage, without a lease where the stage allows that."""
        make = {
            Stage.INBOX: self.inbox,
            Stage.BUILDING: self.building,
            Stage.REVIEW: self.judged,
            Stage.TESTING: self.testing,
            Stage.SHIPPED: self.shipped,
            Stage.FAILED: self.failed,
            Stage.DEAD_LETTER: self.dead,
        }
        return make[stage](name)

    def tree(self, commit: str = "main") -> dict[str, str]:
        """Path to blob of everything below `queue/` on the hub."""
        lines = git(self.hub, "ls-tree", "-r", commit, "--", "queue").splitlines()
        return {path: meta.split()[2] for meta, path in (line.split("\t") for line in lines)}

    def files_of(self, name: str, commit: str = "main") -> set[str]:
        """The paths of one job on the hub, relative to `queue/`."""
        kept = (path.removeprefix("queue/") for path in self.tree(commit))
        return {path for path in kept if path.rsplit("/", 1)[-1].split(".")[0] == name}

    def event(self, commit: str = "main") -> Event:
        """What the hub's commit says."""
        event = parse(git(self.hub, "log", "-1", "--format=%B", commit))
        assert event, f"{commit} is no commit of aq"
        return event

    def fsck(self) -> None:
        """The hub's objects are all there and well formed."""
        assert git(self.hub, "fsck", "--strict", "--no-dangling", "--no-progress") == ""


def story(fleet: Any, machine: str = "you", host: str = "ada") -> Story:
    """A story told from one machine of a fleet."""
    return Story(fleet.machine(machine).ledger(), fleet.hub, host)


def by_hand(clone: Path, *commands: tuple[str, ...], message: str = "by hand") -> str:
    """What a person does with plain git: pull, some commands, commit, push. Returns the commit."""
    git(clone, "pull", "--quiet", "--no-rebase")
    for command in commands:
        git(clone, *command)
    git(clone, "commit", "--quiet", "--allow-empty", "-m", message)
    git(clone, "push", "--quiet", "origin", "HEAD:main")
    return git(clone, "rev-parse", "HEAD")


def hand_write(clone: Path, path: str, text: str, message: str = "by hand") -> str:
    """A file written, committed and pushed by a person."""
    git(clone, "pull", "--quiet", "--no-rebase")
    (clone / path).parent.mkdir(parents=True, exist_ok=True)
    (clone / path).write_text(text)
    git(clone, "add", "--", path)
    return by_hand(clone, message=message)


def plant(clone: Path, *entries: str, message: str = "planted") -> str:
    """Index entries `mode blob path` committed and pushed without a work tree's say."""
    git(clone, "pull", "--quiet", "--no-rebase")
    for entry in entries:
        mode, blob, path = entry.split(" ", 2)
        git(clone, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")
    git(clone, "commit", "--quiet", "-m", message)
    git(clone, "push", "--quiet", "origin", "HEAD:main")
    return git(clone, "rev-parse", "HEAD")
