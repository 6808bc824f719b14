"""How long a plan waits for the host that it chose: what an observer remembers between plans, and what the
beats of others say of claims on their way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aq.core.fleet import Beat
from aq.core.lifecycle import Stage
from aq.core.planning.choose import Assignment
from aq.core.snapshot import Snapshot
from aq.core.value import Value, field

# A host that loses race after race for a job gives it up to the next after so many times the patience.
LONGEST_CLAIM = 10


class Memory(Value):
    """What one observer remembers between plans: who was chosen for a job and since when (seconds
    on its own clock), which hosts let their turn pass, and the last sign of a chosen host that its claim is
    on its way: the number of its beat, and when that was new."""

    chosen: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    passed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    signs: Mapping[str, tuple[int, float]] = field(default_factory=dict)


def claims_underway(snapshot: Snapshot, hosts: Mapping[str, Beat]) -> dict[str, str]:
    """The hosts whose beats say that they claim a job that still waits, by job: such a claim lost a race, and
    is asked again. Planned for another host, the job would be claimed twice."""
    inbox = snapshot.stages.get(Stage.INBOX, {})
    found: dict[str, str] = {}
    for host in sorted(hosts):
        for key in hosts[host].leases:
            name, _, rest = key.partition(":")
            job = inbox.get(name)
            if job and rest.partition(":")[0] == str(job.record.epoch + 1):
                found.setdefault(name, host)
    return found


def remember(
    memory: Memory,
    planned: Iterable[Assignment],
    clock: float,
    patience: float,
    me: str,
    hosts: Mapping[str, Beat] | None = None,
) -> Memory:
    """The memory after a plan: a host that was chosen for longer than `patience` and did not claim
    has let its turn pass. One whose new beats say that its claim is on its way is not silent; it only may not
    go on like that for ever. Jobs that are no longer assigned are forgotten."""
    chosen: dict[str, tuple[str, float]] = {}
    passed: dict[str, frozenset[str]] = {}
    signs: dict[str, tuple[int, float]] = {}
    for assignment in planned:
        job, host = assignment.job, assignment.host
        same = memory.chosen.get(job, ("", 0.0))[0] == host
        since = memory.chosen[job][1] if same else clock
        skipped = memory.passed.get(job, frozenset())
        sign = _sign(memory.signs.get(job) if same else None, job, (hosts or {}).get(host), clock)
        heard = max(since, sign[1]) if sign else since
        if host != me and (clock - heard > patience or clock - since > LONGEST_CLAIM * patience):
            skipped |= {host}
        chosen[job] = (host, since)
        if skipped:
            passed[job] = skipped
        if sign:
            signs[job] = sign
    return Memory(chosen, passed, signs)


def _sign(
    before: tuple[int, float] | None, job: str, beat: Beat | None, clock: float
) -> tuple[int, float] | None:
    if beat is None or not any(key.startswith(f"{job}:") for key in beat.leases):
        return None
    return before if before and before[0] == beat.seq else (beat.seq, clock)
