"""Rule 1: the queue branch moves only forward. A host that sees anything else freezes until a person
says that the new history is right."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aq.core.errors import EXIT_FROZEN, FrozenError
from aq.core.instants import instant
from aq.core.operations import AcceptRewind
from aq.core.results import Refused
from aq.ledger.beatwriter import BeatWriter
from aq.ledger.ledger import Ledger
from tests.support.fleet import Fleet, add, beat, claim_of, git, landed, op, perform, wait_until


def back_by_one(fleet: Fleet) -> None:
    git(fleet.hub, "update-ref", "refs/heads/main", "main~1")


def unrelated_root(fleet: Fleet) -> None:
    tree = git(fleet.hub, "rev-parse", "main^{tree}")
    git(fleet.hub, "update-ref", "refs/heads/main", git(fleet.hub, "commit-tree", tree, "-m", "another root"))


def rewritten_tip(fleet: Fleet) -> None:
    tree = git(fleet.hub, "rev-parse", "main^{tree}")
    amended = git(fleet.hub, "commit-tree", tree, "-p", "main~1", "-m", "amended")
    git(fleet.hub, "update-ref", "refs/heads/main", amended)


def deleted(fleet: Fleet) -> None:
    git(fleet.hub, "update-ref", "-d", "refs/heads/main")


Rewind = Callable[[Fleet], None]
REWINDS = pytest.mark.parametrize("rewind", [back_by_one, unrelated_root, rewritten_tip, deleted])
# A branch that is gone has no tip that a person could accept.
ACCEPTABLE = pytest.mark.parametrize("rewind", [back_by_one, unrelated_root, rewritten_tip])


def stocked(fleet: Fleet, *machines: str) -> list[Ledger]:
    """Ledgers that have seen a queue with two jobs."""
    ledgers = [fleet.machine(name).ledger() for name in machines]
    for name in ("one", "two"):
        landed(add(ledgers[0], name))
    for ledger in ledgers:
        ledger.fetch()
    return ledgers


def publish(ledger: Ledger, folder: Path, host: str = "ada", **more: object) -> BeatWriter:
    """A beat of a host on the hub."""
    writer = BeatWriter(ledger.committer, ledger.who, host, ledger.config.beat_refs, folder)
    writer.compose = lambda: beat(host, **more)
    ledger.perform([], writer)
    assert writer.confirmed
    return writer


@REWINDS
def test_a_rewound_remote_freezes_a_ledger_that_knew_better(fleet: Fleet, rewind: Rewind) -> None:
    (ledger,) = stocked(fleet, "ada")
    rewind(fleet)
    with pytest.raises(FrozenError):
        ledger.fetch()


@REWINDS
def test_a_new_process_of_the_same_clone_freezes_as_well(fleet: Fleet, rewind: Rewind) -> None:
    stocked(fleet, "ada")
    rewind(fleet)
    with pytest.raises(FrozenError):
        fleet.machine("ada").ledger().fetch()


@REWINDS
def test_status_and_run_exit_4_on_a_rewound_remote_and_nothing_is_claimed(
    fleet: Fleet, rewind: Rewind
) -> None:
    stocked(fleet, "ada")
    rewind(fleet)
    refs = git(fleet.hub, "for-each-ref")
    for command in (["status"], ["run", "--once"], ["doctor", "--json"]):
        done = fleet.machine("ada").aq(*command, ok=False)
        expected = 1 if command[0] == "doctor" else EXIT_FROZEN
        assert done.returncode == expected, (command, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
    assert git(fleet.hub, "for-each-ref") == refs


@pytest.mark.parametrize("rewind", [unrelated_root, rewritten_tip])
def test_a_push_onto_a_rewound_remote_freezes_and_forces_nothing(fleet: Fleet, rewind: Rewind) -> None:
    (ledger,) = stocked(fleet, "ada")
    rewind(fleet)
    tip = fleet.tip()
    with pytest.raises(FrozenError):
        perform(ledger, claim_of("one", "ada"))
    assert fleet.tip() == tip


def test_a_running_host_without_work_stops_with_exit_4(fleet: Fleet) -> None:
    host = fleet.start("ada")
    wait_until(lambda: fleet.tip() in git(fleet.hub, "log", "--format=%B", "refs/aq/hosts/ada", ok=False))
    unrelated_root(fleet)
    assert host.wait(timeout=20) == EXIT_FROZEN
    assert "FROZEN" in fleet.machine("ada").log


def test_a_frozen_host_keeps_its_engine_and_lands_once_the_history_is_back(
    fleet: Fleet, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    landed(add(fleet.you.ledger(), "one", f"while [ ! -e {gate} ]; do sleep 0.1; done"))
    waits = (
        f"---\nengine: shell\n---\nwhile [ ! -e {gate} ]; do sleep 0.1; done; echo ran >> {tmp_path}/runs\n"
    )
    landed(add(fleet.you.ledger(), "two", waits))
    host = fleet.start("ada")
    wait_until(lambda: "claim two on ada (attempt 1)" in fleet.events())
    good = fleet.tip()
    wait_until(lambda: f"tip: {good}" in git(fleet.hub, "log", "--format=%B", "refs/aq/hosts/ada"))
    unrelated_root(fleet)
    wait_until(lambda: "FROZEN" in fleet.machine("ada").log)
    gate.touch()
    wait_until((tmp_path / "runs").exists)
    assert host.poll() is None
    assert "land" not in " ".join(git(fleet.hub, "log", "--format=%s", "main").splitlines())
    git(fleet.hub, "update-ref", "refs/heads/main", good)
    wait_until(lambda: any(event.startswith("unverified two") for event in fleet.events()))
    assert (tmp_path / "runs").read_text() == "ran\n"


def test_a_fresh_host_freezes_when_a_peers_beat_names_a_tip_that_its_history_lacks(
    fleet: Fleet, tmp_path: Path
) -> None:
    (ada,) = stocked(fleet, "ada")
    publish(ada, tmp_path)
    back_by_one(fleet)
    with pytest.raises(FrozenError, match="host ada knows a history that this remote lacks"):
        fleet.machine("newcomer").ledger().fetch()


def test_a_fresh_host_trusts_a_beat_that_rode_with_a_push_that_lost_its_race(
    fleet: Fleet, tmp_path: Path
) -> None:
    ada, bob = stocked(fleet, "ada", "bob")
    landed(perform(bob, claim_of("one", "bob")))
    writer = BeatWriter(ada.committer, ada.who, "ada", ada.config.beat_refs, tmp_path)
    writer.compose = lambda: beat("ada")
    (result,) = ada.perform([claim_of("one", "ada")], writer)
    assert isinstance(result, Refused)
    assert writer.confirmed
    assert ada.pusher.lost == 1
    fleet.machine("newcomer").ledger().fetch()


@ACCEPTABLE
def test_accept_rewind_writes_one_commit_with_both_tips_and_thaws_every_host(
    fleet: Fleet, rewind: Rewind
) -> None:
    _, bob, carol = stocked(fleet, "ada", "bob", "carol")
    old = fleet.tip()
    rewind(fleet)
    new = fleet.tip()
    for ledger in (bob, carol):
        with pytest.raises(FrozenError):
            ledger.fetch()
    fleet.machine("ada").aq("doctor", "--accept-rewind")
    assert git(fleet.hub, "rev-parse", "main~1") == new
    message = git(fleet.hub, "log", "-1", "--format=%B", "main")
    assert f"Aq-Old: {old}" in message
    assert f"Aq-New: {new}" in message
    for ledger in (bob, carol, fleet.machine("ada").ledger()):
        ledger.fetch()
        assert ledger.tip == fleet.tip()
    landed(perform(bob, claim_of("one", "bob")))


def test_a_fresh_host_takes_the_word_for_a_beat_of_a_clock_that_is_an_hour_ahead(
    fleet: Fleet, tmp_path: Path
) -> None:
    ada, _ = stocked(fleet, "ada", "bob")
    publish(ada, tmp_path, at=instant(time.time() + 3600))
    back_by_one(fleet)
    fleet.machine("bob").aq("doctor", "--accept-rewind")
    newcomer = fleet.machine("newcomer").ledger()
    newcomer.fetch()
    assert newcomer.tip == fleet.tip()


def test_a_second_rewind_needs_a_second_word(fleet: Fleet) -> None:
    _, bob = stocked(fleet, "ada", "bob")
    back_by_one(fleet)
    fleet.machine("ada").aq("doctor", "--accept-rewind")
    bob.fetch()
    landed(perform(bob, claim_of("one", "bob")))
    back_by_one(fleet)
    with pytest.raises(FrozenError):
        bob.fetch()


def test_a_lease_that_the_accepted_history_lacks_lands_nothing(fleet: Fleet) -> None:
    (ada,) = stocked(fleet, "ada")
    claim = claim_of("one", "ada")
    lease = landed(perform(ada, claim)).change.jobs[0].after.lease
    assert lease
    back_by_one(fleet)
    fleet.machine("bob").aq("doctor", "--accept-rewind", ok=False)
    fleet.machine("ada").aq("doctor", "--accept-rewind")
    from aq.core.operations import Land

    refused = perform(ada, Land(**op("ada"), fence=lease.fence))
    assert isinstance(refused, Refused)
    assert "without a lease" in str(refused.refusal)


def test_accepting_is_refused_when_the_remote_moved_meanwhile(fleet: Fleet) -> None:
    (ada,) = stocked(fleet, "ada")
    refused = perform(ada, AcceptRewind(**op(), old="0" * 40, new="1" * 40))
    assert isinstance(refused, Refused)


def test_accept_rewind_does_nothing_when_nothing_was_rewound(fleet: Fleet) -> None:
    stocked(fleet, "ada")
    tip = fleet.tip()
    assert "nothing was rewound" in fleet.machine("ada").aq("doctor", "--accept-rewind").stdout
    assert fleet.tip() == tip


def test_a_deleted_branch_cannot_be_accepted_but_can_be_put_back(fleet: Fleet) -> None:
    (ada,) = stocked(fleet, "ada")
    tip = fleet.tip()
    deleted(fleet)
    done = fleet.machine("ada").aq("doctor", "--accept-rewind", ok=False)
    assert done.returncode == EXIT_FROZEN
    assert tip[:12] in done.stderr
    git(fleet.hub, "update-ref", "refs/heads/main", tip)
    ada.fetch()
    assert ada.tip == tip


def test_a_push_of_another_process_of_the_clone_during_a_fetch_is_no_rewind(fleet: Fleet) -> None:
    ada = stocked(fleet, "ada")[0]
    sibling = fleet.machine("ada").ledger()
    sibling.fetch()
    fetch = ada.remote.fetch

    class Slow:
        """A remote whose answer is overtaken by a push of the sibling."""

        def __getattr__(self, name: str) -> object:
            return getattr(remote, name)

        def fetch(self) -> tuple[str, dict[str, str]]:
            answer = fetch()
            landed(perform(sibling, claim_of("one", "ada")))
            return answer

    remote = ada.remote
    ada.remote = Slow()  # type: ignore[assignment]
    ada.fetch()
    assert ada.tip == fleet.tip() == fleet.machine("ada").ledger().tip


def test_a_host_lands_only_on_top_of_the_history_it_saw(fleet: Fleet) -> None:
    ada, bob = stocked(fleet, "ada", "bob")
    seen = ada.tip
    landed(perform(bob, claim_of("two", "bob")))
    landed(perform(ada, claim_of("one", "ada")))
    assert git(fleet.hub, "merge-base", "--is-ancestor", seen, "main") == ""
    assert git(fleet.hub, "rev-list", "--min-parents=2", "main") == ""


def test_a_push_on_a_tip_that_was_rewound_away_does_not_bring_it_back(fleet: Fleet) -> None:
    """The new commit descends from the rewound tip as well: a fast-forward alone would undo the rewind."""
    (ledger,) = stocked(fleet, "ada")
    back_by_one(fleet)
    rewound = git(fleet.hub, "rev-parse", "main")
    with pytest.raises(FrozenError):
        add(ledger, "three")
    assert git(fleet.hub, "rev-parse", "main") == rewound


def accepted_once(fleet: Fleet) -> Ledger:
    """Bob's ledger, which has seen an accepted rewind, and what came after."""
    _, bob = stocked(fleet, "ada", "bob")
    back_by_one(fleet)
    fleet.machine("ada").aq("doctor", "--accept-rewind")
    for name in ("three", "four"):
        landed(add(fleet.you.ledger(), name))
    bob.fetch()
    return bob


