"""Rule 6: a lease lives while its holder's beat changes and lists it. Its end is judged by the observer's
own clock alone, from what it fetched itself."""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from aq.core.fleet import Beat
from aq.core.operations import Reclaim
from aq.core.results import Refused
from aq.core.sealed import summed, unsummed
from aq.core.snapshot import Snapshot
from aq.host.memory import HostMemory
from aq.ledger.beatwriter import BeatWriter
from aq.ledger.ledger import Ledger
from aq.runner.watch import Watch
from tests.support.fleet import Fleet, add, beat, claim_of, git, landed, op, perform, wait_until

TTL, GRACE = 3.0, 0.5
LONG = TTL + GRACE


class Holder:
    """A host that holds a job, and beats when it is told to."""

    def __init__(self, fleet: Fleet, name: str, job: str, state: Path) -> None:
        self.ledger = fleet.machine(name).ledger()
        landed(add(self.ledger, job))
        self.lease = landed(perform(self.ledger, claim_of(job, name))).change.jobs[0].after.lease
        assert self.lease
        self.writer = BeatWriter(
            self.ledger.committer, self.ledger.who, name, self.ledger.config.beat_refs, state / name
        )
        self.name = name

    def beat(self, *, lists: bool = True, **more: object) -> None:
        assert self.lease
        leases = (self.lease.fence.key,) if lists else ()
        self.writer.compose = lambda: beat(self.name, leases=leases, **more)
        self.ledger.perform([], self.writer)
        assert self.writer.confirmed


class Observer:
    """Another host's watch, on a clock that the test sets."""

    def __init__(self, fleet: Fleet, kept: Mapping[str, tuple[str, float, float]] | None = None) -> None:
        self.ledger: Ledger = fleet.machine("observer").ledger()
        self.watch = Watch(kept or {})

    def look(self, clock: float) -> list[str]:
        """The jobs that may be taken back after a fetch at this time."""
        self.ledger.fetch()
        snapshot: Snapshot = self.ledger.snapshot()
        beats: dict[str, tuple[str, Beat]] = self.ledger.beats
        self.watch.fetched(snapshot, beats, clock, clock)
        return sorted(self.watch.lapses(snapshot, GRACE))


@pytest.fixture
def holder(fleet: Fleet, tmp_path: Path) -> Holder:
    made = Holder(fleet, "ada", "one", tmp_path)
    made.beat()
    return made


def test_a_lease_lapses_after_two_fetches_of_the_same_beat_more_than_ttl_and_grace_apart(
    fleet: Fleet, holder: Holder
) -> None:
    observer = Observer(fleet)
    assert observer.look(100) == []
    assert observer.look(100 + LONG - 0.1) == []
    assert observer.look(100 + LONG) == []
    assert observer.look(100 + LONG + 0.1) == ["one"]


def test_time_in_which_nothing_was_fetched_proves_nothing(fleet: Fleet, holder: Holder) -> None:
    """Two early fetches and then an outage: only the next fetch may tell that the holder is silent."""
    observer = Observer(fleet)
    observer.look(100)
    observer.look(103)
    assert observer.watch.lapses(observer.ledger.snapshot(), GRACE) == {}
    holder.beat()
    assert observer.look(100 + 1000 * LONG) == []


def test_a_beat_that_changes_and_lists_the_lease_keeps_it_alive(fleet: Fleet, holder: Holder) -> None:
    observer = Observer(fleet)
    for turn in range(4):
        assert observer.look(100 + turn * LONG) == []
        holder.beat()


def test_a_beat_that_changes_but_does_not_list_the_lease_does_not_keep_it_alive(
    fleet: Fleet, holder: Holder
) -> None:
    observer = Observer(fleet)
    holder.beat(lists=False)
    assert observer.look(100) == []
    holder.beat(lists=False)
    assert observer.look(101) == []
    holder.beat(lists=False)
    assert observer.look(100 + LONG + 0.1) == ["one"]


def test_a_holder_that_never_beat_lapses_like_one_that_fell_silent(fleet: Fleet, tmp_path: Path) -> None:
    Holder(fleet, "ada", "one", tmp_path)
    observer = Observer(fleet)
    assert observer.look(100) == []
    assert observer.look(100 + LONG + 0.1) == ["one"]


