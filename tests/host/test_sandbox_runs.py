"""Whole runs in a real sandbox: the work comes out, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aq.core.lease import Fence
from aq.core.manifest import Check, CheckKind, Manifest
from aq.core.settle import Ending
from aq.core.work import Checked, Ended, Order, Report
from aq.host import bench as bench_module
from aq.host import kit as kit_module
from aq.host.bench import Bench
from aq.host.config import HostConfig
from aq.host.sandbox import Sandbox, sandbox
from tests.host.targets import Target
from tests.support.fleet import git, wait_until

FENCE = Fence("job", "ada", 3, "abcdef")
NONE = Sandbox(why="bubblewrap is not installed")


class Place:
    def __init__(self, root: Path, target: Target, **config: str) -> None:
        self.root = root
        settings = HostConfig("ada", repos={"target": target.url}, stop_grace=0.5, **config)  # type: ignore[arg-type]
        self.bench = Bench(settings, root / "state", root / "logs", (root / "queue.git",))
        (root / "queue.git").mkdir()
        (root / "queue.git" / "canary").write_text("canary")

    def start(self, body: str, **keys: object) -> Report:
        manifest = Manifest(engine="shell", **keys)  # type: ignore[arg-type]
        self.bench.start(Order(FENCE, 1, "shell", manifest, body, "Do it.\n", "A job"))
        return self.report()

    def report(self) -> Report:
        return wait_until(lambda: self.bench.take_reports(0.2), 30, "a report")[0]

    @property
    def log(self) -> str:
        return (self.root / "logs" / "job" / "3.log").read_text()

    def end(self) -> None:
        for fence in self.bench.running:
            self.bench.stop(fence, "the test is over")
            run = self.bench._runs[fence]
            run.finish()
            run.thread.join(20)


@pytest.fixture
def place(tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.delenv("AQ_SANDBOX")
    made = Place(tmp_path, target)
    yield made
    made.end()


@pytest.fixture
def box(place: Place) -> Sandbox:
    if not sandbox():
        pytest.skip(f"no sandbox here: {sandbox().why}")
    return sandbox()


def command(line: str) -> tuple[Check, ...]:
    return (Check(CheckKind.COMMAND, line),)


def test_a_job_works_in_its_sandbox_and_its_work_is_captured(
    place: Place, box: Sandbox, target: Target, tmp_path: Path
) -> None:
    script = (
        "echo made > made; git config user.name a; git config user.email a@x.invalid;"
        "git add made && git commit -qm mine && echo committed;"
        f"cat {tmp_path}/queue.git/canary; ls {tmp_path}/state/mirrors; echo x > {tmp_path}/out;"
        f"echo x > $HOME/out; cat $AQ_PROMPT_FILE; touch $TMPDIR/t && echo temp"
    )
    ended = place.start(script, repo="target", sandbox="required", verify=command("test -f made && touch /x"))
    assert isinstance(ended, Ended)
    assert ended.outcome.ending is Ending.DONE, ended.outcome.reason
    assert git(Path(target.url), "show", f"{ended.outcome.branch}:made") == "made"
    assert {"committed", "Do it.", "temp"} <= set(place.log.splitlines())
    assert "canary\n" not in place.log
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "home" / "out").exists()
    place.bench.verify(FENCE)
    checked = place.report()
    assert isinstance(checked, Checked)
    assert not checked.checks[0].passed, "verify is confined as well"
    assert not Path("/x").exists()


def test_a_job_in_place_writes_to_its_folder(place: Place, box: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    ended = place.start("echo x > here; echo x > ../there", cwd=str(folder))
    assert isinstance(ended, Ended)
    assert (folder / "here").exists()
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("name", [".", ".ssh", ".claude/projects", "/"])
def test_a_job_in_a_folder_that_holds_keys_does_not_run(place: Place, box: Sandbox, name: str) -> None:
    folder = Path.home() / name
    folder.mkdir(parents=True, exist_ok=True)
    asked = Manifest(cwd=str(folder))
    said = place.bench.why_not(asked)
    assert said.startswith(f"cwd {folder} ")
    ended = place.start("touch ran", cwd=str(folder))
    assert isinstance(ended, Ended)
    assert (ended.outcome.ending, ended.outcome.reason) == (Ending.INFRA, f"workspace: {said}")
    assert not (folder / "ran").exists()


def test_an_unconfined_job_works_where_its_owner_works(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch)
    assert place.bench.why_not(Manifest(cwd=str(Path.home()))) == ""
    assert "holds" in place.bench.why_not(Manifest(cwd=str(Path.home()), sandbox="required"))


def test_a_signal_that_ends_the_engine_keeps_its_name(place: Place, box: Sandbox) -> None:
    ended = place.start("kill -SEGV $$")
    assert isinstance(ended, Ended)
    assert ended.outcome.failure == "crash"
    assert "SIGSEGV" in ended.outcome.reason


def without(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (kit_module, bench_module):
        monkeypatch.setattr(module, "sandbox", lambda: NONE)


def test_a_job_that_requires_one_does_not_run_without(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch)
    ended = place.start("touch /tmp/never", sandbox="required")
    assert isinstance(ended, Ended)
    assert ended.outcome.ending is Ending.INFRA
    assert "a sandbox is required" in ended.outcome.reason


def test_a_job_that_does_not_runs_and_its_log_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch)
    ended = place.start("echo hello")
    assert isinstance(ended, Ended)
    assert place.log == "aq: not confined: bubblewrap is not installed\nhello\n"


def test_a_host_whose_owner_requires_one_refuses_jobs_without(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch)
    made = Place(tmp_path, target, sandbox="required")
    assert made.bench.why_not(Manifest()) == (
        "host.yaml requires a sandbox, and none works here: bubblewrap is not installed"
    )
    made.bench.config = HostConfig("ada")
    assert made.bench.why_not(Manifest()) == ""
