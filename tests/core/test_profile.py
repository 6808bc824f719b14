"""Profiles: resolved with what they extend, under the job's own keys and over the queue's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from aq.core.files.profilefile import parse_profile
from aq.core.manifest import Budget, Check, CheckKind, Manifest, Retry, ReviewPolicy
from aq.core.operations import Spawn
from aq.core.planning.eligible import job_blockers
from aq.core.profile import (
    MAX_CHAIN,
    NO_PROFILE,
    Profile,
    ProfileFile,
    applied,
    merged,
    pinned,
    profile_for,
    resolve,
    sources,
)
from aq.core.settings import Settings
from aq.core.value import replace
from tests.support.builders import NOW, Queue, job, snapshot


def given(**keys: Any) -> Manifest:
    return Manifest(**keys, given=tuple(sorted(keys)))


FILES = {
    "developer": ProfileFile("You develop.", given(engine_class="agentic-coder", model="small")),
    "frontend": ProfileFile(
        "You do frontends.", given(model="big", capabilities=("has:node",)), extends="developer"
    ),
    "ui": ProfileFile("", given(capabilities=("has:browser",)), extends="frontend"),
    "one": ProfileFile("", extends="two"),
    "two": ProfileFile("", extends="one"),
    "orphan": ProfileFile("", extends="nobody"),
}


def read(blob: str) -> ProfileFile | str:
    return FILES.get(blob.removeprefix("blob-"), "line 2: unknown key 'x'")


def names(*more: str) -> dict[str, str]:
    return {name: f"blob-{name}" for name in (*FILES, *more)}


def test_a_profile_takes_what_it_does_not_give_from_the_one_it_extends() -> None:
    found = resolve("ui", names(), read)
    assert found.body == "You develop.\n\nYou do frontends."
    assert found.defaults == given(
        engine_class="agentic-coder", model="big", capabilities=("has:browser", "has:node")
    )
    assert found.blobs == ("blob-ui", "blob-frontend", "blob-developer")
    assert found.pin == "blob-ui blob-frontend blob-developer"
    assert dict(found.origins) == {
        "capabilities": "ui",
        "model": "frontend",
        "engine_class": "developer",
    }
    assert (found.problem, found.summary) == ("", "You develop.")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        pytest.param("nobody", "there is no profiles/nobody.md", id="a profile that nobody wrote"),
        pytest.param(
            "orphan", "there is no profiles/nobody.md (extended by orphan)", id="one that extends nothing"
        ),
        pytest.param("one", "profiles extend each other: one -> two -> one", id="a circle"),
        pytest.param("broken", "profiles/broken.md:2: unknown key 'x'", id="a file that is not valid"),
    ],
)
def test_a_broken_profile_says_why(name: str, problem: str) -> None:
    assert resolve(name, names("broken"), read).problem == problem


def test_a_chain_has_an_end() -> None:
    chain = {str(n): ProfileFile(extends=str(n + 1)) for n in range(MAX_CHAIN)}
    chain[str(MAX_CHAIN)] = ProfileFile()
    found = resolve("0", {name: name for name in chain}, chain.__getitem__)
    assert found.problem == f"profile 0 extends more than {MAX_CHAIN - 1} others"
    assert resolve("1", {name: name for name in chain}, chain.__getitem__).problem == ""


def test_a_pin_brings_back_the_very_files_and_a_pin_that_cannot_be_read_nothing() -> None:
    before = resolve("ui", names(), read)
    again = pinned("ui", before.pin, read)
    assert again is not None
    assert replace(again, origins=before.origins) == before
    assert pinned("ui", "blob-gone", read) is None
    assert pinned("ui", "", read) is None
    assert merged("x", [("x", "blob-gone")], read) == Profile("x", blobs=("blob-gone",))


def test_the_job_s_profile_is_its_own_or_the_queue_s_or_none() -> None:
    known = {"dev": Profile("dev", "You develop.")}
    assert profile_for(given(profile="dev"), given(profile="x"), known) == known["dev"]
    assert profile_for(given(), given(profile="dev"), known) == known["dev"]
    assert profile_for(given(), given(), known) is NO_PROFILE
    assert profile_for(given(profile="x"), given(), known).problem == "there is no profiles/x.md"


DEV = Profile("dev", "", given(model="big", capabilities=("has:node",)), origins={"model": "dev"})


@pytest.mark.parametrize(
    ("asked", "profile", "defaults", "key", "value", "source"),
    [
        pytest.param(
            given(model="mine"), DEV, given(model="all"), "model", "mine", "the job", id="the job's own key"
        ),
        pytest.param(
            given(), DEV, given(model="all"), "model", "big", "profile dev", id="else its profile's"
        ),
        pytest.param(
            given(), NO_PROFILE, given(model="all"), "model", "all", "queue/aq.yaml", id="else the queue's"
        ),
        pytest.param(given(), NO_PROFILE, given(), "model", "", "built-in", id="else the built-in one"),
        pytest.param(
            given(engine_class="painter"),
            NO_PROFILE,
            given(engine="claude"),
            "engine",
            "",
            "built-in",
            id="who asks for a class does not get the default engine",
        ),
        pytest.param(
            given(),
            Profile("dev", "", given(engine_class="painter"), origins={"engine_class": "dev"}),
            given(engine="claude"),
            "engine",
            "",
            "built-in",
            id="nor does who has a profile that asks for one",
        ),
        pytest.param(
            given(engine="shell"),
            Profile("dev", "", given(engine_class="painter"), origins={"engine_class": "dev"}),
            given(),
            "engine_class",
            "",
            "built-in",
            id="and who names an engine does not get a class",
        ),
        pytest.param(
            given(cwd="/srv"), NO_PROFILE, given(repo="x"), "repo", "", "built-in", id="a folder is no repo"
        ),
    ],
)
def test_the_nearer_wins_and_its_source_is_told(
    asked: Manifest, profile: Profile, defaults: Manifest, key: str, value: Any, source: str
) -> None:
    whole = applied(asked, profile, defaults)
    assert getattr(whole, key) == value
    assert sources(asked, profile, defaults)[key] == source
    assert whole.given == asked.given


def test_what_the_job_and_its_profile_require_adds_up() -> None:
    asked = given(capabilities=("has:docker", "has:node"))
    profile = Profile("dev", "", given(capabilities=("has:node", "gpu")), origins={"capabilities": "base"})
    assert applied(asked, profile, given()).capabilities == ("has:docker", "has:node", "gpu")
    assert sources(asked, profile, given())["capabilities"] == "the job and profile base"


def test_without_defaults_a_manifest_stays_the_very_same() -> None:
    asked = given(model="x")
    assert applied(asked, NO_PROFILE, given()) is asked


@pytest.mark.parametrize(
    ("body", "summary"),
    [("# Title\n\n You are. \nMore.", "You are."), ("# Title", ""), ("", "")],
    ids=["the first line that is no heading", "only a heading", "nothing"],
)
def test_the_summary_of_a_persona(body: str, summary: str) -> None:
    assert Profile(body=body).summary == summary


FULL = b"""---
name: dev
description: builds
extends: base
capabilities: [has:node]
engine-class: painter
prefers-engine: [claude, codex]
model: big
default-verify: pytest -q
allowed-scope: ["src/**"]
review-policy: auto
budget: {usd: 5}
retry: {max: 3}
sandbox: required
---
You develop.
"""


def test_every_key_of_a_profile_is_a_default_of_its_jobs() -> None:
    found = parse_profile(FULL, "dev", "profiles/dev.md")
    assert (found.body, found.extends) == ("You develop.", "base")
    assert found.defaults == given(
        capabilities=("has:node",),
        engine_class="painter",
        prefers_engine=("claude", "codex"),
        model="big",
        verify=(Check(CheckKind.COMMAND, "pytest -q"),),
        allowed_scope=("src/**",),
        review_policy=ReviewPolicy("auto"),
        budget=Budget(usd=5.0),
        retry=Retry(max=3),
        sandbox="required",
    )


def test_a_profile_may_be_a_persona_alone() -> None:
    assert parse_profile(b"You test.\n") == ProfileFile("You test.")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(
            b"---\nname: other\n---\nx", "profiles/dev.md:2: name: the file is called dev.md", id="name"
        ),
        pytest.param(b"---\ncapabilites: [x]\n---\nx", "did you mean 'capabilities'?", id="a misspelt key"),
        pytest.param(b"---\nengine: claude\n---\nx", "unknown key 'engine'", id="a job's key"),
        pytest.param(b"---\nsandbox: maybe\n---\nx", "write one of 'auto'", id="a value that is not known"),
        pytest.param(b"---\nmodel: x\n", "the front matter is never closed", id="an open fence"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_line(text: bytes, words: str) -> None:
    with pytest.raises(Exception, match=r"profiles/dev\.md:") as caught:
        parse_profile(text, "dev", "profiles/dev.md")
    assert words in str(caught.value)


def known(**profiles: Profile) -> Mapping[str, Profile]:
    return profiles


def test_a_job_whose_profile_is_broken_waits_and_says_so() -> None:
    queue = Queue(snapshot(profiles=known(dev=DEV)))
    queue.add("good", profile="dev")
    queue.add("bad", profile="nobody")
    assert job_blockers(queue.job("good"), queue.now, NOW) == []
    assert job_blockers(queue.job("bad"), queue.now, NOW) == ["there is no profiles/nobody.md"]
    queue.refused(queue.claim_of("bad"), "there is no profiles/nobody.md")


def test_a_job_that_comes_in_is_complete_at_once() -> None:
    queue = Queue(
        snapshot(profiles=known(dev=DEV), settings=Settings(defaults=given(profile="dev", timeout=9.0)))
    )
    queue.add("a")
    found = queue.job("a")
    assert (found.manifest.model, found.manifest.timeout, found.profile) == ("big", 9.0, DEV)


def test_a_verify_keeps_the_profile_of_the_run() -> None:
    queue = Queue(snapshot(profiles=known(dev=Profile("dev", blobs=("b1",)))))
    fence = queue.landed("a", profile="dev")
    queue.do(queue.reclaim_of(fence))
    queue.do(queue.verify_claim_of("a"))
    assert [run.profile for run in queue.job("a").record.runs] == ["b1", "b1"]
    lease = queue.job("a").lease
    assert lease is not None
    assert lease.profile == "b1"


def test_a_copy_of_a_schedule_runs_as_the_schedule_says() -> None:
    queue = Queue(snapshot(profiles=known(dev=DEV)))
    queue.add("nightly", profile="dev", every=3600.0)
    change = queue.do(Spawn(**queue.common("mac-1"), schedule="nightly"))
    assert change.jobs[0].after.profile == DEV


def test_the_builder_s_job_has_no_profile() -> None:
    assert job("a").profile is NO_PROFILE
