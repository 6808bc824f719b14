"""Whether a job will ever start, as far as anybody can tell: for those who add or check one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aq.core.fleet import Beat
from aq.core.instants import Instant, unix
from aq.core.manifest import Manifest
from aq.core.planning.deps import circle_with, circular
from aq.core.planning.eligible import host_blockers
from aq.core.snapshot import Snapshot

DAYS = 7


def seen_lately(beats: Mapping[str, tuple[str, Beat]], now: Instant) -> dict[str, Beat]:
    """The hosts that beat within the last days, whatever they do now."""
    return {
        host: beat for host, (_, beat) in sorted(beats.items()) if unix(now) - unix(beat.at) <= DAYS * 86400
    }


def clauses_of(manifest: Manifest, beat: Beat) -> list[str]:
    """What keeps a host from ever running such a job. An engine that only cools down comes back."""
    clauses = host_blockers(manifest, beat.offers, beat.engines, beat.accepts)
    rests = manifest.engine in beat.cooling if manifest.engine else bool(beat.cooling)
    return [clause for clause in clauses if not (rests and clause.startswith("lacks engine"))]


def nobody_can(manifest: Manifest, hosts: Mapping[str, Beat]) -> str:
    """Why none of the hosts could ever run such a job, by the one that comes nearest; nothing when one
    could, or when there is none to ask."""
    found = [(clauses_of(manifest, beat), name) for name, beat in hosts.items()]
    if not found or not all(clauses for clauses, _ in found):
        return ""
    clauses, name = min(found, key=lambda pair: (len(pair[0]), pair[1]))
    return f"no host seen in {DAYS} days could run it: {name} {', '.join(clauses)}"


def warnings(
    job: str, asked: Manifest, snapshot: Snapshot, beats: Mapping[str, tuple[str, Beat]], now: Instant
) -> Iterator[str]:
    """What a person should know who submits this file. `asked` is what the file gives."""
    manifest, profile = snapshot.completed(asked)
    if profile.problem:
        yield profile.problem
    around = circle_with(job, manifest.deps, snapshot)
    if around:
        yield circular(around)
    nobody = nobody_can(manifest, seen_lately(beats, now))
    if nobody:
        yield nobody
