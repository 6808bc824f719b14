"""One run on the bench: what it sees, what it reports, and how it is stopped."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aq.core.engine.budget import Limits
from aq.core.files.jobfile import parse_job
from aq.core.lease import Fence
from aq.core.manifest import Check, CheckKind, Manifest
from aq.core.prompt import digest_of
from aq.core.record import Changes
from aq.core.settle import Ending
from aq.core.work import Checked, Ended, Order, Report
from aq.host.bench import Bench
from aq.host.config import HostConfig
from aq.host.process import Child
from aq.host.run import Run
from aq.host.supervise import Watch
from aq.host.workspace import Workspace, Workspaces
from tests.host.fakes import FakeParser
from tests.host.targets import Target
from tests.support.fleet import git, wait_until

FENCE = Fence("job", "ada", 3, "abcdef")


@dataclass
class Table:
    """A bench, and what it reports."""

    bench: Bench
    root: Path

    def order(self, body: str, **more: object) -> Order:
        """A run's order; keys of the manifest go there."""
        own = {"verify_branch", "verify_tip", "under", "engine"}
        keys = {name: value for name, value in more.items() if name not in own}
        rest = {name: value for name, value in more.items() if name in own}
        manifest = Manifest(**{"engine": "shell", **keys})  # type: ignore[arg-type]
        return Order(
            FENCE,
            2,
            **{"engine": "shell", **rest},
            manifest=manifest,
            body=body,
            prompt="Do it.\n",
            title="A job",
        )  # type: ignore[arg-type]

    def start(self, body: str, **more: object) -> None:
        self.bench.start(self.order(body, **more))

    def report(self) -> Report:
        return wait_until(lambda: self.bench.take_reports(0.2), 30, "a report")[0]

    def ended(self, body: str, **more: object) -> Ended:
        self.start(body, **more)
        found = self.report()
        assert isinstance(found, Ended)
        return found

    def checked(self) -> Checked:
        self.bench.verify(FENCE)
        found = self.report()
        assert isinstance(found, Checked)
        return found

    @property
    def log(self) -> str:
        return (self.root / "logs" / "job" / "3.log").read_text()


