"""The queue's line as an audit reads it: through merges by people, and from the middle."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aq.core.audit.auditor import Breach
from aq.ledger.line import Line
from aq.ledger.objects import Objects
from tests.support.audit import breaches
from tests.support.fleet import HELLO, Fleet, git
from tests.support.story import Story, hand_write, story


def line_of(fleet: Fleet) -> list[str]:
    """The subjects of the queue's line, oldest first."""
    objects = Objects(fleet.hub)
    found = [c.message.splitlines()[0] for c in Line(objects, fleet.hub, fleet.tip()).commits()]
    objects.close()
    return found


def committed_beside(tale: Story, you: Path) -> None:
    """A job of the queue's, and one that a person committed by hand and did not push yet."""
    tale.inbox("one")
    git(you, "pull", "--quiet", "--ff-only", "origin", "main")
    (you / "queue/inbox/mine.md").write_text(HELLO)
    git(you, "add", ".")
    git(you, "commit", "--quiet", "-m", "mine")


def test_the_line_follows_the_queue_through_a_persons_merge(fleet: Fleet) -> None:
    tale, you = story(fleet, "ada"), fleet.you.path
    committed_beside(tale, you)
    tale.do(tale.claim_of("one"))
    git(you, "pull", "--quiet", "--no-rebase", "--no-edit", "origin", "main")
    git(you, "push", "--quiet", "origin", "HEAD:main")
    subjects = line_of(fleet)
    assert "mine" not in subjects, "the side of the person is one step: the merge"
    assert subjects[-2].startswith("claim one")
    assert subjects[-1].startswith("Merge")
    assert breaches(fleet.hub) == []


DATES = {"thousands of digits": "9" * 5000, "more than a number holds": "9" * 30, "no number": "soon"}


@pytest.mark.parametrize("date", DATES.values(), ids=DATES)
def test_a_commit_with_a_date_that_is_none_stops_nobody(fleet: Fleet, date: str) -> None:
    tale, you = story(fleet, "ada"), fleet.you.path
    committed_beside(tale, you)
    raw = re.sub(r"(?m)^(committer .*> )\d+", rf"\g<1>{date}", git(you, "cat-file", "commit", "HEAD"))
    (fleet.root / "raw").write_text(raw + "\n")
    oid = git(you, "hash-object", "-t", "commit", "-w", "--literally", str(fleet.root / "raw"))
    git(you, "push", "--quiet", "origin", f"{oid}:main")
    assert "mine" in fleet.you.aq("status").stdout
    assert "mine" in fleet.you.aq("log").stdout
    fleet.machine("ada").aq("run", "--until-idle", "--host", "ada")
    fleet.audited = False


def test_a_person_who_has_git_show_signatures_sees_the_log_all_the_same(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(fleet.you.path, "config", "log.showSignature", "true")
    signer = fleet.root / "signer"
    said = "echo '[GNUPG:] SIG_CREATED ' >&2\necho '-----BEGIN PGP SIGNATURE-----'\n"
    signer.write_text(f"#!/bin/sh\ncat > /dev/null\n{said}")
    signer.chmod(0o755)
    you = fleet.you.path
    (you / "queue/inbox/mine.md").write_text(HELLO)
    git(you, "add", ".")
    git(you, "-c", f"gpg.program={signer}", "commit", "--quiet", "-S", "-m", "mine")
    git(you, "push", "--quiet", "origin", "HEAD:main")
    assert "No signature" in git(you, "log", "-1") or "gpg" in git(you, "log", "-1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(fleet.root / "tasteful"))
    git(you, "config", "--file", str(fleet.root / "tasteful"), "log.showSignature", "true")
    assert "mine" in fleet.you.aq("log").stdout


def test_what_is_wrong_is_found_from_the_middle_as_well(fleet: Fleet) -> None:
    tale = story(fleet, "ada")
    tale.building("one")
    middle = fleet.tip()
    hand_write(fleet.you.path, "queue/testing/two.md", HELLO)

    def clauses(found: list[Breach]) -> list[tuple[str, bool]]:
        return [(breach.clause, breach.by_hand) for breach in found]

    assert clauses(breaches(fleet.hub)) == clauses(breaches(fleet.hub, since=middle)) == [("I3", True)]


def test_the_command_names_the_first_offender_and_exits_1(fleet: Fleet) -> None:
    story(fleet, "ada").building("one")
    assert "every invariant holds" in fleet.you.aq("audit").stdout
    hand_write(fleet.you.path, "queue/testing/two.md", HELLO)
    offender = fleet.tip()
    done = fleet.you.aq("audit", ok=False)
    assert done.returncode == 1
    assert f"I3  {offender[:12]}" in done.stdout
    assert "queue/testing/two.md" in done.stdout
    assert '"clause": "I3"' in fleet.you.aq("audit", "--json", ok=False).stdout
    assert fleet.you.aq("audit", "--since", offender).returncode == 0


def test_the_board_as_it_was(fleet: Fleet) -> None:
    tale = story(fleet, "ada")
    tale.inbox("one")
    then = fleet.tip()
    tale.do(tale.claim_of("one"))
    assert "inbox 1  building 0" in fleet.you.aq("board", "--at", then).stdout
    assert "inbox 0  building 1" in fleet.you.aq("board").stdout
    assert fleet.you.aq("board", "--at", "2001-01-01", ok=False).returncode == 1


@pytest.mark.parametrize("first", ["queue", "side"])
def test_a_merge_that_takes_operations_back_is_a_breach(fleet: Fleet, first: str) -> None:
    """Its tree is a legal one beside a side that holds nothing: that side is not the queue."""
    old = fleet.tip()
    tale = story(fleet, "ada")
    tale.building("one")
    as_person = ("-c", "user.name=eve", "-c", "user.email=eve@example.invalid")
    side = git(fleet.hub, *as_person, "commit-tree", f"{old}^{{tree}}", "-p", old, "-m", "nothing")
    parents = [fleet.tip(), side] if first == "queue" else [side, fleet.tip()]
    named = [arg for parent in parents for arg in ("-p", parent)]
    merge = git(fleet.hub, *as_person, "commit-tree", f"{old}^{{tree}}", *named, "-m", "merge")
    git(fleet.hub, "update-ref", "refs/heads/main", merge)
    found = breaches(fleet.hub)
    assert {(breach.commit, breach.clause) for breach in found} == {(merge, "I1"), (merge, "I3")}
