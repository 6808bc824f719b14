"""Work that leaves the queue: delivery, dependants that build on it, and verdicts of hosts that died."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aq.core.job import Job
from aq.core.lifecycle import Stage
from aq.core.operations import Land
from aq.core.planning.choose import elected
from aq.core.value import replace
from aq.core.work import Brought
from aq.runner.deliver import brought
from tests.host.forges import FakeForge
from tests.host.targets import Target
from tests.runner.hosts import Host, host, waiting_job
from tests.support.fleet import Fleet, add, claim_of, git, landed, op, perform


@pytest.fixture(autouse=True)
def known_target(hermetic_home: Path, target: Target) -> None:
    """Every host knows the target repository."""
    (hermetic_home / "host.yaml").write_text(f"repos: {{target: {target.url}}}\nstop-grace: 1s\n")


def work(name: str, text: str, front: str = "") -> str:
    """A job that writes one file into the target."""
    return f"---\nengine: shell\nrepo: target\nverify: test -f {name}\n{front}---\necho {text} > {name}\n"


def delivery(ada: Host, name: str) -> str:
    found = ada.runner.ledger.snapshot().archive.get(name)
    return found.record.delivery if found else ""


def shipped(ada: Host, fleet: Fleet, name: str) -> None:
    ada.reaches(name, Stage.TESTING)
    fleet.you.aq("ship", name)


def archived(ada: Host, name: str) -> Job | None:
    return ada.runner.ledger.snapshot().archive.get(name)


def test_shipped_work_is_merged_and_read_back(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target
) -> None:
    with host(fleet, monkeypatch) as ada:
        add(fleet.you.ledger(), "job", work("new", "x", "deliver: merge\n"))
        ada.reaches("job", Stage.TESTING)
        before = target.push("meanwhile", "y\n")
        fleet.you.aq("ship", "job")
        ada.until(lambda: delivery(ada, "job") == "delivered", what="the delivery")
        assert (target.show("main:new"), target.show("main:meanwhile")) == ("x", "y")
        assert git(target.bare, "merge-base", "main", before) == before
        assert ada.heard(f"job: delivered as {target.tip()[:12]}")
        assert "Aq-Epoch: 1" in git(target.bare, "log", "-1", "--format=%B", "main")


def test_a_branch_delivery_leaves_the_target_branch_alone(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target
) -> None:
    before = target.tip()
    with host(fleet, monkeypatch) as ada:
        add(fleet.you.ledger(), "job", work("new", "x"))
        shipped(ada, fleet, "job")
        ada.until(lambda: archived(ada, "job"), what="the shipped job")
        ada.ticks(4)
        assert delivery(ada, "job") == ""
    assert target.tip() == before
    assert target.show("aq/job/1:new") == "x"


def test_a_conflict_holds_the_delivery_until_a_person_resumes_it(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target
) -> None:
    with host(fleet, monkeypatch) as ada:
        add(fleet.you.ledger(), "job", work("new", "x", "deliver: merge\n"))
        ada.reaches("job", Stage.TESTING)
        rival = target.push("new", "y\n")
        fleet.you.aq("ship", "job")

        def held() -> str:
            found = archived(ada, "job")
            return found.record.hold.text if found and found.record.hold else ""

        assert "delivery: conflict in new" in ada.until(held, what="a hold")
        ada.ticks(5)
        assert len([line for line in fleet.events() if line.startswith("hold")]) == 1
        assert target.tip() == rival
        assert "conflict in new" in fleet.you.aq("show", "job").stdout
        git(target.seed, "rm", "--quiet", "new")
        target.push("unrelated", "z\n")
        fleet.you.aq("resume", "job")
        ada.until(lambda: delivery(ada, "job") == "delivered" or fleet.events()[-1].startswith("hold"))
        # The file was removed on main and added on the branch: that merges.
        assert delivery(ada, "job") == "delivered"
        assert target.show("main:new") == "x"


def test_a_delivery_whose_branch_is_gone_everywhere_is_held_for_a_person(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target
) -> None:
    with host(fleet, monkeypatch) as ada:
        add(fleet.you.ledger(), "job", work("new", "x", "deliver: merge\n"))
        ada.reaches("job", Stage.TESTING)
        git(target.bare, "branch", "-D", "aq/job/1")
        git(target.bare, "gc", "--quiet", "--prune=now")
        shutil.rmtree(ada.runner.bench.kit.workspaces.mirrors)  # type: ignore[attr-defined]
        fleet.you.aq("ship", "job")

        def held() -> str:
            found = archived(ada, "job")
            return found.record.hold.text if found and found.record.hold else ""

        assert "is gone from" in ada.until(held, what="a hold")


def test_a_dependant_starts_from_its_dependencys_branch(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target
) -> None:
    with host(fleet, monkeypatch) as ada:
        you = fleet.you.ledger()
        add(you, "first", work("one", "1"))
        add(
            you,
            "second",
            "---\nengine: shell\nrepo: target\ndeps: {testing: [first]}\n---\ncat one > two\n",
        )
        found = ada.reaches("second", Stage.REVIEW)
        assert target.show(f"{found.record.branch}:two") == "1"
        assert git(target.bare, "diff", "--name-only", f"{found.record.tip}~", found.record.tip) == "two"
        events = fleet.events()
        verified = next(n for n, line in enumerate(events) if line.startswith("verified first"))
        assert not any(line.startswith("claim second") for line in events[:verified])


def test_dependencies_that_contradict_each_other_hold_the_job_without_an_attempt(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with host(fleet, monkeypatch) as ada:
        you = fleet.you.ledger()
        add(you, "a", work("same", "1"))
        add(you, "b", work("same", "2"))
        add(you, "c", work("more", "3", "deps: {testing: [a, b]}\n"))

        def held() -> Job | None:
            found = ada.job("c")
            return found if found and found.record.hold else None

        found = ada.until(held, what="a hold")
        assert found.record.hold
        assert "conflict in same" in found.record.hold.text
        assert (found.stage, found.lease, found.record.attempts) == (Stage.INBOX, None, 0)
        ada.ticks(5)
        assert ada.job("c").record.epoch == 1, "a job on hold is not claimed"  # type: ignore[union-attr]


def test_a_landed_branch_whose_verifier_died_is_verified_by_another_without_a_new_run(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target, tmp_path: Path
) -> None:
    verify = f'verify: test -s "$AQ_PROMPT_FILE" && cat new > {tmp_path}/seen\n'
    text = f"---\nengine: shell\nrepo: target\n{verify}---\ntouch {tmp_path}/ran\n"
    target.push("new", "by the dead host\n", "aq/job/1")
    tip = target.tip("aq/job/1")
    you = fleet.you.ledger()
    landed(add(you, "job", text))
    claim = claim_of("job", "bob", ttl=1)
    claim = replace(claim, offers=claim.offers | {"repo:target"})
    lease = landed(perform(you, claim)).change.jobs[0].after.lease
    assert lease
    done = Land(**op("bob"), fence=lease.fence, branch="aq/job/1", tip=tip, pushed=True)
    landed(perform(you, done))
    with host(fleet, monkeypatch) as ada:
        found = ada.reaches("job", Stage.TESTING)
        assert (found.record.epoch, found.record.attempts, found.record.tip) == (2, 1, tip)
        assert ada.heard("job: claimed (verify only)")
    assert (tmp_path / "seen").read_text() == "by the dead host\n"
    assert not (tmp_path / "ran").exists()


def test_a_pull_request_is_opened_on_ship_and_its_url_recorded(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target, tmp_path: Path, hermetic_home: Path
) -> None:
    source = "https://github.com/team/target"
    git(target.seed, "config", "--global", f"url.{target.url}.insteadOf", source)
    (hermetic_home / "host.yaml").write_text(f"repos: {{target: '{source}'}}\noffers: ['has:gh']\n")
    forge = FakeForge(tmp_path, "gh", target.bare)
    monkeypatch.setenv("PATH", forge.path)
    with host(fleet, monkeypatch) as ada:
        add(fleet.you.ledger(), "job", work("new", "x", "deliver: pr\n"))
        shipped(ada, fleet, "job")
        ada.until(lambda: delivery(ada, "job") == "delivered", what="the pull request")
        found = archived(ada, "job")
        assert found
        assert found.record.delivered == f"https://forge.invalid/pr/1 {found.record.tip}"
        assert ada.heard("job: delivered as https://forge.invalid/pr/1")
    [made] = forge.requests
    assert (made["branch"], made["base"]) == ("aq/job/1", "main")
    assert "passed: `test -f new`" in made["body"]
    assert f"Aq-Tip: {found.record.tip}" in made["body"]


def test_the_next_attempt_goes_on_from_what_the_last_one_left_on_another_host(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target
) -> None:
    script = "if [ -e half ]; then cat half > whole; else echo 1 > half; exit 3; fi"
    front = "engine: shell\nrepo: target\nresume: true\nretry: {max: 1, backoff: 1s}"
    add(fleet.you.ledger(), "job", f"---\n{front}\n---\n{script}\n")
    with host(fleet, monkeypatch) as ada:

        def failed_once() -> bool:
            found = ada.job("job")
            return bool(found and found.record.attempts == 1 and not found.lease)

        ada.until(failed_once, what="the first attempt")
    with host(fleet, monkeypatch, "bob") as bob:
        found = bob.reaches("job", Stage.REVIEW)
    assert [run.host for run in found.record.runs] == ["ada", "bob"]
    assert target.show(f"{found.record.branch}:whole") == "1"
    assert git(target.bare, "rev-parse", f"{found.record.tip}~") == target.tip()


def test_a_delivery_that_ends_without_a_word_is_tried_again_and_not_held(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> str:
        raise RuntimeError

    with host(fleet, monkeypatch) as ada:
        bench = ada.runner.bench
        monkeypatch.setattr(bench.kit.workspaces, "deliver", dies)  # type: ignore[attr-defined]
        add(fleet.you.ledger(), "job", work("new", "x", "deliver: merge\n"))
        shipped(ada, fleet, "job")
        ada.until(lambda: ada.heard("job: not delivered yet: RuntimeError"), what="the reason")
        assert brought(ada.runner, Brought("job")) == []
        found = archived(ada, "job")
        assert found
        assert found.record.hold is None


# The two hosts see the same fleet, and leave this job to bob where both can do it.
BOBS = next(f"job{n}" for n in range(99) if elected(["ada", "bob"], f"job{n}") == "bob")


def lets_ship(one: Host, fleet: Fleet) -> None:
    add(fleet.you.ledger(), BOBS, work("new", "x", "deliver: merge\n"))
    one.reaches(BOBS, Stage.TESTING)


def delivered(one: Host, other: Host) -> None:
    def there() -> bool:
        other.ticks(1)
        return delivery(one, BOBS) == "delivered"

    one.until(there, what="the delivery")


def test_a_host_that_runs_no_commands_delivers(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, target: Target, hermetic_home: Path
) -> None:
    with host(fleet, monkeypatch) as ada:
        lets_ship(ada, fleet)
        config = f'repos: {{target: {target.url}}}\njob-commands: "off"\nmin-disk: 999999\n'
        (hermetic_home / "host.yaml").write_text(config)
        with host(fleet, monkeypatch, "bob") as bob:
            bob.until(lambda: bob.runner.confirmed_at is not None)
            ada.until(lambda: "bob" in ada.runner.watch.live(ada.runner.ledger.beats, 10))
            fleet.you.aq("ship", BOBS)
            delivered(ada, bob)
            assert bob.heard(f"{BOBS}: delivered as ")


def test_a_host_that_finishes_its_last_run_leaves_deliveries_to_the_others(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with host(fleet, monkeypatch) as ada:
        lets_ship(ada, fleet)
        with host(fleet, monkeypatch, "bob") as bob:
            bob.until(lambda: bob.runner.confirmed_at is not None)
            add(fleet.you.ledger(), "long", waiting_job(tmp_path / "gate", 'capabilities: ["host:bob"]\n'))
            bob.until(lambda: bob.runner.held, what="a claim")
            bob.runner.stop()
            fleet.you.aq("ship", BOBS)
            delivered(ada, bob)
            assert bob.runner.held
            assert ada.heard(f"{BOBS}: delivered as ")