def test_an_old_word_is_none_about_the_rewind_of_a_clone_that_lost_its_store(fleet: Fleet) -> None:
    accepted_once(fleet).close()
    shutil.rmtree(fleet.machine("bob").paths.store)
    back_by_one(fleet)
    with pytest.raises(FrozenError):
        fleet.machine("bob").ledger().fetch()


def test_a_clone_that_lost_its_store_takes_the_word_about_its_own_loss(fleet: Fleet) -> None:
    accepted_once(fleet).close()
    shutil.rmtree(fleet.machine("bob").paths.store)
    back_by_one(fleet)
    fleet.machine("bob").aq("doctor", "--accept-rewind")
    bob = fleet.machine("bob").ledger()
    bob.fetch()
    assert bob.tip == fleet.tip()


def test_an_old_word_that_was_copied_into_a_rewritten_history_is_none(fleet: Fleet, tmp_path: Path) -> None:
    bob = accepted_once(fleet)
    git(tmp_path, "clone", "-q", str(fleet.hub), "clone")
    clone = tmp_path / "clone"
    word = git(clone, "log", "--format=%H", "--grep=Aq-Op: accept-rewind")
    who = ("-c", "user.name=ada", "-c", "user.email=ada@example.org")
    git(clone, *who, "rebase", "--keep-empty", "--quiet", "--onto", f"{word}~2", f"{word}~1", "main")
    assert "accept-rewind" in git(clone, "log", "--format=%B", "main")
    git(clone, "push", "--quiet", "--force", "origin", "main")
    with pytest.raises(FrozenError):
        bob.fetch()
