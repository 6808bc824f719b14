"""Profiles in a real queue: a change reaches the jobs that wait, never a job that was claimed."""

from __future__ import annotations

from pathlib import Path

from aq.core.lifecycle import Stage
from aq.ledger.newqueue import starter_profiles
from tests.support.fleet import Fleet, git, perform
from tests.support.story import Story, hand_write, story

ROOT = Path(__file__).parents[2]
JOB = "---\nengine: shell\nprofile: tester\n{}---\ntrue\n"


def profile(fleet: Fleet, text: str, name: str = "tester") -> None:
    hand_write(fleet.you.path, f"profiles/{name}.md", text)


def told(fleet: Fleet) -> Story:
    tale = story(fleet)
    tale.ledger.fetch()
    return tale


def test_a_new_queue_has_the_starter_profiles_and_each_is_good(fleet: Fleet) -> None:
    found = fleet.snapshot().profiles
    assert set(found) == {Path(path).stem for path in starter_profiles()}
    assert len(found) == 9
    assert [each.problem for each in found.values() if each.problem] == []
    assert all(each.body and each.defaults.engine_class == "agentic-coder" for each in found.values())


def test_the_repository_shows_the_same_profiles_that_a_new_queue_gets() -> None:
    assert {path: (ROOT / path).read_text("utf-8") for path in starter_profiles()} == starter_profiles()


def test_a_changed_profile_reaches_the_jobs_that_wait_and_not_the_one_that_runs(fleet: Fleet) -> None:
    profile(fleet, "---\nextends: base\nretry: {max: 3}\n---\nYou test.\n")
    profile(fleet, "---\nmodel: small\n---\nBe brief.\n", "base")
    tale = told(fleet)
    tale.building("runs", JOB.format(""))
    tale.inbox("waits", JOB.format(""))
    profile(fleet, "---\nretry: {max: 5}\n---\nYou test twice.\n")
    profile(fleet, "---\nmodel: big\n---\nBe long.\n", "base")
    tale.ledger.fetch()
    runs, waits = tale.job("runs"), tale.job("waits")
    assert (runs.manifest.retry.max, runs.manifest.model) == (3, "small")
    assert runs.profile.body == "Be brief.\n\nYou test."
    assert (waits.manifest.retry.max, waits.manifest.model, waits.profile.body) == (5, "", "You test twice.")
    assert runs.lease is not None
    assert runs.lease.profile == runs.record.runs[-1].profile != waits.profile.pin
    fresh = told(fleet)
    assert fresh.job("runs").profile == runs.profile


def test_a_job_that_runs_again_runs_as_the_profile_is_then(fleet: Fleet) -> None:
    profile(fleet, "You test.\n")
    tale = told(fleet)
    tale.building("one", JOB.format(""))
    profile(fleet, "You test twice.\n")
    tale.do(tale.release_of("one"))
    assert tale.job("one").stage is Stage.INBOX
    assert told(fleet).job("one").profile.body == "You test twice."


def test_a_pin_that_no_store_knows_does_no_harm(fleet: Fleet) -> None:
    profile(fleet, "You test.\n")
    tale = told(fleet)
    tale.building("one", JOB.format(""))
    clone, path = fleet.you.path, "queue/building/one.record.yaml"
    git(clone, "pull", "--quiet")
    record = (clone / path).read_text("utf-8")
    hand_write(clone, path, record.replace(tale.job("one").profile.pin, "f" * 40))
    fresh = told(fleet)
    assert fresh.job("one").profile.body == "You test."
    assert perform(fresh.ledger, fresh.add_of("two")) is not None


def test_a_profile_that_is_removed_lets_its_jobs_wait(fleet: Fleet) -> None:
    tale = told(fleet)
    tale.inbox("one", JOB.format(""))
    assert tale.job("one").profile.problem == "there is no profiles/tester.md"
    profile(fleet, "You test.\n")
    tale.ledger.fetch()
    assert tale.job("one").profile.problem == ""
