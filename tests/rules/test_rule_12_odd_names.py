"""Rule 12: entries that no honest program writes into the inbox stop no host, and each says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from tests.support.fleet import HELLO, Fleet, git, wait_until
from tests.support.story import plant, story

FILE, LINK, EXECUTABLE, GITLINK = "100644", "120000", "100755", "160000"


def blob(clone: Path, text: str = HELLO) -> str:
    return git(clone, "hash-object", "-w", "--stdin", data=text.encode())


def raw_tree(repo: Path, entries: list[tuple[str, bytes, str]]) -> str:
    """A tree object with any names, as a hostile client could push it."""
    raw = b"".join(b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(oid)) for mode, name, oid in entries)
    return git(repo, "hash-object", "-w", "-t", "tree", "--literally", "--stdin", data=raw)


def plant_raw(clone: Path, name: bytes, text: str = HELLO) -> None:
    """An inbox entry of a name that git's own index refuses, pushed as a commit."""
    git(clone, "pull", "--quiet", "--no-rebase")
    keep = git(clone, "rev-parse", "HEAD:queue/inbox/.gitkeep")
    entries = sorted([("100644", b".gitkeep", keep), ("100644", name, blob(clone, text))], key=lambda e: e[1])
    inbox = raw_tree(clone, entries)
    queue = [line.split(None, 3) for line in git(clone, "ls-tree", "HEAD:queue").splitlines()]
    folder = "".join(f"{m} {k} {inbox if n == 'inbox' else oid}\t{n}\n" for m, k, oid, n in queue)
    above = [line.split(None, 3) for line in git(clone, "ls-tree", "HEAD").splitlines()]
    made = git(clone, "mktree", data=folder.encode())
    root = "".join(f"{m} {k} {made if n == 'queue' else oid}\t{n}\n" for m, k, oid, n in above)
    tree = git(clone, "mktree", data=root.encode())
    commit = git(clone, "commit-tree", tree, "-p", "HEAD", "-m", "odd")
    git(clone, "push", "--quiet", "origin", f"{commit}:main")


ODD = {
    "a symbolic link": (LINK, "/etc/passwd", "link.md", "a symbolic link"),
    "a symbolic link to a job": (LINK, "../../aq.yaml", "x.md", "a symbolic link"),
    "an executable": (EXECUTABLE, HELLO, "run.md", "an executable file"),
    "a nested repository": (GITLINK, "", "sub.md", "a nested repository"),
    "a reserved name of Windows": (FILE, HELLO, "CON.md", "not a job: rename it"),
    "a reserved name in lower case": (FILE, HELLO, "con.md", "not a job: rename it"),
    "an upper case name": (FILE, HELLO, "A.md", "not a job: rename it"),
    "a name with a space": (FILE, HELLO, "Fix Login.md", "not a job: rename it"),
    "a name with dots": (FILE, HELLO, "x.lease.md", "not a job: rename it"),
    "a name like an option": (FILE, HELLO, "--help.md", "not a job: rename it"),
    "a name with a newline": (FILE, HELLO, "a\nb.md", "not a job: rename it"),
    "a name with an escape": (FILE, HELLO, "\x1b[31m.md", "not a job: rename it"),
    "a name that is too long": (FILE, HELLO, "x" * 65 + ".md", "not a job: rename it"),
    "no Markdown file": (FILE, HELLO, "notes.txt", "not a job file: remove it"),
    "a record without a job": (FILE, "{epoch: 1}\n", "ghost.record.yaml", "hand"),
    "a lease without a job": (FILE, "{}\n", "ghost.lease.yaml", "a lease without a job"),
    "a file in a folder": (FILE, HELLO, "folder/x.md", "a folder"),
    "a folder named like a job": (FILE, HELLO, "job.md/x.md", "a folder"),
    "a secret file of git": (FILE, HELLO, "job.MD", "not a job: rename it"),
}


@pytest.mark.attack("S11", "S12")
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_entry_stops_no_host_and_shows_its_reason(fleet: Fleet, odd: str) -> None:
    mode, text, name, reason = ODD[odd]
    clone = fleet.you.path
    content = git(clone, "rev-parse", "HEAD") if mode == GITLINK else blob(clone, text)
    plant(clone, f"{mode} {content} queue/inbox/{name}")
    tale = story(fleet, "ada")
    tale.ledger.fetch()
    tale.testing("good")
    shown = fleet.machine("bob").aq("status").stdout
    assert reason in shown
    assert "\x1b" not in shown
    assert not tale.snapshot.stages[Stage.INBOX].keys() - {"ghost"}
    tale.fsck()
    fleet.machine("bob").aq("doctor", "--fix", ok=False)
    tale.ledger.fetch()
    if odd != "a record without a job":
        assert tale.snapshot.problems == (), "doctor --fix takes it out"
    assert tale.job("good").stage is Stage.TESTING


@pytest.mark.attack("S11")
@pytest.mark.parametrize(
    "name",
    [b"../x.md", b"..", b".", b"a/b.md", b"../../../../x.md", b"\xff\xfe.md", b".git"],
    ids=["a path upwards", "dot dot", "dot", "a path", "a path out of the repository", "no UTF-8", "dot git"],
)
def test_a_name_that_git_itself_refuses_stops_no_host_and_shows_its_reason(fleet: Fleet, name: bytes) -> None:
    tale = story(fleet, "ada")
    plant_raw(fleet.machine("eve").path, name)
    tale.ledger.fetch()
    tale.testing("good")
    shown = fleet.you.aq("status").stdout
    assert "queue/inbox/" in shown
    assert "remove it" in shown or "rename it" in shown
    assert list(tale.snapshot.stages[Stage.INBOX]) == []
    assert not (fleet.you.path.parent / "x.md").exists()
    fleet.you.aq("doctor", "--fix", ok=False)
    tale.ledger.fetch()
    assert tale.snapshot.problems == (), "doctor --fix takes it out"
    tale.testing("better")
    assert git(fleet.hub, "fsck", "--no-dangling", "--no-progress", "main", ok=False) == ""


@pytest.mark.attack("S11")
def test_two_names_that_differ_in_case_only_are_both_shown(fleet: Fleet) -> None:
    clone = fleet.you.path
    content = blob(clone)
    plant(clone, f"{FILE} {content} queue/inbox/A.md", f"{FILE} {content} queue/inbox/a.md")
    tale = story(fleet, "ada")
    tale.ledger.fetch()
    assert "queue/inbox/A.md" in fleet.machine("bob").aq("status").stdout
    tale.do(tale.claim_of("a"))


def test_all_of_it_at_once_and_a_host_still_runs_the_good_job(fleet: Fleet) -> None:
    clone = fleet.you.path
    kinds = [entry for entry in ODD.values() if entry[0] != GITLINK and "/" not in entry[2]]
    plant(clone, *[f"{mode} {blob(clone, text)} queue/inbox/{name}" for mode, text, name, _ in kinds])
    plant(clone, f"{GITLINK} {git(clone, 'rev-parse', 'HEAD')} queue/inbox/sub.md")
    eve = fleet.machine("eve")
    eve.drop("good")
    eve.aq("status")
    fleet.start("bob", "--slots", "1")
    wait_until(lambda: (job := fleet.job("good")) and job.stage is Stage.TESTING, 25, "good in testing")
