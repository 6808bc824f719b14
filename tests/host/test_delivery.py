"""Pull requests through the forge's own command line: one for each branch, read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.host.delivery import Forge, Request, open_request, summary_of
from aq.host.gitproc import WorkspaceError
from aq.host.repos import ConflictError, Mirror
from tests.host.forges import FakeForge
from tests.host.targets import Target
from tests.support.fleet import git

SOURCES = {"gh": "https://github.com/team/target.git", "glab": "git@gitlab.com:team/sub/target.git"}


@pytest.fixture(params=["gh", "glab"])
def forge(
    request: pytest.FixtureRequest, tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> FakeForge:
    made = FakeForge(tmp_path, request.param, target.bare)
    monkeypatch.setenv("PATH", made.path)
    source = SOURCES[request.param]
    git(tmp_path, "config", "--global", f"url.{target.url}.insteadOf", source)
    made.source = source  # type: ignore[attr-defined]
    return made


@pytest.fixture
def mirror(forge: FakeForge, tmp_path: Path) -> Mirror:
    return Mirror.of(tmp_path / "mirrors", forge.source)  # type: ignore[attr-defined]


@pytest.fixture
def wanted(target: Target) -> Request:
    target.push("new", "x\n", "aq/job/1")
    return Request("aq/job/1", target.tip("aq/job/1"), "main", "A job", "What it is.\n")


def test_a_pull_request_is_made_once_and_read_back(forge: FakeForge, mirror: Mirror, wanted: Request) -> None:
    url = open_request(mirror, wanted)
    assert open_request(mirror, wanted) == url == "https://forge.invalid/pr/1"
    [made] = forge.requests
    assert (made["branch"], made["base"], made["title"], made["body"]) == (
        "aq/job/1",
        "main",
        "A job",
        "What it is.\n",
    )
    assert made["repo"] in ("github.com/team/target", "https://gitlab.com/team/sub/target")


def test_a_reply_that_is_lost_makes_no_second_one(forge: FakeForge, mirror: Mirror, wanted: Request) -> None:
    forge.save(lost=True)
    assert open_request(mirror, wanted) == "https://forge.invalid/pr/1"
    assert open_request(mirror, wanted) == "https://forge.invalid/pr/1"
    assert len(forge.requests) == 1


@pytest.mark.parametrize("other", [{"base": "next"}, {"foreign": True}], ids=["base", "fork"])
@pytest.mark.parametrize("state", ["open", "merged", "closed"])
def test_one_into_another_branch_or_from_a_fork_is_not_this_one(
    forge: FakeForge, mirror: Mirror, wanted: Request, other: dict[str, object], state: str
) -> None:
    first = open_request(mirror, wanted)
    forge.change(state=state, **other)
    second = open_request(mirror, wanted)
    assert second != first
    assert [entry["base"] for entry in forge.requests][1:] == ["main"]
    assert open_request(mirror, wanted) == second


def test_one_that_was_merged_already_is_found(forge: FakeForge, mirror: Mirror, wanted: Request) -> None:
    url = open_request(mirror, wanted)
    forge.change(state="merged")
    assert open_request(mirror, wanted) == url


def test_one_that_a_person_closed_is_for_a_person(forge: FakeForge, mirror: Mirror, wanted: Request) -> None:
    open_request(mirror, wanted)
    forge.change(state="closed")
    with pytest.raises(ConflictError, match="pr/1 was closed by a person"):
        open_request(mirror, wanted)
    assert len(forge.requests) == 1


def test_one_that_shows_other_work_is_for_a_person(forge: FakeForge, mirror: Mirror, wanted: Request) -> None:
    open_request(mirror, wanted)
    forge.change(tip="0" * 40)
    with pytest.raises(ConflictError, match="pr/1 shows 000000000000, not "):
        open_request(mirror, wanted)


def test_a_forge_that_refuses_is_asked_again_later(forge: FakeForge, mirror: Mirror, wanted: Request) -> None:
    forge.save(fail="HTTP 401: Bad credentials")
    with pytest.raises(WorkspaceError, match="list failed: HTTP 401: Bad credentials"):
        open_request(mirror, wanted)


def test_a_branch_that_is_gone_or_moved_is_for_a_person(
    mirror: Mirror, wanted: Request, target: Target
) -> None:
    target.push("more", "x\n", "aq/job/1")
    with pytest.raises(ConflictError, match="the branch aq/job/1 is at "):
        open_request(mirror, wanted)
    git(target.bare, "branch", "-D", "aq/job/1")
    with pytest.raises(ConflictError, match="the branch aq/job/1 is gone"):
        open_request(mirror, wanted)


def test_a_repository_that_does_not_answer_is_asked_again_later(
    mirror: Mirror, wanted: Request, target: Target
) -> None:
    target.bare.rename(target.bare.with_name("away"))
    with pytest.raises(WorkspaceError, match="ls-remote"):
        open_request(mirror, wanted)


FORGES = {
    "https://github.com/a/b.git": ("gh", "github.com/a/b"),
    "https://token@github.example.com:8443/a/b/": ("gh", "github.example.com/a/b"),
    "ssh://git@github.com/a/b": ("gh", "github.com/a/b"),
    "git@github.com:a/b.git": ("gh", "github.com/a/b"),
    "https://code.example.com/a/b": ("gh", "code.example.com/a/b"),
}


@pytest.mark.parametrize(("source", "found"), FORGES.items(), ids=FORGES)
def test_a_repositorys_url_leads_to_its_forge(
    source: str, found: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", FakeForge(tmp_path, "gh", tmp_path).path)
    forge = Forge.of(source)
    assert (forge.tool, forge.repo) == found


@pytest.mark.parametrize(
    "source", ["/srv/target.git", "./target.git", "C:/code/target", "file:///srv/target"]
)
def test_a_repository_on_no_forge_is_for_a_person(source: str) -> None:
    with pytest.raises(ConflictError, match="is on no forge"):
        Forge.of(source)


def test_a_host_without_the_forges_tool_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WorkspaceError, match="this host has no glab"):
        Forge.of("https://gitlab.com/a/b")


def test_the_summary_is_the_commits_own_words(mirror: Mirror) -> None:
    tree = mirror.must("rev-parse", f"{mirror.tip('main')}^{{tree}}")
    tip = mirror.commit(tree, mirror.tip("main"), "T\n\nDid it.\n\n- one\n\nAq-Job: a\nAq-Epoch: 1\n")
    assert summary_of(mirror, tip) == "Did it.\n\n- one"
