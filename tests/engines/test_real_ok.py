"""Real agent CLIs, each driven through `aq run` against the stub: from a file dropped in the inbox to a
verified branch in the target repository."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aq.core.lifecycle import Stage
from tests.engines.clis import ALWAYS, FULL, MATRIX, ON_DEMAND
from tests.engines.rig import HOST, JOB, Rig
from tests.engines.stub.script import FINAL
from tests.engines.stub.wire import TOKENS
from tests.support.fleet import git

pytestmark = pytest.mark.engines


@pytest.mark.parametrize("engine", (*MATRIX, *ON_DEMAND) if FULL else ALWAYS)
def test_a_dropped_job_ends_in_testing_with_its_work_on_a_branch_of_the_target_repository(
    rig: Callable[[str], Rig], engine: str
) -> None:
    it = rig(engine)
    state = it.play(stage=Stage.TESTING)
    branch = f"aq/{JOB}/1"
    assert it.target.show(f"{branch}:hello.txt") == "hello"
    assert git(it.target.bare, "diff", "--name-only", "main", branch) == "hello.txt"
    assert (it.run.engine, it.run.host, it.run.branch) == (engine, HOST, branch)
    assert (state.record.attempts, state.record.infra) == (1, 0)
    if engine not in ON_DEMAND:
        assert it.run.tokens == 2 * TOKENS, it.said
        log = it.log_path.read_text()
        assert FINAL in log
        assert '"type"' not in log, "words for people, not the engine's own format"
    assert (it.run.usd is not None and it.run.usd > 0) == it.cli.usd
    assert all(asked.credentials for asked in it.stub.asked), "the model was given the key"
    it.no_secret()
    it.nothing_left()
