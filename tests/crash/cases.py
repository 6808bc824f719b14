"""What may be interrupted: each operation with the state before it, what a restart does, and what must hold
then. A restart is what a person or a service does: the same command again, and no hand on any file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from aq.core.errors import EXIT_NEGATIVE, EXIT_OK
from aq.core.lifecycle import Stage, Trigger
from aq.ledger.gitproc import run as run_git
from aq.wiring import open_queue
from tests.crash.hosting import Host, runs_of
from tests.crash.world import World
from tests.support.fleet import HELLO
from tests.support.story import Story

X = "x"
TIP = "ab" * 20
_NO_RETRY = "---\nengine: shell\nretry: {max: 0}\n---\nfalse\n"
_COUNTED = "---\nengine: shell\nverify: test -f done\n---\ntouch done\necho $AQ_EPOCH >> {runs}\n"


@dataclass(frozen=True)
class Case:
    """One operation. `act` may die anywhere; `again` is the restart, and must end with 0."""

    prepare: Callable[[Story], object]
    act: Callable[[World], int]
    again: Callable[[World], int]
    holds: Callable[[World], None]


def _fetched(*steps: Callable[[Story], object]) -> Callable[[Story], None]:
    """Some steps, and then a command that leaves the store of `you` as it mostly is."""

    return _then(*steps, lambda tale: World(tale.hub.parent).you.aq("status"))


def _then(*steps: Callable[[Story], object]) -> Callable[[Story], None]:
    def prepare(tale: Story) -> None:
        for step in steps:
            step(tale)

    return prepare


def settled(world: World) -> int:
    """The next command works, the view can be brought to the hub's tip, and nothing waits in the spool."""
    code = world.aq("status")
    assert code == EXIT_OK, f"aq status exited {code}"
    left = [path.name for path in world.you.paths.spool.glob("*") if not path.name.startswith(".")]
    assert not left, f"still in the spool: {left}"
    with open_queue(world.you.path) as queue:
        queue.ledger.fetch()
        report = queue.clone.view.refresh()
        assert not report.behind, report.behind
        assert queue.clone.view.head() == ("main", queue.ledger.tip)
        dirty = run_git(["status", "--porcelain"], cwd=world.you.path).out
        assert not dirty, f"left in the clone: {dirty.decode()}"
    return EXIT_OK


def _repeated(*words: str) -> Callable[[World], int]:
    """The command once more, which may find its work done."""

    def again(world: World) -> int:
        code = world.aq(*words)
        assert code in (EXIT_OK, EXIT_NEGATIVE), f"{words} exited {code}"
        return settled(world)

    return again


def _once(trigger: Trigger, stage: Stage) -> Callable[[World], None]:
    """The job is in a stage, and one such operation happened to it."""

    def holds(world: World) -> None:
        seen = world.audited()
        assert seen.stages().get(X) is stage, seen.stages()
        assert seen.of(X).count(trigger) == 1, seen.of(X)

    return holds


def _command(prepare: Callable[[Story], object], holds: Callable[[World], None], *words: str) -> Case:
    return Case(_fetched(prepare), lambda world: world.aq(*words), _repeated(*words), holds)


def _hosts(
    prepare: Callable[[Story], object], act: Callable[[Host], int], again: Callable[[Host], int], *ops: str
) -> Case:
    """What a host does; in the end exactly these operations happened to the job."""

    def holds(world: World) -> None:
        assert tuple(world.audited().of(X)) == ops, world.audited().of(X)

    def on(step: Callable[[Host], int]) -> Callable[[World], int]:
        def call(world: World) -> int:
            with closing(Host(world)) as host:
                return step(host)

        return call

    return Case(prepare, on(act), on(again), holds)


# --- people ------------------------------------------------------------------------------------------


def _paused(world: World) -> None:
    assert [event.op for event in world.audited().events].count("pause") == 1


def _dropped(text: str = HELLO) -> Callable[[Story], object]:
    """A file that lies in the inbox, or another text in the file of the job that the view shows."""

    def drop(tale: Story) -> None:
        world = World(tale.hub.parent)
        with open_queue(world.you.path) as queue:
            queue.ledger.fetch()
            assert not queue.clone.view.refresh().behind
        world.you.drop(X, text)

    return drop


def _look(world: World) -> int:
    return world.aq("status")


def _added(world: World) -> int:
    (world.root / "text.md").write_text("---\nengine: shell\n---\ntrue\n")
    return world.aq("add", str(world.root / "text.md"))


def _at_most_once(world: World) -> None:
    """Nobody was told that it is in: it may be, once and whole."""
    seen = world.audited()
    assert len([job for job in seen.stages() if job.startswith("text-")]) <= 1, seen.stages()


def _joined(world: World) -> int:
    return world.aq("init", str(world.root / "new"), "--remote", str(world.hub), on="ada")


def _joined_again(world: World) -> int:
    assert _joined(world) == EXIT_OK
    new = world.machine("new")
    assert new.aq("add", "--engine", "shell", "--name", "n", "true").returncode == EXIT_OK
    return EXIT_OK


