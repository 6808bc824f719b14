"""Real agent CLIs whose model fails, or that are stopped in the middle of their work: each through
`aq run`. The failure has the right class, the job goes to the right stage, infrastructure costs no
attempt, and no process lives on."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from aq.core.lifecycle import Stage
from aq.core.overrun import is_overrun
from tests.engines.clis import ALWAYS, FULL, MATRIX
from tests.engines.rig import JOB, Rig, sleeper
from tests.support.fleet import wait_until

pytestmark = pytest.mark.engines


@dataclass(frozen=True)
class Ends:
    """A fault, and how a run that meets it must end. `free`: the run costs no attempt."""

    fault: str
    stage: Stage
    outcome: str
    word: str = ""
    free: bool = False
    front: str = ""
    seconds: float = 60


FAULTS = {
    "401": Ends("401", Stage.INBOX, "released", "auth", free=True),
    "402": Ends("402", Stage.INBOX, "released", "quota", free=True),
    "429 twice, then success": Ends("429:2:1", Stage.TESTING, "passed"),
    "429 always": Ends("429::1", Stage.INBOX, "released", "rate_limit", free=True, seconds=300),
    "529 always": Ends("529", Stage.INBOX, "released", "overloaded", free=True, seconds=300),
    "context overflow": Ends("context", Stage.FAILED, "context"),
    "connection drop": Ends("drop", Stage.INBOX, "released", "network", free=True, seconds=300),
    "endless tool loop": Ends("loop", Stage.INBOX, "budget", front="budget: {tokens: 20k, wall: 20s}"),
}
# What differs from that, because of what the CLI itself does.
EXCEPT: dict[tuple[str, str], Ends] = {}
DEFAULT = ("401",)


def _cases() -> list[object]:
    engines, faults = (MATRIX, tuple(FAULTS)) if FULL else (ALWAYS, DEFAULT)
    return [pytest.param(engine, fault, id=f"{engine}: {fault}") for fault in faults for engine in engines]


@pytest.mark.parametrize(("engine", "fault"), _cases())
def test_a_failing_model_ends_the_run_in_its_class(
    rig: Callable[[str], Rig], engine: str, fault: str
) -> None:
    ends = EXCEPT.get((engine, fault), FAULTS[fault])
    it = rig(engine)
    it.stub.fail(ends.fault)
    state = it.play(ends.front, ends.seconds)
    found = (state.stage, it.run.outcome, state.record.attempts, state.record.infra)
    charged = (0, 1) if ends.free else (1, 0)
    assert found == (ends.stage, ends.outcome, *charged), f"{it.run.reason}\n{it.said}"
    assert ends.word in it.run.reason
    if ends.outcome == "budget":
        assert is_overrun(state.record), "a person may give it more"
        assert it.target.show(f"aq/{JOB}/1:hello.txt").startswith("hello"), "the work so far is kept"
    it.no_secret()
    it.nothing_left()


@pytest.mark.parametrize("engine", MATRIX if FULL else ALWAYS)
def test_a_second_signal_in_the_middle_of_a_tool_call_releases_the_job_and_leaves_no_process(
    rig: Callable[[str], Rig], engine: str
) -> None:
    it = rig(engine)
    seconds = f"600.{os.getpid()}"
    it.drop("yolo: true", f"STUB_SLEEP={seconds}\n")
    process = it.start()
    try:
        wait_until(lambda: sleeper(seconds), 60, "the tool call")
    except AssertionError:
        raise AssertionError(it.said) from None
    it.interrupt(process)
    it.nothing_left()
    assert sleeper(seconds) is None
    state = it.state
    assert (state.stage, state.record.attempts, state.record.infra) == (Stage.INBOX, 0, 1)
    assert it.target.show(f"aq/{JOB}/1:half.txt") == "half", "the work so far is kept"
    it.no_secret()
