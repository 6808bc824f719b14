"""Any sequence of operations on real git, asked by clones that are behind, comes to what core alone says."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aq.core.change import Change, Refusal
from aq.core.files.jobfile import parse_job
from aq.core.job import Job
from aq.core.operations import Add, Operation, Revise
from aq.core.results import Landed, Refused
from aq.core.snapshot import Snapshot
from aq.core.value import replace
from aq.ledger.ledger import Ledger
from tests.core.test_state_machine import LIMIT, Walk
from tests.support.builders import Queue
from tests.support.fleet import FAST, Fleet, git, perform

FULL = bool(os.environ.get("AQ_FULL"))
EXAMPLES, STEPS = (2000, 50) if FULL else (4, 40)
SETTINGS = f"{FAST}budgets: {{default-usd: 1, fleet: {{usd: {LIMIT:g}, per: day}}}}\n"
KEYS = {
    "a": "retry: {max: 0}",
    "b": "lock: db\nretry: {max: 2, infra: 1}\ndeliver: merge\nreview-policy: auto",
    "c": "deps: {testing: [a1]}\nretry: {max: 9}\nbudget: {usd: 3}",
    "d": "every: 1h",
}


@dataclass
class QueueOnGit(Queue):
    """A queue whose operations are pushed by one of two clones, and read back by the other."""

    fleet: Fleet | None = None
    random: Random = field(default_factory=Random)
    clones: list[Ledger] = field(default_factory=list)

    def limit(self, **_: Any) -> None:
        """The limits are in the queue's own settings."""

    def look(self, clone: Ledger) -> Snapshot:
        clone.fetch()
        return clone.snapshot()

    def ask(self, operation: Operation) -> Change | Refusal:
        asker, reader = self.random.sample(self.clones, 2)
        expected = operation.decide(self.now)
        result = perform(asker, operation)
        seen = self.look(reader)
        if isinstance(expected, Refusal):
            assert isinstance(result, Refused), result
            assert result.refusal == expected
            assert seen.tip == self.now.tip
            return expected
        assert isinstance(result, Landed), result
        assert seen.tip == result.commit
        assert _facts(seen) == _facts_after(self.now, expected)
        self.now = seen
        self.mishap()
        return expected

    def mishap(self) -> None:
        """What may happen between two operations: a process is new, or a person commits by hand."""
        assert self.fleet
        chance = self.random.random()
        if chance < 0.1:
            self.clones.pop(self.random.randrange(2)).close()
            self.clones.append(self.fleet.machine("you").ledger())
        elif chance < 0.2:
            path = self.fleet.you.path
            git(path, "pull", "--quiet", "--ff-only")
            (path / "notes.txt").write_text(secrets.token_hex(4))
            git(path, "add", "notes.txt")
            git(path, "commit", "--quiet", "-m", "a note")
            git(path, "push", "--quiet", "origin", "main")
            self.now = self.look(self.clones[0])


class WalkOnGit(Walk):
    """Job files are real: their keys are those of the name, their text that of the blob."""

    queue: QueueOnGit

    def prepared(self, operation: Operation) -> Operation:
        if not isinstance(operation, (Add, Revise)):
            return operation
        text = f"---\nengine: shell\n{KEYS[operation.job[0]]}\n---\necho {operation.blob}\n".encode()
        blobs = [clone.write_blob(text) for clone in self.queue.clones]
        return replace(operation, blob=blobs[0], manifest=parse_job(text)[0])


def _facts(snapshot: Snapshot) -> dict[str, Any]:
    """What a queue holds, whoever looks: not how it was read."""
    archived = [job for job in snapshot.archive.recent(None) if job]
    return {
        "jobs": {job.id: _known(job) for job in (*snapshot.jobs(), *archived)},
        "spend": dict(snapshot.spend),
        "pause": snapshot.pause,
    }


def _facts_after(before: Snapshot, change: Change) -> dict[str, Any]:
    """What the queue must hold after a change. What it ships is in the archive then."""
    facts = _facts(before.apply(change))
    facts["jobs"] |= {edit.after.id: _known(edit.after) for edit in change.jobs}
    return facts


def _known(job: Job) -> tuple[Any, ...]:
    return (job.stage, job.folder, job.blob, job.record, job.lease, job.problem)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_whoever_asks_and_however_far_behind_the_queue_on_git_is_the_one_of_core(
    hermetic_home: Path, seed: int
) -> None:
    random = Random(seed)
    with TemporaryDirectory(dir=hermetic_home) as folder:
        fleet = Fleet(Path(folder) / "fleet", SETTINGS)
        try:
            clones = [fleet.machine(name).ledger() for name in ("you", "other")]
            queue = QueueOnGit(fleet=fleet, random=random, clones=clones)
            queue.now = queue.look(clones[0])
            walk = WalkOnGit(random, queue)
            for _ in range(STEPS):
                walk.step()
        finally:
            fleet.end()
