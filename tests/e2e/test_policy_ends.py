"""Where jobs end, with real hosts: those that always fail after exactly the tries they have, those that pass
before a person, and those that depend on others in an order that their deps allow."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from aq.core.event import parse
from aq.core.lifecycle import Stage
from aq.core.operations import Ship
from aq.core.results import Landed
from tests.e2e.policy import Board, submit
from tests.support.audit import audit, commits
from tests.support.fleet import Fleet, op, wait_until

# Two roots, a fan-out, two fan-ins that share a dep, a chain, and one that waits for nearly all.
DEPS = {
    "root-a": (),
    "root-b": (),
    "fan-1": ("root-a",),
    "fan-2": ("root-a",),
    "fan-3": ("root-a",),
    "mid-1": ("fan-1", "fan-2", "root-b"),
    "mid-2": ("fan-2", "fan-3"),
    "chain-1": ("root-b",),
    "chain-2": ("chain-1",),
    "late-1": ("mid-1", "chain-2"),
    "late-2": ("mid-1", "mid-2"),
    "last": ("late-1", "late-2"),
}


def test_a_job_that_always_fails_is_dead_after_exactly_its_tries_and_requeue_starts_it_anew(
    policy_fleet: Fleet, tmp_path: Path
) -> None:
    board, tries = Board(policy_fleet), {"once": 0, "twice": 1, "four-times": 3}
    script = f"mktemp {tmp_path}/$AQ_JOB.$AQ_EPOCH.XXXXXXXX\n[ -e {tmp_path}/mended ] || exit 3\ntouch done\n"
    front = "engine: shell\nverify: test -f done\nretry: {max: %d, backoff: 0s}"
    submit(policy_fleet, {job: f"---\n{front % most}\n---\n{script}" for job, most in tries.items()})
    submit(policy_fleet, {"good": "---\nengine: shell\nverify: test -f done\n---\ntouch done\n"})
    for host in ("ada", "bob"):
        policy_fleet.start(host)
    wait_until(lambda: board.settled(Stage.DEAD_LETTER) == sorted(tries), what="the dead letters")
    wait_until(lambda: board.settled(Stage.TESTING) == ["good"], what="the good one to wait")
    seen = audit(policy_fleet.hub)
    assert seen.claims() == {job: most + 1 for job, most in tries.items()} | {"good": 1}
    assert _runs(tmp_path) == {f"{job}.{n + 1}": 1 for job, most in tries.items() for n in range(most + 1)}
    shown = policy_fleet.you.aq("show", "twice").stdout
    assert "attempts   2 of 2" in shown
    assert "in attempt 2 of 2: exit code 3" in shown, "why it is dead"
    assert shown.count("exit code 3") >= 3, "and what became of each run"
    _requeued(policy_fleet, board, tmp_path)


def _runs(folder: Path) -> Counter[str]:
    return Counter(path.name.rsplit(".", 1)[0] for path in folder.glob("*.*.????????"))


def _requeued(fleet: Fleet, board: Board, folder: Path) -> None:
    """The dead letter is tried again after it was mended, and a person ships it; the good one waited."""
    (folder / "mended").touch()
    fleet.you.aq("requeue", "twice", "-m", "the disk was full")
    wait_until(lambda: board.settled(Stage.TESTING) == ["good", "twice"], what="the new submission to pass")
    story = json.loads(fleet.you.aq("show", "twice", "--json").stdout)["record"]
    assert (story["submission"], story["attempts"], story["epoch"]) == (2, 1, 3)
    assert [run["epoch"] for run in story["runs"]] == [1, 2, 3], "the runs of both submissions"
    assert [run["outcome"] for run in story["runs"]] == ["agent", "agent", "passed"]
    assert story["feedback"][0]["text"] == "the disk was full"
    fleet.you.aq("ship", "good", "twice")
    seen = audit(fleet.hub)
    tried = ["claim", "fail"]
    assert seen.of("twice") == ["add", *tried, *tried, "requeue", "claim", "land", "verified", "ship"]
    assert seen.of("good") == ["add", "claim", "land", "verified", "ship"]


def test_twelve_jobs_with_fan_out_and_fan_in_run_on_three_hosts_in_an_order_that_their_deps_allow(
    policy_fleet: Fleet,
) -> None:
    text = "---\nengine: shell\nverify: test -f done\ndeps: [%s]\n---\ntouch done\n"
    # The last first: the order in which jobs came must not be what saves them.
    submit(policy_fleet, {job: text % ", ".join(deps) for job, deps in reversed(DEPS.items())})
    for host in ("ada", "bob", "eve"):
        policy_fleet.start(host)
    board, person, shipped = Board(policy_fleet), policy_fleet.you.ledger(), set[str]()
    while len(shipped) < len(DEPS):
        ready = wait_until(lambda: board.settled(Stage.TESTING), what=f"more than {shipped}")
        results = person.perform([Ship(**op(), job=job) for job in ready])
        shipped |= {result.operation.about for result in results if isinstance(result, Landed)}
    order = [
        (event.op, event.job)
        for commit in commits(policy_fleet.hub)
        if (event := parse(commit.message)) and event.op in ("claim", "ship")
    ]
    assert Counter(order) == {(op, job): 1 for op in ("claim", "ship") for job in DEPS}
    early = [
        (job, dep)
        for job, deps in DEPS.items()
        for dep in deps
        if order.index(("ship", dep)) > order.index(("claim", job))
    ]
    assert not early, "claimed before what it needs was shipped"
    assert len({event.host for event in audit(policy_fleet.hub).events if event.op == "claim"}) > 1
