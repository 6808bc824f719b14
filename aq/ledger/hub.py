"""The hub of a queue: found or made by `aq init`, asked what it takes, and changed by `aq remote set`."""

from __future__ import annotations

import shutil
from pathlib import Path

from git import Repo

from aq.core.errors import AqError
from aq.core.instants import instant
from aq.core.layout import SETTINGS
from aq.ledger.commits import Committer, Identity
from aq.ledger.gitproc import check, run, unreachable
from aq.ledger.objects import Objects, PlumbingObjects
from aq.ledger.paths import QueuePaths
from aq.ledger.remote import PushSpec, Remote, Verdict, check_url, is_local
from aq.ledger.store import QueueConfig, Store, save_config


def find_hub(repo: Repo, paths: QueuePaths, url: str, branch: str) -> tuple[str, str, str]:
    """The remote's name and URL, and what to tell: the one that is asked for, the one that has the queue, or
    a bare repository beside the clone, which is made."""
    names = {remote.name: remote.url for remote in repo.remotes}
    if url:
        check_url(url)
        url = _absolute(url)
        for name, known in names.items():
            if known == url:
                return name, url, ""
        name = "aq" if "origin" in names else "origin"
        if name in names:
            repo.git.remote("set-url", name, url)
        else:
            repo.git.remote("add", name, url)
        return name, url, ""
    if "aq" in names:
        return "aq", names["aq"], ""
    hub = paths.hub
    if "origin" in names and (names["origin"] == str(hub) or _brings_queue(repo, branch)):
        return "origin", names["origin"], ""
    if not hub.exists():
        _make(hub)
    name = "aq" if "origin" in names else "origin"
    repo.git.remote("add", name, str(hub))
    return (
        name,
        str(hub),
        "this machine holds the only copy of the queue; `aq remote set URL` moves it to a forge",
    )


def _make(hub: Path) -> None:
    """A bare repository, under its name once it is whole."""
    making = hub.with_name("hub.new")
    shutil.rmtree(making, ignore_errors=True)
    Repo.init(making, bare=True, mkdir=True, initial_branch="main", expand_vars=False).close()
    for name, value in {
        "gc.cruftPacks": "true",
        "gc.pruneExpire": "1.day",
        "receive.denyNonFastForwards": "true",
        "receive.denyDeletes": "false",
    }.items():
        check(["--git-dir", str(making), "config", name, value])
    making.rename(hub)


def _brings_queue(repo: Repo, branch: str) -> bool:
    """Whether this clone of `origin` brought a queue along: only then is origin the hub unasked."""
    settings = f"refs/remotes/origin/{branch}:{SETTINGS}"
    return run(["cat-file", "-e", settings], cwd=Path(str(repo.working_tree_dir))).code == 0


def has_queue(config: QueueConfig) -> bool:
    """Whether the hub has the queue's branch. Raises TryLaterError."""
    done = run(
        ["ls-remote", "--exit-code", "--heads", "--", config.url, f"refs/heads/{config.branch}"], timeout=60
    )
    if done.code not in (0, 2):
        raise unreachable(config.url, done)
    return done.code == 0


def probe_beats(paths: QueuePaths, config: QueueConfig) -> str:
    """Whether the remote takes refs outside heads and tags; some forges do not (rule 5)."""
    store = Store(paths)
    store.ensure()
    sha256 = store.is_sha256
    objects = (PlumbingObjects if sha256 else Objects)(store.git_dir)
    committer = Committer(objects, 32 if sha256 else 20)
    oid = committer.raw_commit(
        committer.empty_tree(), (), "probe\n", Identity("aq", "aq@aq.invalid"), instant(0)
    )
    remote = Remote(config.url, config.branch, store.git_dir, "probe")
    verdict = remote.push([PushSpec(oid, "refs/aq/probe")])["refs/aq/probe"].verdict
    if verdict is Verdict.POLICY:
        return "branches"
    run(["--git-dir", str(store.git_dir), "push", "--quiet", "--", config.url, ":refs/aq/probe"], timeout=60)
    return "refs"


def _absolute(url: str) -> str:
    """A path that means the same wherever git is started."""
    return str(Path(url).resolve()) if is_local(url) and not url.startswith("file://") else url


def move_remote(paths: QueuePaths, config: QueueConfig, url: str) -> QueueConfig:
    """Push the queue to another hub and use that one from now on. The old hub is left as it is."""
    check_url(url)
    url = _absolute(url)
    moved = QueueConfig(url, config.branch, config.remote, config.beats)
    store = Store(paths)
    tip = store.seen_tip()
    if not tip:
        raise AqError("nothing was fetched from the present remote yet", "run `aq status` first")
    verdict = Remote(url, config.branch, store.git_dir, "move").push(
        [PushSpec(tip, f"refs/heads/{config.branch}")]
    )[f"refs/heads/{config.branch}"]
    if verdict.verdict not in (Verdict.OK, Verdict.UP_TO_DATE):
        raise AqError(
            f"{url} did not take the queue: {verdict.words}",
            "the new remote's branch must be empty, or hold this same queue",
        )
    with Repo(paths.clone, expand_vars=False) as repo:
        repo.git.remote("set-url", config.remote, url)
    moved = QueueConfig(url, config.branch, config.remote, probe_beats(paths, moved))
    save_config(paths, moved)
    return moved
