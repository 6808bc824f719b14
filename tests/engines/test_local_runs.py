"""The local engine through `aq run`: from the inbox to its end, with a target repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from aq.host.engines.local_agent.address import OLLAMA, URL
from tests.engines.scripted import calling, saying, scripted
from tests.engines.stub import Stub
from tests.host.targets import Target, make_target
from tests.support.fleet import Fleet, git, wait_until
from tests.support.processes import left_over


@pytest.fixture
def target(tmp_path: Path, hermetic_home: Path, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Target:
    """A repository to work on, and a host that has the stub for its model server."""
    made = make_target(tmp_path)
    (hermetic_home / "host.yaml").write_text(f"repos: {{target: {made.url}}}\nstop-grace: 1s\n")
    monkeypatch.setenv(URL, f"{stub.url}/v1")
    monkeypatch.delenv(OLLAMA, raising=False)
    return made


ASK = "Create hello.txt with the word hello. STUB_FILE=hello.txt\n"


def finish(fleet: Fleet, front: str, body: str = ASK) -> str:
    """The job through one host until nothing is left; the host's log of its first run."""
    fleet.machine("ada").drop("one", f"---\nengine: local\nrepo: target\n{front}---\n{body}")
    assert fleet.start("ada", "--until-idle").wait(90) == 0, fleet.machine("ada").log
    return (fleet.machine("ada").path / "logs" / "one" / "1.log").read_text()


def test_a_job_goes_from_the_inbox_to_testing(fleet: Fleet, target: Target, tmp_path: Path) -> None:
    log = finish(fleet, "verify: test -f hello.txt\n")
    found = fleet.job("one")
    assert found
    assert found.stage is Stage.TESTING, found.record.runs[0].reason
    assert target.show("aq/one/1:hello.txt") == "hello"
    run = found.record.runs[0]
    assert (run.engine, run.usd, run.tokens) == ("local", 0.0, 2 * (1234 + 56))
    assert "> write_file hello.txt" in log
    assert "Done: hello.txt created." in log
    assert '"event"' not in log
    for machine in fleet.machines.values():
        machine.close()
    wait_until(lambda: not left_over(tmp_path), 10, "every process to end")


def test_a_job_without_an_engine_goes_to_the_local_one_where_there_is_no_other(
    fleet: Fleet, target: Target, hermetic_home: Path
) -> None:
    config = hermetic_home / "host.yaml"
    config.write_text(config.read_text() + "allow: [local, shell]\n")
    fleet.machine("ada").drop("one", f"---\nrepo: target\nverify: test -f hello.txt\n---\n{ASK}")
    assert fleet.start("ada", "--until-idle").wait(90) == 0
    found = fleet.job("one")
    assert found
    run = found.record.runs[0]
    assert (found.stage, run.engine) == (Stage.TESTING, "local"), run.reason


def test_the_model_may_run_what_verify_runs_and_what_the_host_allows(
    fleet: Fleet, target: Target, hermetic_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = hermetic_home / "host.yaml"
    config.write_text(config.read_text() + "commands: [touch by-the-host]\n")
    lines = ("touch by-verify", "touch by-the-host", "touch by-nobody")
    answers = [calling("run_command", command=line) for line in lines]
    with scripted(*answers, saying("Done.")) as server:
        monkeypatch.setenv(URL, server.url)
        log = finish(fleet, "verify: touch by-verify\nbaseline: false\n")
        told = [m["content"] for m in server.asked[3]["messages"] if m["role"] == "tool"]
    assert [json.loads(text)["ok"] for text in told] == [True, True, False]
    assert "run_command was denied" in log
    names = git(target.bare, "ls-tree", "--name-only", "aq/one/1").split()
    assert {name for name in names if name.startswith("by-")} == {"by-verify", "by-the-host"}


def test_partial_work_is_kept_on_its_branch(fleet: Fleet, target: Target, stub: Stub) -> None:
    stub.fail("loop")
    log = finish(fleet, "labels: [simple]\nretry: {max: 0}\n")
    found = fleet.job("one")
    assert found
    run = found.record.runs[0]
    assert found.stage is Stage.FAILED, run.reason
    assert (run.outcome, run.branch) == ("budget", "aq/one/1")
    assert "no end after 5 turns" in run.reason
    assert target.show("aq/one/1:hello.txt").startswith("hello")
    assert "no end after 5 turns" in log
    assert git(fleet.hub, "log", "--format=%B", "main").count("Aq-Op: fail") == 1


def test_a_verify_decides_about_partial_work_and_people_see_that_it_is_partial(
    fleet: Fleet, target: Target, stub: Stub
) -> None:
    stub.fail("loop")
    finish(fleet, "labels: [simple]\nverify: test -f hello.txt\n")
    found = fleet.job("one")
    assert found
    run = found.record.runs[0]
    assert found.stage is Stage.TESTING, run.reason
    assert "Partial result: no end after 5 turns. Written: hello.txt." in run.warnings
    assert "Partial result" in fleet.machine("ada").aq("show", "one").stdout


def test_a_server_that_refuses_the_key_costs_the_job_nothing(
    fleet: Fleet, target: Target, stub: Stub
) -> None:
    stub.fail("401")
    fleet.machine("ada").drop("one", f"---\nengine: local\nrepo: target\n---\n{ASK}")
    fleet.start("ada")

    def released() -> bool:
        job = fleet.job("one")
        return bool(job and job.record.runs and job.record.runs[0].ended)

    wait_until(released, 60, "the release")
    found = fleet.job("one")
    assert found
    assert (found.stage, found.record.attempts, found.record.infra) == (Stage.INBOX, 0, 1)
    assert "invalid x-api-key" in found.record.runs[0].reason
