"""An engine under watch: budgets, silence and endless retries end it, and nothing it says keeps it going."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aq.core.engine import budget
from aq.core.manifest import Budget
from aq.core.settle import Ending, Outcome
from aq.host.config import HostConfig
from aq.host.process import MAX_LINE
from aq.host.tree import marked
from tests.host.fakes import DONE, FENCE, FOREVER, Fake, fake_engine, say, tokens
from tests.host.targets import Target
from tests.support.fleet import wait_until


@pytest.fixture
def fake(tmp_path: Path, target: Target) -> Iterator[Fake]:
    config = HostConfig("ada", repos={"target": target.url}, stop_grace=0.5, stall=0.4, no_output=30.0)
    with fake_engine(tmp_path, config) as made:
        yield made


def reports(*counts: float | None, total: bool = False) -> str:
    """A script that reports these numbers with pauses in between, and never ends."""
    return "sleep 0.6\n".join(tokens(count, total=total) for count in counts) + FOREVER


ONE_REPORT = 60
HOSTILE: dict[str, tuple[str, int]] = {
    "step by step": (reports(60, 60, 60, 60, 60), 120),
    "totals": (reports(60, 120, 180, 240, total=True), 120),
    "late": ("sleep 1\n" + reports(101), 101),
    "with negative numbers between": (reports(60, -500, 60, -500, 60), 120),
    "a total that shrinks": (reports(60, 120, 0, total=True), 120),
    "not a number, then a number": (reports(float("nan"), float("inf"), None, 101), 101),
    "in one jump": (reports(10**9), 10**9),
    "in one jump that no number holds": (reports(10**400), 10**15),
}


@pytest.mark.parametrize(("script", "used"), HOSTILE.values(), ids=HOSTILE)
def test_no_engine_goes_over_its_budget_by_more_than_one_report(fake: Fake, script: str, used: int) -> None:
    outcome = fake.run(script, budget=Budget(tokens=100))
    assert (outcome.ending, outcome.failure) == (Ending.FAILED, "budget")
    assert outcome.tokens == used
    assert outcome.reason == f"used {used} tokens, the budget is 100"


def test_an_engine_that_will_not_end_uses_no_more_while_it_is_asked_to(fake: Fake) -> None:
    stubborn = f"trap '' TERM\nwhile :; do {tokens(60)}sleep 0.1; done"
    outcome = fake.run(stubborn, budget=Budget(tokens=100))
    assert (outcome.failure, outcome.tokens) == ("budget", 120)


def test_money_is_a_budget_too(fake: Fake) -> None:
    spend = say("used", usd=0.75)
    outcome = fake.run(f"{spend}sleep 0.6\n{spend}{FOREVER}", budget=Budget(usd=1.0))
    assert (outcome.failure, outcome.usd, outcome.tokens) == ("budget", 1.5, None)


SILENT = {
    "it never reports": FOREVER,
    "it reports nothing that can be": reports(float("nan"), -1, None),
    "it goes on talking": "while :; do echo on; sleep 0.05; done",
}


@pytest.mark.parametrize("script", SILENT.values(), ids=SILENT)
def test_the_budget_of_time_holds_whatever_is_reported(fake: Fake, script: str) -> None:
    outcome = fake.run(script, budget=Budget(usd=1.0, tokens=100, wall=0.7))
    assert (outcome.failure, outcome.reason) == ("budget", "no end within its budget of 0.7 s")
    assert not marked("job-3-")


def test_the_timeout_is_another_class_than_the_budget(fake: Fake) -> None:
    outcome = fake.run(FOREVER, budget=Budget(wall=60), timeout=0.6)
    assert (outcome.failure, outcome.reason) == ("timeout", "no end within 0.6 s")


def test_an_engine_that_is_done_is_not_stopped_for_its_last_report(fake: Fake) -> None:
    fake.launch_with["artifact"] = fake.folder / "used.json"
    told = json.dumps({"event": "used", "output": 5000})
    outcome = fake.run(f"echo '{told}' > {fake.folder}/used.json\n{DONE}", budget=Budget(tokens=100))
    assert (outcome.ending, outcome.tokens) == (Ending.DONE, 5000)


def test_our_reason_wins_over_an_engine_that_says_all_is_well_when_stopped(fake: Fake) -> None:
    outcome = fake.run(
        f"end() {{\n{DONE}exit 0\n}}\ntrap end TERM\n{tokens(101)}{FOREVER}", budget=Budget(tokens=100)
    )
    assert (outcome.ending, outcome.failure) == (Ending.FAILED, "budget")


def test_the_first_of_our_reasons_stays(fake: Fake) -> None:
    script = f"end() {{\n{tokens(10**6)}exit 0\n}}\ntrap end TERM\n: > ready\n{FOREVER}"
    fence = fake.start(script, budget=Budget(tokens=100))
    wait_until((fake.folder / "work" / "ready").exists, 20)
    fake.bench.stop(fence, "stopped by the operator")
    outcome = fake.outcome()
    assert (outcome.ending, outcome.reason) == (Ending.STOPPED, "stopped by the operator")
    assert outcome.tokens == 10**6, "what it used is known all the same"


def test_an_engine_that_wants_to_wait_for_an_hour_is_stopped_with_its_class(fake: Fake) -> None:
    script = say("retry", status=429, delay=3600, words="slow down")
    outcome = fake.run(script + FOREVER)
    assert (outcome.ending, outcome.failure, outcome.reset) == (Ending.FAILED, "rate_limit", 3600.0)
    assert outcome.reason == "it wants to wait 3600 s for its model: slow down"


def test_an_engine_that_tries_its_model_for_ever_is_stopped_though_it_fell_silent(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "RETRY_TOTAL", 0.5)
    outcome = fake.run(say("retry", status=529, words="Overloaded") + FOREVER)
    assert (outcome.failure, outcome.reset) == ("overloaded", None)


def test_retries_that_help_are_no_reason(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "RETRY_TOTAL", 0.5)
    script = say("retry", status=429, delay=1) + say("said", text="on it") + "sleep 1.2\n" + DONE
    assert fake.run(script).ending is Ending.DONE


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Fake]:
    config = HostConfig("ada", stop_grace=0.5, stall=0.2, no_output=0.8)
    with fake_engine(tmp_path, config) as made:
        yield made


def test_an_engine_without_output_is_stopped(quiet: Fake) -> None:
    outcome = quiet.run(f"echo begun\n{FOREVER}")
    assert (outcome.failure, outcome.reason) == ("timeout", "no output for 0.8 s")


def test_any_output_is_a_sign_of_life(quiet: Fake) -> None:
    script = "for i in 1 2 3 4 5 6; do echo on >&2; sleep 0.3; done\n" + DONE
    assert quiet.run(script).ending is Ending.DONE


def test_a_script_may_be_silent(tmp_path: Path) -> None:
    config = HostConfig("ada", no_output=0.2)
    with fake_engine(tmp_path, config, verdict=False) as script:
        assert script.run("sleep 1.5").ending is Ending.DONE


def test_a_silent_engine_is_shown_as_stalled_until_it_speaks(fake: Fake) -> None:
    fence = fake.start("while [ ! -e go ]; do sleep 0.05; done\necho on\n" + FOREVER)
    wait_until(lambda: fake.bench.stalled == ("job",), 20, "the stall to show")
    (fake.folder / "work" / "go").touch()
    wait_until(lambda: fake.bench.stalled == (), 20, "the sign of life")
    fake.bench.stop(fence, "enough")
    fake.outcome()
    assert fake.bench.stalled == ()


def test_a_suspended_engine_is_neither_stalled_nor_stopped_for_its_silence(quiet: Fake) -> None:
    fence = quiet.start(f": > ready\nwhile [ ! -e go ]; do echo on; sleep 0.05; done\n{DONE}")
    wait_until((quiet.folder / "work" / "ready").exists, 20)
    quiet.bench.suspend(fence, on=True)
    assert quiet.bench.take_reports(1.6) == []
    assert quiet.bench.stalled == ()
    (quiet.folder / "work" / "go").touch()
    quiet.bench.suspend(fence, on=False)
    assert quiet.outcome().ending is Ending.DONE


def test_standard_output_and_error_are_told_apart(fake: Fake) -> None:
    fake.run("echo out\necho err >&2\n" + DONE)
    assert set(fake.parsers[0].heard) >= {("out", False), ("err", True)}
    assert sorted(fake.log.splitlines()) == ["[done]", "err", "out"]


def test_the_log_is_for_people_and_the_raw_output_is_kept_beside_the_run(
    fake: Fake,
) -> None:
    script = (
        say("start", session="s", model="m")
        + say("said", text="I look.")
        + say("tool", tool="Bash", what="ls")
    )
    fake.run(script + tokens(5) + "echo '{\"unknown\": 1}' >&2\n" + DONE)
    assert fake.log == "[model m, session s]\nI look.\n> Bash ls\n[done]\n"
    raw = (fake.folder / "output.log").read_text().splitlines()
    told = [event for line in raw if (event := json.loads(line).get("event"))]
    assert told[:4] == ["start", "said", "tool", "used"]
    assert any("unknown" in line for line in raw)


def test_a_line_of_200_kilobytes_is_one_line(fake: Fake) -> None:
    big = "head -c 200000 /dev/zero | tr '\\0' x\n"
    outcome = fake.run('printf \'{"event": "said", "text": "\'\n' + big + "echo '\"}'\n" + DONE)
    assert outcome.ending is Ending.DONE
    assert len(fake.parsers[0].heard[0][0]) > 200_000


def test_a_line_without_end_is_cut_and_what_comes_after_it_is_read(fake: Fake) -> None:
    outcome = fake.run(f"head -c {3 * MAX_LINE} /dev/zero | tr '\\0' x\necho\n{DONE}")
    assert outcome.ending is Ending.DONE
    assert [len(text) for text, _ in fake.parsers[0].heard] == [MAX_LINE, len(DONE) - len("echo ''\n")]


def test_a_parser_that_breaks_costs_no_more_than_its_line(fake: Fake) -> None:
    outcome = fake.run("echo '{not json'\nhead -c 300000 /dev/zero | tr '\\0' '\\n'\n" + DONE)
    assert outcome.ending is Ending.DONE
    assert fake.log.startswith("{not json\n")


DENIED = say("back", tool="Write", ok=False, denied=True)
VERDICTS: dict[str, tuple[str, str]] = {
    "success": (DONE, ""),
    "success, whatever the exit code": (DONE + "exit 9", ""),
    "no terminal event": ("exit 0", "unknown"),
    "an error, exit code 0": (say("fault", words="no login", status=401) + say("done", ok=False), "auth"),
    "denied, and nothing done": (DENIED + DONE, "denied"),
    "denied, and work left": (DENIED + "echo x > new\n" + DONE, ""),
    "killed": ("kill -s KILL $$", "crash"),
}


@pytest.mark.parametrize(("script", "failure"), VERDICTS.values(), ids=VERDICTS)
def test_the_verdict_is_events_then_diff_and_the_exit_code_last(
    fake: Fake, script: str, failure: str
) -> None:
    outcome = fake.run(script, repo="target")
    assert outcome.failure == failure
    assert outcome.ending is (Ending.FAILED if failure else Ending.DONE)


def test_the_outcome_names_engine_version_model_and_cost(fake: Fake) -> None:
    script = say("start", model="m-9") + tokens(12, input=30, usd=0.25) + DONE
    outcome = fake.run(script)
    assert outcome == Outcome(Ending.DONE, usd=0.25, tokens=42, model="m-9", version="9.8.7")


def test_an_unknown_cost_is_not_zero(fake: Fake) -> None:
    outcome = fake.run(DONE, model="m-1")
    assert (outcome.usd, outcome.tokens, outcome.model) == (None, None, "m-1"), outcome


def test_the_work_of_a_stopped_engine_is_kept(fake: Fake, target: Target) -> None:
    outcome = fake.run(
        f"echo half > work.txt\n{tokens(101)}{FOREVER}", repo="target", budget=Budget(tokens=100)
    )
    assert (outcome.failure, outcome.branch, outcome.pushed) == ("budget", "aq/job/3", True)
    assert target.show("aq/job/3:work.txt") == "half"
    assert FENCE.epoch == 3
