"""The fleet's budget of retries: what breaks every job must not double the work. Counted from the records
of the tip, so that two hosts that act at once cannot both have the last one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aq.core.instants import Instant, later
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.settings import RetryBudget
from aq.core.snapshot import OPEN_STAGES, Snapshot
from aq.core.value import Value, replace

WINDOW = 3600.0
_RAN = tuple(stage for stage in OPEN_STAGES if stage is not Stage.INBOX)


class Starts(Value):
    """When the runs of the last hour began: first attempts and retries, each the oldest first."""

    first: tuple[Instant, ...] = ()
    again: tuple[Instant, ...] = ()

    def with_retry(self, at: Instant) -> Starts:
        """The starts with one more retry, the newest."""
        return replace(self, again=(*self.again, at))

    def blocker(self, budget: RetryBudget) -> str:
        """Why no further retry may begin now, and when one may; empty when it may. Only first attempts that
        have begun count: those that are planned may fall to a host that does not start them."""
        retries, starts = len(self.again), len(self.first) + len(self.again)
        if budget.allows(retries + 1, starts + 1):
            return ""
        left = (at for at, retries, starts in self._leaving() if budget.allows(retries + 1, starts + 1))
        return (
            f"{retries} of the last hour's {starts} starts were retries (retry-budget): one more may start "
            f"at {later(min(left), WINDOW)}, or once there are more first attempts"
        )

    def _leaving(self) -> Iterator[tuple[Instant, int, int]]:
        """Each start in the order in which they leave the hour, with the retries and starts that stay."""
        retries, starts = len(self.again), len(self.first) + len(self.again)
        for at, retry in sorted([(at, False) for at in self.first] + [(at, True) for at in self.again]):
            retries, starts = retries - retry, starts - 1
            yield at, retries, starts


def starts_of(snapshot: Snapshot, waiting: Iterable[Job], now: Instant) -> Starts:
    """The starts of the last hour. `waiting` are the jobs of the inbox, loaded already."""
    since, until = later(now, -WINDOW), later(now, WINDOW)
    # A clock that is wrong by more than the hour must not use up the budget for good.
    found = [(at, retry) for at, retry in _starts(snapshot, waiting, since) if since < at <= until]
    return Starts(
        tuple(sorted(at for at, retry in found if not retry)),
        tuple(sorted(at for at, retry in found if retry)),
    )


def _starts(snapshot: Snapshot, waiting: Iterable[Job], since: Instant) -> Iterator[tuple[Instant, bool]]:
    for jobs in (snapshot.jobs(*_RAN), waiting):
        for job in jobs:
            record = job.record
            if record.runs and (record.since or "") > since:
                yield from record.starts
    yield from snapshot.archive.starts(since)


def retry_blockers(job: Job, snapshot: Snapshot, now: Instant) -> list[str]:
    """What keeps a job from a further attempt: the fleet's budget of retries (checked on the tip that a
    claim is written on)."""
    if not job.record.attempts:
        return []
    reason = starts_of(snapshot, snapshot.jobs(Stage.INBOX), now).blocker(snapshot.settings.retry_budget)
    return [reason] if reason else []
