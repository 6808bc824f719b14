"""What is wrong with a fleet, as values: its hosts, its limits and what it has to deliver. Pure, for
`aq doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aq.core.fleet import Beat
from aq.core.instants import Instant, day, unix
from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.planning.eligible import delivery_blockers, fleet_blockers, reservation
from aq.core.settings import Spend
from aq.core.snapshot import Snapshot
from aq.core.units import duration_text
from aq.ui.finding import Finding

Beats = Mapping[str, tuple[str, Beat]]
_WEEK = 7 * 86400
# A host tries a delivery again every minute.
_DELIVERY_BOUND = 15 * 60


def host_findings(
    snapshot: Snapshot, beats: Beats, live: Mapping[str, Beat], now: Instant
) -> Iterator[Finding]:
    """Hosts that are gone, rest, or lack an engine for a while."""
    waiting = len(snapshot.stages.get(Stage.INBOX, {}))
    if waiting and not live:
        yield Finding(
            "note", f"no host is live, and {waiting} jobs are in the inbox", "start `aq run` on a machine"
        )
    for host, (_, beat) in sorted(beats.items()):
        silent = unix(now) - unix(beat.at)
        if silent > _WEEK:
            last = f"host {host} was last heard {duration_text(silent)} ago"
            yield Finding("note", last, "`aq clean` removes its ref")
        elif host not in live and not beat.stopped:
            what = f"host {host} fell silent {duration_text(silent)} ago, without a word"
            yield Finding("note", what, "look at that machine; others take its jobs after TTL + grace")
        elif host in live and beat.resting:
            what = f"host {host} rests: {beat.resting}"
            yield Finding("note", what, f"`aq doctor` and `aq logs` on {host}; then `aq run --wake` there")
        for engine, cooling in sorted(beat.cooling.items()) if host in live else ():
            what = f"host {host}: engine {engine} {cooling.words}"
            yield Finding("note", what, "it comes back by itself; log in or raise its limit if it does not")


def limit_findings(snapshot: Snapshot, now: Instant) -> Iterator[Finding]:
    """What keeps jobs from starting that only a person can change, or another day."""
    if not snapshot.pause and not snapshot.settings_error:
        for reason in fleet_blockers(snapshot):
            yield Finding("note", f"nobody claims: {reason}", "ship or reject what waits, or raise the limit")
    yield from _money(snapshot, now)


def _money(snapshot: Snapshot, now: Instant) -> Iterator[Finding]:
    """For the fleet and each product: what is left of the day's money, and who waits for more."""
    budgets, spend = snapshot.settings.budgets, snapshot.spend.get(day(now), Spend())
    limits = {"": budgets.fleet_usd, **budgets.products}
    waiting = [job for job in snapshot.waiting() if not job.problem and job.manifest.every is None]
    wanted = {job.id: (job.manifest.product, reservation(job.manifest, snapshot)) for job in waiting}
    for product, limit in limits.items():
        if limit is None:
            continue
        who, used = product or "the fleet", (spend.of(product) if product else spend.fleet).total
        asked = {job: usd for job, (own, usd) in wanted.items() if product in ("", own)}
        for job in (job for job, usd in asked.items() if usd > limit):
            what = f"{job} can never start: it reserves {asked[job]:.2f} usd, and {who} has {limit:.2f} a day"
            yield Finding("BAD", what, "raise `budgets` in queue/aq.yaml, or ask for less in a new job")
        short = [job for job, usd in asked.items() if usd <= limit < round(used + usd, 6)]
        if used >= limit or short:
            left = f"{max(0.0, limit - used):.2f} of {limit:.2f} usd left today"
            what = f"{who} has {left}; {len(short)} jobs wait for more"
            yield Finding("note", what, "raise `budgets` in queue/aq.yaml, or wait for the next day (UTC)")


def delivery_findings(snapshot: Snapshot, live: Mapping[str, Beat], now: Instant) -> Iterator[Finding]:
    """Shipped work that does not reach its target."""
    for job in snapshot.archive.undelivered():
        record = job.record
        if record.hold:
            yield Finding(
                "BAD",
                f"{job.id} is shipped and not delivered: {record.hold.text}",
                f"merge {record.branch} by hand, then `aq resume {job.id}`: a host sees that it is there",
            )
            continue
        stuck = stuck_delivery(job, live)
        since = unix(now) - unix(record.since) if record.since else 0
        if stuck:
            yield Finding("BAD", f"{job.id} is shipped and not delivered: {stuck}", _provide(job))
        elif since > _DELIVERY_BOUND:
            what = f"{job.id} is shipped since {duration_text(since)} and not delivered yet"
            yield Finding(
                "note", what, "its hosts try again every minute: what `aq run` says there tells why"
            )


def stuck_delivery(job: Job, live: Mapping[str, Beat]) -> str:
    """Why no live host can deliver a shipped job, or nothing when one can."""
    if job.record.delivery != "wanted":
        return ""
    lacks: list[list[str]] = [delivery_blockers(job.manifest, beat.offers) for beat in live.values()]
    if not lacks:
        return "no host is live"
    nearest: list[str] = min(lacks, key=len)
    return f"no live host can: the nearest {', '.join(nearest)}" if nearest else ""


def _provide(job: Job) -> str:
    tool = "install `gh` or `glab` there and log in, or " if job.manifest.deliver == "pr" else ""
    return f"start a host that has the repository; {tool}merge {job.record.branch} by hand"