def _begun(world: World) -> int:
    return world.aq("init", str(world.root / "alone"), on="ada")


def _begun_again(world: World) -> int:
    assert _begun(world) == EXIT_OK
    alone = world.machine("alone")
    assert alone.aq("add", "--engine", "shell", "--name", "n", "true").returncode == EXIT_OK
    assert '"inbox": 1' in alone.aq("status", "--json").stdout or "n-" in alone.aq("status").stdout
    return EXIT_OK


def _sound(world: World) -> None:
    world.audited()


def _grown(tale: Story) -> None:
    """Something to collect: loose objects, and a job that ended."""
    tale.shipped("old")
    tale.testing(X)


def _cleaned(world: World) -> int:
    return world.aq("clean", "--older", "0s")


# --- hosts -------------------------------------------------------------------------------------------


def _claim_again(host: Host) -> int:
    host.restart()
    if not host.holds(X):
        host.claim(X)
    return host.result(host.story.land_of(X, TIP))


def _land_again(host: Host) -> int:
    return host.restart() or (0 if host.landed(X) else host.result(host.story.land_of(X, TIP)))


def _verified_again(host: Host) -> int:
    host.restart()
    return 0 if not host.holds(X) else host.result(host.verified(X))


def _failed_again(host: Host) -> int:
    host.restart()
    return 0 if not host.holds(X) else host.result(host.story.fail_of(X))


def _reclaim_again(host: Host) -> int:
    host.restart()
    return 0 if not host.leased(X) else host.reclaim(X)


def _beat_again(host: Host) -> int:
    host.restart()
    return host.beat()


# --- the whole loop ----------------------------------------------------------------------------------


def _loop(world: World) -> int:
    return world.aq("run", "--host", "ada", "--until-idle", "--quiet", on="ada")


def _loop_again(world: World) -> int:
    assert _loop(world) == EXIT_OK
    return EXIT_OK


def _ran(world: World) -> None:
    """Verified in the end, and no epoch ran twice."""
    seen = world.audited()
    assert seen.stages()[X] is Stage.TESTING, (seen.stages(), seen.of(X))
    epochs = runs_of(world)
    assert len(epochs) == len(set(epochs)), epochs


def _to_run(tale: Story) -> None:
    world = World(tale.hub.parent)
    tale.inbox(X, _COUNTED.format(runs=world.root / "runs"))


CASES = {
    "add": Case(_fetched(lambda t: t.inbox("o")), _added, settled, _at_most_once),
    "drop": Case(
        _then(_fetched(lambda t: t.inbox("o")), _dropped()), _look, settled, _once(Trigger.ADD, Stage.INBOX)
    ),
    "revise": Case(
        _then(_fetched(lambda t: t.inbox(X)), _dropped("---\nengine: shell\n---\ntrue\n")),
        _look,
        settled,
        _once(Trigger.REVISE, Stage.INBOX),
    ),
    "ship": _command(lambda t: t.testing(X), _once(Trigger.SHIP, Stage.SHIPPED), "ship", X),
    "reject": _command(lambda t: t.testing(X), _once(Trigger.REJECT, Stage.FAILED), "reject", X, "too slow"),
    "requeue": _command(lambda t: t.failed(X), _once(Trigger.REQUEUE, Stage.INBOX), "requeue", X),
    "cancel": _command(lambda t: t.building(X), _once(Trigger.CANCEL, Stage.FAILED), "cancel", X),
    "pause": _command(lambda t: t.inbox(X), _paused, "pause", "--why", "a look"),
    "clean": Case(_fetched(_grown), _cleaned, _repeated("clean", "--older", "0s"), _sound),
    "view": Case(lambda t: t.testing(X), settled, settled, _sound),
    "claim": _hosts(lambda t: t.inbox(X), lambda h: h.claim(X), _claim_again, "add", "claim", "land"),
    "land": _hosts(
        lambda t: t.building(X),
        lambda h: h.result(h.story.land_of(X, TIP)),
        _land_again,
        *("add", "claim", "land"),
    ),
    "verified": _hosts(
        lambda t: t.verifying(X, tip=TIP),
        lambda h: h.result(h.verified(X)),
        _verified_again,
        *("add", "claim", "land", "verified"),
    ),
    "fail": _hosts(
        lambda t: t.building(X, _NO_RETRY),
        lambda h: h.result(h.story.fail_of(X)),
        _failed_again,
        *("add", "claim", "fail"),
    ),
    "reclaim": _hosts(
        lambda t: t.building(X), lambda h: h.reclaim(X), _reclaim_again, "add", "claim", "reclaim"
    ),
    "beat": _hosts(lambda t: t.inbox(X), lambda h: h.beat(), _beat_again, "add"),
    "init, joining": Case(_fetched(lambda t: t.inbox(X)), _joined, _joined_again, _sound),
    "init, a local hub": Case(_fetched(lambda t: t.inbox(X)), _begun, _begun_again, _sound),
    "a whole run": Case(_to_run, _loop, _loop_again, _ran),
}