@pytest.fixture
def table(tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    monkeypatch.setenv("CANARY_TOKEN", "canary" + "-value-of-a-token")
    config = HostConfig(
        "ada", repos={"target": target.url}, stop_grace=0.5, job_env=("WANTED", "CANARY_TOKEN")
    )
    made = Table(Bench(config, tmp_path / "state", tmp_path / "logs"), tmp_path)
    yield made
    for fence in made.bench.running:
        made.bench.stop(fence, "the test is over")
        run = made.bench._runs[fence]
        run.finish()
        run.thread.join(20)


def command(line: str) -> tuple[Check, ...]:
    return (Check(CheckKind.COMMAND, line),)


SHELLS_OWN = {"PWD", "OLDPWD", "SHLVL", "_"}
OURS = {
    "AQ_JOB",
    "AQ_EPOCH",
    "AQ_ATTEMPT",
    "AQ_HOST",
    "AQ_RUN_ID",
    "AQ_PROMPT_FILE",
    "TERM",
    "TMPDIR",
    "GIT_TERMINAL_PROMPT",
    "NO_COLOR",
    "CI",
}
# Where a confined child keeps what it downloads.
CONFINED = {"XDG_CACHE_HOME", "npm_config_cache"}


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """A host's environment of a few known names; those that a child may see."""
    seen = {"PATH", "HOME", "LANG", "LC_TIME", "WANTED"}
    for name in list(os.environ):
        if name not in {"PATH", "HOME", "CANARY_TOKEN", "PYTEST_CURRENT_TEST"}:
            monkeypatch.delenv(name)
    for name in ("LANG", "LC_TIME", "WANTED", "SSH_AUTH_SOCK", "GIT_DIR", "AQ_STATE_DIR", "SOME_API_KEY"):
        monkeypatch.setenv(name, "C")
    return seen


def test_a_child_sees_the_allowed_names_and_no_others(table: Table, bare: set[str]) -> None:
    table.ended("env > names", env=("WANTED", "NOT_HERE", "SOME_API_KEY"), verify=command("env > checked"))
    table.checked()
    for name in ("names", "checked"):
        lines = (table.root / "state" / "runs" / "job" / "3" / "work" / name).read_text().splitlines()
        assert {line.split("=")[0] for line in lines} - SHELLS_OWN - CONFINED == bare | OURS


def test_a_run_is_told_who_it_is_and_where_its_prompt_is(table: Table) -> None:
    table.ended('echo $AQ_JOB $AQ_EPOCH $AQ_ATTEMPT $AQ_HOST $TERM; cat "$AQ_PROMPT_FILE"; test -d "$TMPDIR"')
    assert table.log == "job 3 2 ada dumb\nDo it.\n"


def test_a_run_and_its_checks_report_one_after_the_other(table: Table) -> None:
    found = table.ended("touch done", verify=command("test -f done"))
    assert (found.fence, found.outcome.ending) == (FENCE, Ending.DONE)
    assert (found.outcome.usd, found.outcome.tokens) == (0.0, 0)
    assert table.bench.take_reports(0.3) == [], "the checks wait for the landing"
    checked = table.checked()
    assert [check.passed for check in checked.checks] == [True]
    assert not checked.error


def test_a_settled_run_is_forgotten_and_its_thread_ends(table: Table) -> None:
    table.ended("true", verify=command("touch ran"))
    run = table.bench._runs[FENCE]
    table.bench.finish(FENCE)
    run.thread.join(10)
    assert not run.thread.is_alive()
    assert table.bench.running == ()
    assert table.bench.take_reports(0.2) == []


FAILURES = {
    "an exit code": ("echo a; echo bad luck; exit 3", "agent", "exit code 3: bad luck"),
    "a signal": ("kill -s KILL $$", "crash", "SIGKILL"),
    "secret last words": ("echo $CANARY_TOKEN; exit 3", "agent", "exit code 3: [redacted:environment]"),
}


@pytest.mark.parametrize(("body", "failure", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_failure_has_a_class_and_a_reason(table: Table, body: str, failure: str, reason: str) -> None:
    outcome = table.ended(body, env=("CANARY_TOKEN",)).outcome
    assert (outcome.ending, outcome.failure, outcome.reason) == (Ending.FAILED, failure, reason)


def test_a_timeout_is_a_failure_of_its_own_and_its_work_is_kept(table: Table, target: Target) -> None:
    outcome = table.ended(
        "echo half > work.txt; while :; do sleep 0.1; done", repo="target", timeout=0.6
    ).outcome
    assert (outcome.ending, outcome.failure, outcome.reason) == (
        Ending.FAILED,
        "timeout",
        "no end within 0.6 s",
    )
    assert (outcome.branch, outcome.pushed) == ("aq/job/3", True)
    assert target.show("aq/job/3:work.txt") == "half"


@pytest.mark.parametrize(
    ("reason", "ending"),
    [("fenced", Ending.FENCED), ("stopped by the operator", Ending.STOPPED)],
    ids=["fenced", "stopped"],
)
def test_a_stopped_run_says_why_and_its_work_is_kept(
    table: Table, target: Target, reason: str, ending: Ending
) -> None:
    table.start("echo half > work.txt; : > $TMPDIR/ready; while :; do sleep 0.1; done", repo="target")
    wait_until((table.root / "state" / "runs" / "job" / "3" / "tmp" / "ready").exists, 20)
    table.bench.stop(FENCE, reason)
    found = table.report()
    assert isinstance(found, Ended)
    assert (found.outcome.ending, found.outcome.reason) == (ending, reason)
    assert target.show("aq/job/3:work.txt") == "half"


def test_a_stop_before_the_engine_starts_starts_none(table: Table) -> None:
    order = table.order("touch ran")
    table.bench.start(order)
    table.bench.stop(FENCE, "too early")
    found = table.report()
    assert isinstance(found, Ended)
    assert found.outcome.ending in (Ending.STOPPED, Ending.DONE)
    if found.outcome.ending is Ending.STOPPED:
        assert found.outcome.reason == "too early"


def test_a_stopped_verify_gives_no_verdict(table: Table) -> None:
    table.ended("true", verify=command("touch begun; while :; do sleep 0.1; done"))
    table.bench.verify(FENCE)
    wait_until((table.root / "state" / "runs" / "job" / "3" / "work" / "begun").exists, 20)
    table.bench.stop(FENCE, "stopped by the operator")
    assert table.report() == Checked(FENCE, (), "stopped by the operator")


def test_a_suspended_run_makes_no_step(table: Table) -> None:
    table.start("while [ ! -e stop ]; do echo x >> ticks; sleep 0.02; done")
    work = table.root / "state" / "runs" / "job" / "3" / "work"
    wait_until((work / "ticks").exists, 20)
    table.bench.suspend(FENCE, on=True)
    (work / "stop").touch()
    assert table.bench.take_reports(0.4) == []
    table.bench.suspend(FENCE, on=False)
    assert isinstance(table.report(), Ended)


def test_a_process_that_starts_as_an_outage_ends_does_not_stay_frozen(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze, prepare = Child.suspend, Workspaces.prepare
    others: list[threading.Thread] = []

    def thaws_meanwhile(child: Child) -> None:
        others.append(threading.Thread(target=table.bench.suspend, args=(FENCE,), kwargs={"on": False}))
        others[0].start()
        # Nothing may come in between: it comes before, or waits until the process stands still.
        others[0].join(0.5)
        freeze(child)

    def in_an_outage(*args: Any) -> Workspace:
        table.bench.suspend(FENCE, on=True)
        return prepare(*args)

    monkeypatch.setattr(Child, "suspend", thaws_meanwhile)
    monkeypatch.setattr(Workspaces, "prepare", in_an_outage)
    assert table.ended("sleep 0.2").outcome.ending is Ending.DONE
    others[0].join()


def test_an_engine_that_is_asked_as_an_outage_ends_is_not_taken_for_frozen(table: Table) -> None:
    run = Run(table.bench.kit, table.order("true"), lambda run: None)
    run.suspended = True
    ends = threading.Thread(target=run.suspend, kwargs={"on": False})
    paused: list[bool] = []

    class Slow(Watch):
        def pause(self, *, on: bool) -> None:
            paused.append(on)
            if len(paused) == 1:
                ends.start()
                ends.join(0.5)
            super().pause(on=on)

    run.watched(Slow(FakeParser(), Limits(timeout=60.0)))
    ends.join()
    assert paused == [True, False]


INFRA = {
    "an engine that is not here": ({"engine": "nobody"}, "KeyError: 'nobody'"),
    "a base that is not there": ({"repo": "target", "base": "nowhere"}, "workspace: "),
    "a folder that is gone": ({"cwd": "/no/such/folder"}, "workspace: "),
}


@pytest.mark.parametrize(("keys", "reason"), INFRA.values(), ids=INFRA)
def test_what_is_not_the_jobs_fault_is_infrastructure(
    table: Table, keys: dict[str, object], reason: str
) -> None:
    outcome = table.ended("true", **keys).outcome
    assert outcome.ending is Ending.INFRA
    assert outcome.reason.startswith(reason)


def test_a_run_without_a_folder_to_work_in_still_reports(table: Table) -> None:
    (table.root / "state").mkdir(exist_ok=True)
    (table.root / "state" / "runs").write_text("a file where a folder should be")
    assert table.ended("true").outcome.ending is Ending.INFRA


def test_a_branch_that_the_target_refuses_is_infrastructure(table: Table, target: Target) -> None:
    target.hook("pre-receive", "exit 1")
    outcome = table.ended("echo x > new", repo="target").outcome
    assert (outcome.ending, outcome.reason) == (Ending.INFRA, "the branch aq/job/3 cannot be pushed")


def test_a_verify_only_run_starts_no_engine(table: Table, target: Target) -> None:
    target.push("new", "x\n", "aq/job/2")
    lines = command('test -f new && test -s "$AQ_PROMPT_FILE" && test ! -e ran')
    table.start(
        "touch ran", repo="target", verify=lines, verify_branch="aq/job/2", verify_tip=target.tip("aq/job/2")
    )
    found = table.report()
    assert isinstance(found, Checked)
    assert [check.passed for check in found.checks] == [True], found


def test_a_verify_only_run_of_a_branch_that_is_gone_gives_no_verdict(table: Table) -> None:
    table.start("true", repo="target", verify=command("true"), verify_branch="aq/job/2", verify_tip="0" * 40)
    found = table.report()
    assert isinstance(found, Checked)
    assert found.checks == ()
    assert "has no aq/job/2" in found.error


def test_the_commit_of_a_run_names_it(table: Table, target: Target) -> None:
    table.ended("echo x > new", repo="target")
    assert git(target.bare, "log", "-1", "--format=%B", "aq/job/3") == (
        "A job\n\nAq-Job: job\nAq-Epoch: 3\nAq-Attempt: 2\nAq-Engine: shell\n"
        "Aq-Prompt: " + digest_of("Do it.\n") + "\nAq-Host: ada"
    )


def test_the_agents_own_git_works_where_the_hosts_state_is_hidden(table: Table, target: Target) -> None:
    commit = "git -c user.name=x -c user.email=x@y commit -qam 'one step'"
    body = (
        f"set -e; git log --format=%s; git status --porcelain; echo x >> README; {commit}; git fsck --strict"
    )
    assert table.ended(body, repo="target").outcome.ending is Ending.DONE
    assert "README by a person" in table.log
    message = git(target.bare, "log", "-1", "--format=%B", "aq/job/3")
    assert "The agent's own commits:\n- one step\n\nAq-Job: job" in message


def test_what_lies_outside_the_scope_is_reported(table: Table) -> None:
    outcome = table.ended(
        "mkdir src; echo x > src/a; echo x > b", repo="target", allowed_scope=("src/**",)
    ).outcome
    assert (outcome.ending, outcome.outside) == (Ending.DONE, ("b",))
    assert outcome.changes == Changes(2, 2, 0, ("b", "src/a"))


def test_what_a_run_changes_is_known_where_there_is_a_clone_and_only_there(table: Table) -> None:
    outcome = table.ended(
        "printf '\\0\\1' > data; ln -s README link; echo x >> README", repo="target"
    ).outcome
    assert outcome.changes == Changes(
        3, 2, 0, ("README", "data", "link"), odd=("data: not text", "link: a link")
    )
    assert table.ended("true", repo="target").outcome.changes == Changes()
    assert table.ended("echo x > new").outcome.changes is None


def test_a_workspace_that_the_engine_replaced_is_its_own_fault(table: Table) -> None:
    outcome = table.ended("rm -rf ../work; ln -s / ../work", repo="target", sandbox="off").outcome
    assert (outcome.ending, outcome.failure, outcome.reason) == (
        Ending.FAILED,
        "agent",
        "the workspace was replaced",
    )


def test_a_waiting_take_reports_can_be_woken(table: Table) -> None:
    table.bench.wake()
    assert table.bench.take_reports(60) == []


REFUSALS = {
    "no folder asked": ("", (), ""),
    "a folder that is here": ("{root}", (), ""),
    "a folder that is not": ("{root}/nowhere", (), "cwd {root}/nowhere does not exist here"),
    "a folder outside the roots": ("{root}", ("/srv",), "cwd {root} is outside this host's roots"),
}


@pytest.mark.parametrize(("cwd", "roots", "why"), REFUSALS.values(), ids=REFUSALS)
def test_a_host_says_why_it_refuses(tmp_path: Path, cwd: str, roots: tuple[str, ...], why: str) -> None:
    bench = Bench(HostConfig("ada", roots=roots), tmp_path / "state", tmp_path / "logs")
    assert bench.why_not(Manifest(cwd=cwd.format(root=tmp_path))) == why.format(root=tmp_path)


@pytest.mark.parametrize(("cwd", "roots", "why"), REFUSALS.values(), ids=REFUSALS)
def test_a_host_delivers_where_it_may_go(tmp_path: Path, cwd: str, roots: tuple[str, ...], why: str) -> None:
    bench = Bench(HostConfig("ada", roots=roots), tmp_path / "state", tmp_path / "logs")
    assert bench.why_not_delivering(Manifest(cwd=cwd.format(root=tmp_path))) == why.format(root=tmp_path)


RELUCTANT = {
    "commands": {"job_commands": "off"},
    "a full disk": {"min_disk_gib": 10**9},
    "no sandbox": {"sandbox": "required"},
    "variables": {},
}


@pytest.mark.parametrize("config", RELUCTANT.values(), ids=RELUCTANT)
def test_what_keeps_a_host_from_running_a_job_keeps_it_from_no_delivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]
) -> None:
    monkeypatch.setenv("AQ_SANDBOX", "off")
    bench = Bench(HostConfig("ada", **config), tmp_path / "state", tmp_path / "logs")
    asked = Manifest(engine="shell", env=("B",))
    assert bench.why_not(asked)
    assert bench.why_not_delivering(asked) == ""


def test_a_job_whose_cwd_gives_it_no_clone_is_refused_before_it_is_claimed(
    tmp_path: Path, target: Target
) -> None:
    bench = Bench(HostConfig("ada"), tmp_path / "state", tmp_path / "logs")
    plain = tmp_path / "plain"
    plain.mkdir()
    front = f"cwd: {plain}\nworkspace: isolated"
    asked, _ = parse_job(f"---\n{front}\n---\nDo it.\n".encode())
    assert f"cwd {plain} is in no git repository" in bench.why_not(asked)
    assert bench.why_not(Manifest(cwd=str(plain))) == ""
    assert bench.why_not(Manifest(cwd=str(target.seed))) == ""
    (target.seed / ".git" / "HEAD").unlink()
    assert "not a git repository" in bench.why_not(Manifest(cwd=str(target.seed)))
    assert bench.why_not(Manifest(cwd=str(target.seed), workspace="in-place")) == ""


def test_a_variable_that_the_owner_does_not_list_is_refused(tmp_path: Path) -> None:
    bench = Bench(HostConfig("ada", job_env=("A",)), tmp_path / "state", tmp_path / "logs")
    assert bench.why_not(Manifest(env=("A", "PATH"))) == ""
    assert "gives jobs no variable B (`job-env`" in bench.why_not(Manifest(env=("A", "B")))


def test_a_full_disk_is_refused(tmp_path: Path) -> None:
    bench = Bench(HostConfig("ada", min_disk_gib=10**9), tmp_path / "state", tmp_path / "logs")
    assert bench.why_not(Manifest()) == "less than 1000000000 GiB of disk is free"


def test_a_remote_that_is_away_for_a_moment_costs_no_work(table: Table, target: Target) -> None:
    target.hook("pre-receive", "echo x >> tries; [ $(wc -l < tries) -gt 2 ]")
    outcome = table.ended("echo x > new", repo="target").outcome
    assert (outcome.ending, outcome.branch, outcome.pushed) == (Ending.DONE, "aq/job/3", True)
    assert target.tip("aq/job/3") == outcome.tip
