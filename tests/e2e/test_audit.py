"""The audit that all these tests trust: it accepts the real thing and goes red for each broken law."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aq.core.event import Event, render
from aq.core.lifecycle import Stage, Trigger
from tests.support.audit import audit, breaches
from tests.support.fleet import Fleet, git
from tests.support.story import Story, story


def _commit(clone: Path, message: str) -> None:
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--allow-empty", "-F", "-", data=message.encode())
    git(clone, "push", "--quiet", "origin", "HEAD:main")


def _says(op: str, job: str, source: Stage, target: Stage, epoch: int = 1) -> str:
    """A message as aq writes it."""
    return render(Event(op, "mallory", "0" * 16, job, source, target, host="ada", epoch=epoch))


def _move(clone: Path, job: str, source: str, target: str, *suffixes: str) -> None:
    for suffix in suffixes or ("md", "record.yaml"):
        git(clone, "mv", f"queue/{source}/{job}.{suffix}", f"queue/{target}/{job}.{suffix}")


def _skips_review(clone: Path) -> str:
    _move(clone, "job", "building", "testing", "md", "record.yaml")
    git(clone, "rm", "--quiet", "queue/building/job.lease.yaml")
    return _says(Trigger.VERIFIED, "job", Stage.BUILDING, Stage.TESTING)


def _keeps_the_lease(clone: Path) -> str:
    _move(clone, "job", "building", "inbox", "md", "record.yaml", "lease.yaml")
    return _says(Trigger.RELEASE, "job", Stage.BUILDING, Stage.INBOX)


def _lies_about_the_move(clone: Path) -> str:
    _move(clone, "job", "building", "review", "md", "record.yaml", "lease.yaml")
    return _says(Trigger.LAND, "job", Stage.BUILDING, Stage.TESTING)


def _is_in_two_folders(clone: Path) -> str:
    (clone / "queue/review/job.md").write_bytes((clone / "queue/building/job.md").read_bytes())
    return _says(Trigger.LAND, "job", Stage.BUILDING, Stage.REVIEW)


def _vanishes(clone: Path) -> str:
    git(
        clone,
        "rm",
        "--quiet",
        *(f"queue/building/job.{suffix}" for suffix in ("md", "record.yaml", "lease.yaml")),
    )
    return _says(Trigger.CANCEL, "job", Stage.BUILDING, Stage.FAILED)


def _skips_an_epoch(clone: Path) -> str:
    _move(clone, "job", "building", "review", "md", "record.yaml", "lease.yaml")
    return _says(Trigger.LAND, "job", Stage.BUILDING, Stage.REVIEW, epoch=2)


def _changes_the_file(clone: Path) -> str:
    _move(clone, "job", "building", "review", "md", "record.yaml", "lease.yaml")
    (clone / "queue/review/job.md").write_text("other\n")
    return _says(Trigger.LAND, "job", Stage.BUILDING, Stage.REVIEW)


def _touches_another(clone: Path) -> str:
    _move(clone, "job", "building", "review", "md", "record.yaml", "lease.yaml")
    _move(clone, "other", "inbox", "failed", "md")
    return _says(Trigger.LAND, "job", Stage.BUILDING, Stage.REVIEW)


def _is_a_hand_edit(clone: Path) -> str:
    _move(clone, "job", "building", "shipped", "md", "record.yaml", "lease.yaml")
    return "I shipped it\n"


@pytest.mark.parametrize(
    ("crime", "words"),
    [
        pytest.param(_skips_review, "may not move a job", id="a move that the table does not have"),
        pytest.param(_keeps_the_lease, "lease dropped", id="a lease that should be gone"),
        pytest.param(_lies_about_the_move, "says building -> testing", id="a message that lies"),
        pytest.param(_is_in_two_folders, "is in", id="one job in two folders"),
        pytest.param(_vanishes, "vanished", id="a job that vanishes"),
        pytest.param(_skips_an_epoch, "epoch", id="an epoch that jumps"),
        pytest.param(_changes_the_file, "file changed", id="a file that changes after its claim"),
        pytest.param(_touches_another, "touches", id="two jobs in one commit"),
        pytest.param(_is_a_hand_edit, "illegal edit by hand", id="a job moved by hand"),
    ],
)
def test_the_audit_goes_red_at_each_broken_law(
    fleet: Fleet, crime: Callable[[Path], str], words: str
) -> None:
    tale = _begun(fleet)
    fleet.audited = False
    assert audit(fleet.hub).of("job") == ["add", "claim"]
    clone = fleet.you.path
    git(clone, "pull", "--quiet")
    _commit(clone, crime(clone))
    with pytest.raises(Exception, match=words):
        audit(tale.hub)
    assert breaches(fleet.hub)[0].commit == fleet.tip(), "`aq audit` sees it as well"


def _begun(fleet: Fleet) -> Story:
    tale = story(fleet, "ada")
    tale.building("job")
    tale.inbox("other")
    return tale


def test_the_audit_goes_red_at_a_merge(fleet: Fleet) -> None:
    _begun(fleet)
    clone = fleet.you.path
    (clone / "queue/inbox/mine.md").write_text("x\n")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "mine")
    git(clone, "pull", "--quiet", "--no-rebase", "--no-edit")
    git(clone, "push", "--quiet", "origin", "HEAD:main")
    with pytest.raises(AssertionError, match="not linear"):
        audit(fleet.hub)


def test_the_audit_accepts_a_whole_life(fleet: Fleet) -> None:
    tale = story(fleet, "ada")
    tale.shipped("good")
    tale.dead("bad")
    tale.requeue("bad")
    seen = audit(fleet.hub)
    assert seen.stages() == {"good": Stage.SHIPPED, "bad": Stage.INBOX}
    assert seen.by_hand >= 1
