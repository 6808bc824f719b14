"""Engines that fail through no fault of a job: the job goes back uncharged, the engine rests on this host,
and the plan looks elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.core.fleet import Beat, Cooling
from aq.core.instants import later, unix
from aq.core.lifecycle import Stage
from aq.core.sealed import summed
from aq.core.value import replace
from aq.host.clock import Clock
from aq.host.engines.base import Auth, Brief, Engine, Launch, Probe
from aq.host.memory import HostMemory
from tests.host.fakes import DONE, FakeParser, say
from tests.runner.hosts import Host, host
from tests.support.fleet import Fleet, add

JOB = "---\nengine: fake\nretry: {max: 0}\n---\nDo it.\n"
ANY_AGENT = "---\nretry: {max: 0}\n---\nDo it.\n"


def limited(status: int = 429, reset: float | None = 3600.0) -> str:
    return say("fault", words="too many", status=status, reset=reset) + say("done", ok=False)


def teach(made: Host, *names: str) -> dict[str, list[str]]:
    """Give a host fake engines; the scripts that each runs next, the last one again and again."""
    scripts: dict[str, list[str]] = {name: [DONE] for name in names}

    def launcher(name: str) -> Engine:
        def launch(brief: Brief) -> Launch:
            waiting = scripts[name]
            return Launch(("sh", "-c", waiting.pop(0) if len(waiting) > 1 else waiting[0]))

        found = Probe("/opt/fake", "1.0.0", Auth.YES)
        return Engine(name, "agentic-coder", lambda _: found, launch, FakeParser)

    runner = made.runner
    runner.bench.kit.engines.update({name: launcher(name) for name in names})  # type: ignore[attr-defined]
    runner.me = replace(
        runner.me,
        engines={**dict.fromkeys(names, "agentic-coder"), "shell": "shell"},
        offers=runner.me.offers | {f"engine:{name}" for name in names},
    )
    return scripts


def published(fleet: Fleet, made: Host, name: str) -> Beat:
    ledger = fleet.you.ledger()

    def seen() -> Beat | None:
        ledger.fetch()
        beat = ledger.beats.get("ada", ("", None))[1]
        return beat if beat and name in beat.cooling else None

    found = made.until(seen, what=f"a beat that says that {name} rests")
    assert found
    return found


def test_a_limited_engine_rests_and_its_job_waits_uncharged_until_the_limit_resets(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with host(fleet, monkeypatch) as ada:
        scripts = teach(ada, "fake")
        scripts["fake"] = [limited(), DONE]
        add(fleet.you.ledger(), "job", JOB)
        ada.until(lambda: ada.heard("fake rests until"))
        job = ada.reaches("job", Stage.INBOX)
        record = job.record
        assert (record.attempts, record.infra, record.runs[-1].reason) == (0, 1, "rate_limit: too many")
        assert (record.runs[-1].version, record.runs[-1].outcome) == ("1.0.0", "released")

        beat = published(fleet, ada, "fake")
        assert "fake" not in beat.engines
        assert "engine:fake" not in beat.offers
        rest = unix(beat.cooling["fake"].until) - unix(record.runs[-1].started)
        assert 3600 <= rest <= 3700
        ada.ticks(5)
        assert ada.job("job").record.epoch == 1  # type: ignore[union-attr]

        ada.clock.wall = later(beat.cooling["fake"].until, -1)
        ada.ticks(5)
        assert ada.job("job").record.epoch == 1  # type: ignore[union-attr]
        ada.clock.wall = beat.cooling["fake"].until
        assert ada.reaches("job", Stage.REVIEW).record.attempts == 1
        ada.until(lambda: not ada.runner.cooling, what="the failure to be forgotten")
        assert not ada.runner.memory.load_cooling()


def test_another_engine_of_the_class_takes_the_job(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with host(fleet, monkeypatch) as ada:
        scripts = teach(ada, "fake", "second")
        scripts["fake"] = [limited(401, None)]
        add(fleet.you.ledger(), "job", ANY_AGENT)
        job = ada.reaches("job", Stage.REVIEW)
        assert [run.engine for run in job.record.runs] == ["fake", "second"]
        assert [run.outcome for run in job.record.runs] == ["released", "none"]
        assert job.record.attempts == 1


def test_another_host_takes_the_job(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with host(fleet, monkeypatch, "ada") as ada:
        teach(ada, "fake")["fake"] = [limited(402, None)]
        add(fleet.you.ledger(), "job", JOB)
        ada.until(lambda: ada.runner.cooling)
        ada.reaches("job", Stage.INBOX)
        with host(fleet, monkeypatch, "bob") as bob:
            teach(bob, "fake")

            def done() -> bool:
                ada.ticks(1)
                job = bob.job("job")
                return bool(job and job.stage is Stage.REVIEW and not job.lease)

            bob.until(done)
            assert [run.host for run in bob.job("job").record.runs] == ["ada", "bob"]  # type: ignore[union-attr]


def test_a_failure_that_is_the_jobs_own_lets_no_engine_rest(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with host(fleet, monkeypatch) as ada:
        teach(ada, "fake")["fake"] = [say("fault", words="prompt_too_long") + say("done", ok=False)]
        add(fleet.you.ledger(), "job", JOB)
        job = ada.reaches("job", Stage.FAILED)
        assert (job.record.attempts, job.record.runs[-1].outcome) == (1, "context")
        assert not ada.runner.cooling


def test_each_failure_in_a_row_makes_the_rest_longer(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    with host(fleet, monkeypatch) as ada:
        teach(ada, "fake")["fake"] = [limited(529, None)]
        add(fleet.you.ledger(), "job", JOB)
        for times, least in ((1, 45), (2, 225), (3, 675)):
            ada.until(lambda times=times: [one.times for one in ada.runner.cooling.values()] == [times])
            until = ada.runner.cooling["fake"].until
            started = ada.reaches("job", Stage.INBOX).record.runs[-1].started
            assert unix(until) - unix(started) >= least
            ada.clock.wall = until


def test_a_rest_survives_a_restart_and_not_a_clock_that_was_set_back(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = Clock().now()
    with host(fleet, monkeypatch) as before:
        before.runner.memory.save_cooling({"fake": Cooling(later(now, 600), "quota", 2)})
    add(fleet.you.ledger(), "job", JOB)
    with host(fleet, monkeypatch) as ada:
        teach(ada, "fake")
        assert published(fleet, ada, "fake").cooling["fake"].failure == "quota"
        ada.ticks(5)
        assert ada.job("job").record.epoch == 0  # type: ignore[union-attr]
        ada.clock.wall = later(now, -40 * 86400)
        assert ada.reaches("job", Stage.REVIEW).record.attempts == 1


def test_an_engine_that_waits_for_its_model_for_an_hour_is_stopped_and_rests(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with host(fleet, monkeypatch) as ada:
        wait = say("retry", status=429, delay=3600, words="slow down") + "sleep 300"
        teach(ada, "fake")["fake"] = [wait]
        add(fleet.you.ledger(), "job", JOB)
        ada.until(lambda: ada.runner.cooling)
        job = ada.reaches("job", Stage.INBOX)
        assert (job.record.infra, ada.runner.cooling["fake"].failure) == (1, "rate_limit")


def test_a_damaged_memory_of_rests_is_no_memory(tmp_path: Path) -> None:
    memory = HostMemory(tmp_path / "state")
    kept = {"fake": Cooling("2026-12-01T10:00:00Z", "auth", 3)}
    memory.save_cooling(kept)
    assert HostMemory(tmp_path / "state").load_cooling() == kept
    for damaged in ("{", "[]", '{"fake": {"until": "soon", "failure": "auth"}}', '{"fake": {}}'):
        (tmp_path / "state" / "cooling.json").write_text(summed(damaged))
        assert memory.load_cooling() == {}
