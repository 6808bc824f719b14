"""Fix rounds on the bench: what the engine is told, where it works, and what of it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aq.core.manifest import Budget, Check, CheckKind, Manifest
from aq.core.settle import Ending
from aq.core.work import Checked, Ended, Fixed, Order, Report
from aq.host.config import HostConfig
from aq.host.engines.base import Brief
from tests.host.fakes import DONE, FENCE, FOREVER, Fake, fake_engine, say, tokens
from tests.host.targets import Target
from tests.support.fleet import git, wait_until

CANARY = "canary" + "-value-of-a-token"


def commands(*lines: str) -> tuple[Check, ...]:
    return tuple(Check(CheckKind.COMMAND, line) for line in lines)


class Rounds:
    """A run with the fake engine, taken from step to step as the runner does."""

    def __init__(self, fake: Fake) -> None:
        self.fake, self.bench = fake, fake.bench

    def report(self) -> Report:
        return wait_until(lambda: self.bench.take_reports(0.1), 30, "a report")[0]

    def checked(self) -> Checked:
        self.bench.verify(FENCE)
        found = self.report()
        assert isinstance(found, Checked), found
        return found

    def begin(self, body: str, **keys: object) -> Checked:
        """Up to the first verdict."""
        self.fake.start(body, **{"baseline": False, **keys})
        found = self.report()
        assert isinstance(found, Ended), found
        assert found.outcome.ending is Ending.DONE, found
        return self.checked()

    def fixed(self) -> Fixed:
        self.bench.fix(FENCE)
        found = self.report()
        assert isinstance(found, Fixed), found
        return found

    @property
    def prompt(self) -> str:
        """What the engine was told last."""
        return self.fake.briefs[-1].prompt.read_text()

    @property
    def last(self) -> Brief:
        return self.fake.briefs[-1]


@pytest.fixture
def rounds(tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rounds]:
    monkeypatch.setenv("CANARY_TOKEN", CANARY)
    config = HostConfig("ada", repos={"target": target.url}, stop_grace=0.5, job_env=("CANARY_TOKEN",))
    with fake_engine(tmp_path, config, resumes=True) as made:
        yield Rounds(made)


COUNT = 'echo "${AQ_FIX_ROUND:-0}" > round; '


def test_the_engine_gets_the_failing_output_and_what_it_leaves_is_checked_again(rounds: Rounds) -> None:
    line = "echo so close; grep -qx 1 round"
    first = rounds.begin(COUNT + tokens(7) + DONE, verify=commands("true", line))
    assert [check.passed for check in first.checks] == [True, False]
    assert first.progress.askable
    fixed = rounds.fixed()
    assert (fixed.number, fixed.checks, fixed.outcome.ending) == (1, first.checks, Ending.DONE)
    for words in ("Do it.", "## Fix round 1 of 1", line, "exit code 1: so close", "\nso close\n"):
        assert words in rounds.prompt
    assert rounds.last.prompt.name == "prompt-fix1.md"
    assert f"so close\n[aq] fix round 1: {line}: exit code 1: so close\n" in rounds.fake.log
    second = rounds.checked()
    assert [check.passed for check in second.checks] == [True, True]
    assert (second.progress.round, second.progress.tokens) == (1, 14)


def test_a_session_that_can_go_on_does_and_is_not_told_the_job_again(rounds: Rounds) -> None:
    body = say("start", session="s-1") + say("used", output=100, session=True) + COUNT + DONE
    rounds.begin(body, verify=commands("false"), fix_max=2)
    fixed = rounds.fixed()
    assert rounds.last.session == "s-1"
    assert rounds.prompt.startswith("## Fix round 1 of 2")
    assert fixed.outcome.tokens == 100, "a total over the session is not counted twice"


def test_an_engine_that_cannot_resume_begins_anew_in_the_same_folder(tmp_path: Path, target: Target) -> None:
    with fake_engine(tmp_path, HostConfig("ada", repos={"target": target.url})) as fake:
        rounds = Rounds(fake)
        rounds.begin(say("start", session="s-1") + COUNT + DONE, verify=commands("false"))
        rounds.fixed()
        assert (rounds.last.session, rounds.prompt.startswith("Do it.")) == ("", True)
        assert fake.briefs[0].workspace == fake.briefs[1].workspace


def test_each_round_has_its_own_branch_and_no_branch_ever_moves(rounds: Rounds, target: Target) -> None:
    rounds.begin(COUNT + DONE, repo="target", verify=commands("false"), fix_max=2)
    first = rounds.fixed().outcome
    assert (first.branch, first.pushed, first.tip) == ("aq/job/3-fix1", True, target.tip("aq/job/3-fix1"))
    assert rounds.checked().progress.tip == first.tip
    second = rounds.fixed().outcome
    assert second.branch == "aq/job/3-fix2"
    shown = [target.show(f"{branch}:round") for branch in ("aq/job/3", first.branch, second.branch)]
    assert shown == ["0", "1", "2"]
    for branch in (first.branch, second.branch):
        assert git(target.bare, "rev-list", "--count", f"main..{branch}") == "1", "one commit on the base"


def test_what_the_checks_left_is_not_the_engines_work(rounds: Rounds, target: Target) -> None:
    target.push(".gitignore", "cache\n")
    mess = "touch mess cache; mkdir -p deep/er; touch deep/er/mess; echo x >> README; rm round; false"
    rounds.begin(COUNT + "[ -e mess ] && echo yes > seen;" + DONE, repo="target", verify=commands(mess))
    branch = rounds.fixed().outcome.branch
    assert git(target.bare, "ls-tree", "-r", "--name-only", branch).split() == [
        ".gitignore",
        "README",
        "round",
    ]
    assert (target.show(f"{branch}:README"), target.show(f"{branch}:round")) == ("a target", "1")
    assert (rounds.last.workspace / "cache").exists(), "what git ignores is kept for the next check"


def test_work_taken_back_is_no_fix(rounds: Rounds) -> None:
    body = 'if [ "$AQ_FIX_ROUND" ]; then rm work; else touch work; fi\n' + DONE
    rounds.begin(body, repo="target", verify=commands("false"))
    outcome = rounds.fixed().outcome
    assert (outcome.ending, outcome.failure) == (Ending.FAILED, "agent")


def test_all_rounds_share_the_budget_and_each_has_its_own_timeout(rounds: Rounds) -> None:
    body = tokens(60) + 'if [ "$AQ_FIX_ROUND" ]; then ' + f"{FOREVER}; fi\n" + DONE
    keys = {"budget": Budget(tokens=100, wall=30), "timeout": 20.0}
    first = rounds.begin(body, verify=commands("false"), **keys)
    assert first.progress.tokens == 60
    outcome = rounds.fixed().outcome
    assert (rounds.last.tokens, rounds.fake.briefs[0].tokens) == (40, 100)
    assert (outcome.failure, outcome.tokens) == ("budget", 120)
    assert rounds.last.wall == 20.0


@pytest.mark.parametrize(
    ("reason", "ending"),
    [("fenced", Ending.FENCED), ("stopped by the operator", Ending.STOPPED)],
    ids=["fenced", "stopped"],
)
@pytest.mark.parametrize("early", [True, False], ids=["before it begins", "while it runs"])
def test_a_stop_ends_a_round(rounds: Rounds, reason: str, ending: Ending, early: bool) -> None:
    body = 'if [ "$AQ_FIX_ROUND" ]; then touch $TMPDIR/begun; ' + f"{FOREVER}; fi\n" + DONE
    rounds.begin(body, verify=commands("false"))
    if early:
        rounds.bench.stop(FENCE, reason)
    rounds.bench.fix(FENCE)
    if not early:
        wait_until((rounds.fake.folder / "tmp" / "begun").exists, 20)
        rounds.bench.stop(FENCE, reason)
    found = rounds.report()
    assert isinstance(found, Fixed)
    assert (found.outcome.ending, found.outcome.reason) == (ending, reason)
    assert len(rounds.fake.briefs) == 2 - early


def test_no_secret_of_a_check_gets_into_the_prompt_or_the_report(rounds: Rounds) -> None:
    first = rounds.begin(DONE, verify=commands("echo $CANARY_TOKEN; false"), env=("CANARY_TOKEN",))
    assert CANARY not in str(first)
    rounds.fixed()
    assert "[redacted" in rounds.prompt
    assert CANARY not in rounds.prompt


def test_a_settled_run_ends_whatever_it_waited_for(rounds: Rounds) -> None:
    rounds.begin(DONE, verify=commands("false"))
    thread = rounds.bench._runs[FENCE].thread
    rounds.bench.finish(FENCE)
    thread.join(10)
    assert not thread.is_alive()


def test_a_workspace_that_is_gone_is_infrastructure(rounds: Rounds) -> None:
    work = rounds.fake.folder / "work"
    rounds.begin("touch x\n" + DONE, repo="target", verify=commands("false"))
    work.rename(work.with_name("gone"))
    assert rounds.fixed().outcome.ending is Ending.INFRA


def test_a_script_is_not_asked_again(tmp_path: Path) -> None:
    with fake_engine(tmp_path, HostConfig("ada")) as fake:
        fake.bench.kit.engines["shell"] = fake.engine
        manifest = Manifest(verify=commands("false"))
        fake.bench.start(Order(FENCE, 1, "shell", manifest, DONE, "Do it.\n", "A job"))
        rounds = Rounds(fake)
        rounds.report()
        assert not rounds.checked().progress.askable


def test_artifacts_are_kept_beside_the_log_once_the_checks_are_done(rounds: Rounds) -> None:
    report = "<testsuite><testcase name='a'><failure/></testcase></testsuite>"
    line = f'mkdir out; echo "{report}" > out/r.xml; echo $CANARY_TOKEN > notes.txt; false'
    keys = {"artifacts": ("out/**", "notes.txt"), "env": ("CANARY_TOKEN",)}
    first = rounds.begin(DONE, verify=commands(line), **keys)
    kept = rounds.fake.root / "logs" / "job" / "3" / "artifacts"
    assert (kept / "out" / "r.xml").read_text().strip() == report
    assert CANARY not in (kept / "notes.txt").read_text()
    assert first.checks[0].detail == "exit code 1: 1 of 1 tests failed: a"


def test_artifacts_of_a_failed_engine_are_kept_too(rounds: Rounds) -> None:
    rounds.fake.start("echo x > trace.txt; exit 3", artifacts=("trace.txt",))
    rounds.report()
    assert (rounds.fake.root / "logs" / "job" / "3" / "artifacts" / "trace.txt").exists()


def test_a_fix_round_finds_what_the_setup_made(rounds: Rounds, target: Target) -> None:
    line = "echo x > made; rm -f cfg; grep -qx 1 round"
    body = f"grep -q patched README && test -e cfg && test ! -e made && {{ {COUNT} true; }}; {DONE}"
    rounds.begin(body, setup="echo 1 > cfg; echo patched > README", verify=commands(line), repo="target")
    fixed = rounds.fixed()
    assert fixed.outcome.ending is Ending.DONE
    assert git(target.bare, "show", f"{fixed.outcome.tip}:round") == "1"
    assert git(target.bare, "diff", "--name-only", "main", fixed.outcome.tip) == "round"
