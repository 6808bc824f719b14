"""How an engine is started, and how its session goes on in the next attempt."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from aq.core.engine.usage import Usage
from aq.core.manifest import Budget
from aq.core.settle import Ending
from aq.host.config import HostConfig
from aq.host.sessions import Session, Sessions
from tests.host.fakes import DONE, FOREVER, Fake, fake_engine, say, tokens
from tests.host.targets import Target
from tests.support.fleet import wait_until


@pytest.fixture
def fake(tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    for name, value in {"FAKE_KEY": "k", "FAKE_BASE_URL": "http://elsewhere", "CLAUDECODE": "1"}.items():
        monkeypatch.setenv(name, value)
    config = HostConfig("ada", repos={"target": target.url}, stop_grace=0.5)
    with fake_engine(tmp_path, config, env=("FAKE_KEY", "CLAUDECODE"), resumes=True) as made:
        yield made


def test_an_engine_is_told_what_to_do_and_its_limits(fake: Fake) -> None:
    fake.run(
        DONE, model="m", yolo=True, budget=Budget(usd=2.0, tokens=500, wall=30), timeout=60, labels=("x",)
    )
    brief = fake.briefs[0]
    assert (brief.path, brief.model, brief.yolo, brief.labels) == ("/opt/fake", "m", True, ("x",))
    assert (brief.usd, brief.tokens, brief.wall, brief.session) == (2.0, 500, 30, "")
    assert brief.prompt.read_text() == "Do it.\n"
    assert brief.prompt.parent == brief.folder == fake.folder


def test_an_engine_gets_its_files_its_input_and_its_environment(fake: Fake) -> None:
    settings = fake.root / "home" / "fake.json"
    source = fake.root / "input"
    source.write_text("from a file\n")
    fake.launch_with |= {"files": {settings: "{}"}, "stdin": source, "env": {"OWN": "1", "TERM": "vt100"}}
    fake.run("cat > got\nenv > names\n" + DONE)
    work = fake.folder / "work"
    assert (work / "got").read_text() == "from a file\n"
    assert settings.read_text() == "{}"
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    seen = dict(line.split("=", 1) for line in (work / "names").read_text().splitlines())
    assert (seen["FAKE_KEY"], seen["OWN"], seen["TERM"]) == ("k", "1", "vt100")
    assert seen["AQ_PROMPT_FILE"] == str(fake.folder / "prompt.md")
    assert not {"FAKE_BASE_URL", "CLAUDECODE"} & set(seen)


def test_the_file_that_an_engine_leaves_its_result_in_is_read(fake: Fake) -> None:
    fake.launch_with["artifact"] = fake.folder / "result.json"
    outcome = fake.run(f"echo '{json.dumps({'event': 'done', 'ok': True})}' > {fake.folder}/result.json")
    assert outcome.ending is Ending.DONE


def test_a_result_file_that_points_elsewhere_is_not_read(fake: Fake) -> None:
    fake.launch_with["artifact"] = fake.folder / "result.json"
    fake.run(f"echo x > there\nln -s $PWD/there {fake.folder}/result.json\n" + DONE)
    assert fake.parsers[0].ended == [(0, "")]


def test_the_next_attempt_goes_on_with_the_session_in_the_same_folder(fake: Fake) -> None:
    begun = say("start", session="s-1") + tokens(100, session=True)
    again = say("start", session="s-1") + tokens(130, session=True)
    fake.run(begun + FOREVER, resume=True, budget=Budget(tokens=99))
    outcome = fake.run(again + DONE, epoch=4, resume=True, budget=Budget(tokens=99))
    assert [brief.session for brief in fake.briefs] == ["", "s-1"]
    assert len({brief.workspace for brief in fake.briefs}) == 1
    assert (outcome.ending, outcome.tokens) == (Ending.DONE, 30), "the totals of a session hold earlier runs"


@pytest.mark.parametrize(
    ("first", "keys"),
    [(DONE, {"resume": True}), (say("start", session="s-1") + DONE, {})],
    ids=["no session was told", "the job does not ask for it"],
)
def test_without_a_session_or_a_wish_each_attempt_begins_anew(
    fake: Fake, first: str, keys: dict[str, object]
) -> None:
    fake.run(first, **keys)
    fake.run(DONE, epoch=4, **keys)
    assert [brief.session for brief in fake.briefs] == ["", ""]


def test_a_run_that_tells_no_totals_forgets_none_and_a_stop_forgets_no_session(fake: Fake) -> None:
    start = say("start", session="s-1")
    fake.run(start + tokens(100, session=True) + DONE, resume=True)
    fake.run(start + DONE, epoch=4, resume=True)
    fence = fake.start(": > ready\n" + FOREVER, epoch=5, resume=True)
    wait_until(lambda: len(fake.briefs) == 3, 20)
    fake.bench.stop(fence, "stopped by the operator")
    assert fake.outcome().ending is Ending.STOPPED
    outcome = fake.run(start + tokens(130, session=True) + DONE, epoch=6, resume=True)
    assert [brief.session for brief in fake.briefs] == ["", "s-1", "s-1", "s-1"]
    assert outcome.tokens == 30


def test_a_session_that_cannot_go_on_is_forgotten(fake: Fake) -> None:
    fake.run(say("start", session="s-1") + DONE, resume=True)
    fake.run("echo 'no such session'\nexit 1", epoch=4, resume=True)
    fake.run(DONE, epoch=5, resume=True)
    assert [brief.session for brief in fake.briefs] == ["", "s-1", ""]


def test_the_lasting_folder_is_left_to_a_run_that_is_still_there(fake: Fake) -> None:
    fake.start(FOREVER, resume=True)
    wait_until(lambda: fake.briefs, 20)
    fake.start(DONE, epoch=4, resume=True)
    wait_until(lambda: len(fake.briefs) == 2, 20)
    assert len({brief.workspace for brief in fake.briefs}) == 2


def test_sessions_survive_a_restart_and_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "state" / "sessions.json"
    kept = Session("fake", "s-1", Usage(input=5, usd=0.5), "aq/job/3", "f" * 40)
    Sessions(path).keep("job", kept)
    assert Sessions(path).of("job", "fake") == kept
    assert Sessions(path).of("job", "other") is None
    Sessions(path).keep("unknown", None)
    Sessions(path).keep("job", None)
    assert Sessions(path).of("job", "fake") is None
    for damaged in ("{", "[]", '{"job": 3}', '{"job": {"nothing": 1}}'):
        path.write_text(damaged)
        assert Sessions(path).of("job", "fake") is None


def test_the_oldest_sessions_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aq.host.sessions._KEPT", 2)
    sessions = Sessions(tmp_path / "sessions.json")
    for name in "abc":
        sessions.keep(name, Session("fake", name))
    assert [bool(sessions.of(name, "fake")) for name in "abc"] == [False, True, True]