def test_another_claim_of_the_same_job_is_observed_from_the_start(fleet: Fleet, holder: Holder) -> None:
    observer = Observer(fleet)
    observer.look(100)
    from aq.core.operations import Release

    assert holder.lease
    landed(perform(holder.ledger, Release(**op("ada"), fence=holder.lease.fence, reason="tired")))
    landed(perform(holder.ledger, claim_of("one", "ada")))
    assert observer.look(100 + LONG + 0.1) == []
    assert observer.look(100 + 2 * LONG + 0.3) == ["one"]


@pytest.mark.parametrize("at", ["1999-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
def test_the_time_that_a_holder_writes_means_nothing(fleet: Fleet, holder: Holder, at: str) -> None:
    observer = Observer(fleet)
    holder.beat(at=at)
    assert observer.look(100) == []
    assert observer.look(100 + LONG - 0.1) == []
    assert observer.look(100 + LONG + 0.1) == ["one"]


def test_the_leases_own_ttl_counts_not_the_observers(fleet: Fleet, tmp_path: Path) -> None:
    ada = fleet.machine("ada").ledger()
    landed(add(ada, "one"))
    landed(perform(ada, claim_of("one", "ada", ttl=60)))
    observer = Observer(fleet)
    assert observer.look(100) == []
    assert observer.look(100 + 60 + GRACE) == []
    assert observer.look(100 + 60 + GRACE + 0.1) == ["one"]


def test_observations_persist_across_a_restart_within_one_boot(
    fleet: Fleet, holder: Holder, tmp_path: Path
) -> None:
    first = Observer(fleet)
    first.look(100)
    HostMemory(tmp_path / "mine").save_evidence(first.watch.kept())
    second = Observer(fleet, HostMemory(tmp_path / "mine").load_evidence())
    assert second.look(100 + LONG + 0.1) == ["one"]


def test_observations_of_another_boot_are_dropped(fleet: Fleet, holder: Holder, tmp_path: Path) -> None:
    first = Observer(fleet)
    first.look(100)
    HostMemory(tmp_path / "mine").save_evidence(first.watch.kept())
    path = tmp_path / "mine" / "observations.json"
    kept = json.loads(unsummed(path.read_text()))
    path.write_text(summed(json.dumps({**kept, "boot": "the one before"})))
    assert HostMemory(tmp_path / "mine").load_evidence() == {}


def test_over_half_of_three_hosts_falling_silent_at_once_waits_one_more_ttl(
    fleet: Fleet, tmp_path: Path
) -> None:
    hosts = [Holder(fleet, name, f"job-{name}", tmp_path) for name in ("ada", "bob", "carol")]
    for host in hosts:
        host.beat()
    observer = Observer(fleet)
    observer.look(100)
    hosts[2].beat()
    assert observer.look(100 + LONG + 0.1) == []
    hosts[2].beat()
    assert observer.look(100 + LONG + TTL + 0.1) == ["job-ada", "job-bob"]


def test_one_of_three_hosts_falling_silent_is_taken_back_without_the_brake(
    fleet: Fleet, tmp_path: Path
) -> None:
    hosts = [Holder(fleet, name, f"job-{name}", tmp_path) for name in ("ada", "bob", "carol")]
    for host in hosts:
        host.beat()
    observer = Observer(fleet)
    observer.look(100)
    for host in hosts[1:]:
        host.beat()
    assert observer.look(100 + LONG + 0.1) == ["job-ada"]


def test_the_reclaim_commit_names_the_observed_beat_and_the_seconds(fleet: Fleet, holder: Holder) -> None:
    observer = Observer(fleet)
    observer.look(100)
    observer.look(100 + 7)
    lapse = observer.watch.lapses(observer.ledger.snapshot(), GRACE)["one"]
    landed(perform(observer.ledger, Reclaim(**op("observer"), job="one", lapse=lapse)))
    oid = git(fleet.hub, "rev-parse", "refs/aq/hosts/ada")
    assert f"Aq-Observed: {oid} 7" in git(fleet.hub, "log", "-1", "--format=%B", "main")
    job = fleet.job("one")
    assert job
    assert (job.stage, job.lease, job.record.lost, job.record.attempts) == ("inbox", None, 1, 0)


def test_of_two_hosts_that_take_a_lease_back_only_one_does(fleet: Fleet, holder: Holder) -> None:
    observers = [Observer(fleet), Observer(fleet)]
    for observer in observers:
        observer.look(100)
        observer.look(200)
    results = [
        perform(each.ledger, Reclaim(**op("x"), job="one", lapse=each.watch.lapses(s, GRACE)["one"]))
        for each, s in [(each, each.ledger.snapshot()) for each in observers]
    ]
    landed(results[0])
    assert isinstance(results[1], Refused)
    assert results[1].refusal.done
    job = fleet.job("one")
    assert job
    assert job.record.lost == 1


def test_a_holder_that_shows_life_while_its_reclaim_loses_a_race_keeps_its_lease(
    fleet: Fleet, holder: Holder
) -> None:
    observer = Observer(fleet)
    assert observer.look(100) == []
    assert observer.look(110) == ["one"]
    lapse = observer.watch.lapses(observer.ledger.snapshot(), GRACE)["one"]
    ledger, watch = observer.ledger, observer.watch
    ledger.on_fetch = lambda: watch.fetched(ledger.snapshot(), ledger.beats, 111, 111)
    ledger.vet = watch.vet
    holder.beat()
    landed(add(holder.ledger, "two"))
    refused = perform(ledger, Reclaim(**op("observer"), job="one", lapse=lapse))
    assert isinstance(refused, Refused)
    assert "showed life" in refused.refusal.reason
    job = fleet.job("one")
    assert job
    assert job.lease == holder.lease


HELD = "---\nengine: shell\n---\n[ $AQ_EPOCH != 1 ] || sleep 600\n"


def claimed(fleet: Fleet, host: str, epoch: int = 1) -> bool:
    job = fleet.job("one")
    return bool(job and job.lease and job.lease.host == host and job.lease.epoch == epoch)


def test_a_dead_hosts_job_is_reclaimed_by_another_not_before_ttl_and_grace_and_finished(fleet: Fleet) -> None:
    landed(add(fleet.you.ledger(), "one", HELD))
    first = fleet.start("ada")
    wait_until(lambda: claimed(fleet, "ada"))
    fleet.start("bob")
    first.send_signal(signal.SIGKILL)
    wait_until(lambda: any(event.startswith("unverified one on bob") for event in fleet.events()))
    message = git(fleet.hub, "log", "--grep=Aq-Op: reclaim", "--format=%B", "main")
    observed = next(line for line in message.splitlines() if line.startswith("Aq-Observed: "))
    assert float(observed.split()[2]) >= 3
    job = fleet.job("one")
    assert job
    assert (job.record.epoch, job.record.lost, job.record.attempts) == (2, 1, 1)


def test_a_hosts_own_orphan_is_taken_back_at_once_by_its_nonce(fleet: Fleet) -> None:
    landed(add(fleet.you.ledger(), "one", HELD))
    first = fleet.start("ada")
    notes = fleet.machine("ada").state / "hosts"
    wait_until(lambda: list(notes.glob("*/ada/runs/one/1/run.json")))
    first.send_signal(signal.SIGKILL)
    first.wait()
    fleet.machine("ada").aq("run", "--host", "ada", "--until-idle")
    message = git(fleet.hub, "log", "--grep=Aq-Op: reclaim", "--format=%B", "main")
    assert "Aq-Observed: own-orphan 0" in message
    job = fleet.job("one")
    assert job
    assert (job.record.epoch, job.record.runs[-1].outcome) == (2, "none")


def test_a_host_of_the_same_name_without_the_nonce_has_to_wait_like_anybody(
    fleet: Fleet, tmp_path: Path
) -> None:
    """The name and even the boot are the same: only the state folder proves an orphan."""
    ada = fleet.machine("ada").ledger()
    landed(add(ada, "one", HELD))
    landed(perform(ada, claim_of("one", "mill")))
    fleet.start("bob", "--host", "mill")
    wait_until(lambda: any(event.startswith("unverified one on mill") for event in fleet.events()))
    message = git(fleet.hub, "log", "--grep=Aq-Op: re", "--format=%B", "main")
    observed = next(line for line in message.splitlines() if line.startswith("Aq-Observed: "))
    assert observed.startswith("Aq-Observed: absent ")
    assert float(observed.split()[2]) >= 3
