"""`aq init`: a queue in a clone, on a hub. GitPython does the ordinary repository work here."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from git import GitCommandError, Repo
from git.exc import InvalidGitRepositoryError, NoSuchPathError

from aq.core.errors import AqError, DiskFullError, InvalidFileError
from aq.core.ids import slug
from aq.core.layout import PROFILES, SETTINGS
from aq.core.lifecycle import Stage
from aq.core.parsing import REF_PATTERN
from aq.core.settingsfile import parse_settings
from aq.ledger.gitproc import check, last_words, locate_clone, run
from aq.ledger.locks import sweep_locks
from aq.ledger.mending import is_beginning
from aq.ledger.paths import QueuePaths, private_dir
from aq.ledger.remote import PushSpec, Remote, Verdict, check_url, is_local, looks_like_forge
from aq.ledger.space import says_full
from aq.ledger.store import SHA256_HEX, QueueConfig, Store, save_config

_ATTRIBUTES = "queue/** -text\n"
_README = "Drop a Markdown file into `inbox/`. `aq status` shows the board.\n"


@dataclass(frozen=True, slots=True)
class Made:
    """What init did."""

    paths: QueuePaths
    config: QueueConfig
    created: bool
    note: str = ""


def queue_files(cadence: str, beats: str = "refs") -> dict[str, str]:
    """The files of a new, empty queue."""
    files = {f"queue/{stage}/.gitkeep": "" for stage in Stage}
    files["queue/README.md"] = _README
    files["queue/aq.yaml"] = f"# Fleet settings; every key is optional. See the README.\ncadence: {cadence}\n"
    if beats != "refs":
        # Written down for every machine that joins: hosts see only the beats of one place.
        files["queue/aq.yaml"] += f"beats: {beats}\n"
    files["profiles/.gitkeep"] = ""
    return files | starter_profiles()


def starter_profiles() -> dict[str, str]:
    """The profiles that a new queue begins with, by path."""
    folder = resources.files("aq.ledger") / "starter"
    found = sorted(folder.iterdir(), key=lambda each: each.name)
    return {f"{PROFILES}/{each.name}": each.read_text("utf-8") for each in found if each.name.endswith(".md")}


def check_branch(branch: str) -> str:
    """A branch that may hold a queue. Raises AqError."""
    import re

    if branch == "aq" or branch.startswith("aq/"):
        raise AqError(
            f"the branch {branch!r} would block task branches, which are named aq/<job>/<epoch>",
            "choose another, such as queue",
        )
    if not re.match(REF_PATTERN, branch) or ".." in branch or branch.endswith(".lock"):
        raise AqError(f"{branch!r} is not a branch name", "write a plain name such as main")
    return branch


def _open(folder: Path, url: str) -> Repo:
    try:
        return Repo(folder, search_parent_directories=True, expand_vars=False)
    except (InvalidGitRepositoryError, NoSuchPathError):
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / ".git").exists():
            # Before git's own files: who finds it without our settings knows that it is unfinished.
            private_dir(folder / ".git" / "aq")
        kind = _object_format(url) if url else "sha1"
        return Repo.init(folder, initial_branch="main", object_format=kind, expand_vars=False)


def _object_format(url: str) -> str:
    """The object format of a hub: a clone must have the same. An empty one far away does not tell."""
    if is_local(url):
        folder = url.removeprefix("file://")
        done = run(["--git-dir", folder, "rev-parse", "--show-object-format"])
        return done.out.decode().strip() if done.code == 0 else "sha1"
    refs = run(["ls-remote", "--", url], timeout=60).out.split()
    return "sha256" if refs and len(refs[0]) == SHA256_HEX else "sha1"


def _has_commit(repo: Repo) -> bool:
    """Whether HEAD is born. GitPython's own answer knows SHA-1 only."""
    return run(["rev-parse", "--verify", "--quiet", "HEAD"], cwd=Path(str(repo.working_tree_dir))).code == 0


def initialize(folder: Path, url: str = "", branch: str = "main") -> Made:
    """A queue for this clone: join the one on the remote, or start one. Safe to repeat."""
    check_branch(branch)
    if url:
        check_url(url)
    try:
        return _initialize(folder, url, branch)
    except GitCommandError as error:
        if says_full(str(error.stderr)):
            raise DiskFullError(str(folder)) from None
        raise AqError(
            f"the queue cannot be made in {folder}: {str(error.stderr).strip()[:300]}",
            "put right what git says, then repeat: it goes on where it stopped",
        ) from None


def _unfinished(clone: Path) -> bool:
    """Whether an earlier `aq init` died here: it makes its own folder first and its settings last."""
    home = clone / ".git" / "aq"
    return home.is_dir() and not (home / "queue.json").exists()


def _take_back(clone: Path, ref: str) -> None:
    """Remove the files that a checkout wrote before it was killed: they would stand in its way."""
    for entry in run(["ls-tree", "-r", "-z", ref], cwd=clone).out.split(b"\0"):
        facts, _, path = entry.partition(b"\t")
        file = clone / os.fsdecode(path)
        if path and file.is_file():
            blob = run(["cat-file", "blob", facts.split()[2].decode()], cwd=clone)
            if blob.code == 0 and is_beginning(file, blob.out):
                file.unlink()


def _initialize(folder: Path, url: str, branch: str) -> Made:
    unfinished = _unfinished(folder)
    if unfinished:
        sweep_locks(folder / ".git", folder)
    with _open(folder, url) as repo:
        private_dir(Path(repo.common_dir) / "aq")
        clone = _worktree_for(repo, branch)
    paths = locate_clone(clone)
    with Repo(clone, expand_vars=False) as repo:
        remote, url, note = _remote(repo, paths, url, branch)
        config = QueueConfig(url, branch, remote)
        beats = _probe_beats(paths, config)
        config = QueueConfig(url, branch, remote, beats)
        joined = _remote_has(config)
        created = False
        if joined:
            _check_out(repo, config, again=unfinished)
        if not joined or not (clone / "queue" / "aq.yaml").exists():
            _start(repo, clone, config)
            created = True
        config = replace(config, beats=_fleet_beats(clone) or config.beats)
        _track(repo, config)
        _exclude_logs(paths)
    Store(paths).ensure()
    save_config(paths, config)
    return Made(paths, config, created, note)


def _fleet_beats(clone: Path) -> str:
    """Where the queue's settings say that beats are, or nothing."""
    try:
        return parse_settings((clone / "queue" / "aq.yaml").read_bytes()).beats
    except (OSError, InvalidFileError):
        return ""


def _worktree_for(repo: Repo, branch: str) -> Path:
    """The folder whose checkout is the queue branch; a work tree of its own beside a repository that
    is on another branch."""
    if repo.bare or repo.working_tree_dir is None:
        raise AqError("this is a bare repository", "run `aq init` in a clone")
    top = Path(repo.working_tree_dir)
    if not _has_commit(repo):
        repo.git.symbolic_ref("HEAD", f"refs/heads/{branch}")
        return top
    if not repo.head.is_detached and repo.active_branch.name == branch:
        return top
    beside = top.parent / f"{top.name}-queue"
    if not beside.exists():
        have = branch in {head.name for head in repo.heads}
        if have:
            repo.git.worktree("add", "--quiet", str(beside), branch)
        else:
            repo.git.worktree("add", "--quiet", "--detach", str(beside))
            with Repo(beside, expand_vars=False) as tree:
                tree.git.checkout("--quiet", "--orphan", branch)
                tree.git.rm("-r", "--quiet", "--force", "--ignore-unmatch", ".")
    return beside


def _remote(repo: Repo, paths: QueuePaths, url: str, branch: str) -> tuple[str, str, str]:
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
    if "origin" in names and (names["origin"] == str(hub) or _has_queue(repo, branch)):
        return "origin", names["origin"], ""
    if not hub.exists():
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
    name = "aq" if "origin" in names else "origin"
    repo.git.remote("add", name, str(hub))
    return (
        name,
        str(hub),
        "this machine holds the only copy of the queue; `aq remote set URL` moves it to a forge",
    )


def _absolute(url: str) -> str:
    """A path that means the same wherever git is started."""
    return str(Path(url).resolve()) if is_local(url) and not url.startswith("file://") else url


def _has_queue(repo: Repo, branch: str) -> bool:
    """Whether this clone of `origin` brought a queue along: only then is origin the hub unasked."""
    settings = f"refs/remotes/origin/{branch}:{SETTINGS}"
    return run(["cat-file", "-e", settings], cwd=Path(str(repo.working_tree_dir))).code == 0


def _remote_has(config: QueueConfig) -> bool:
    done = run(
        ["ls-remote", "--exit-code", "--heads", "--", config.url, f"refs/heads/{config.branch}"], timeout=60
    )
    if done.code not in (0, 2):
        from aq.ledger.gitproc import unreachable

        raise unreachable(config.url, done)
    return done.code == 0


def _check_out(repo: Repo, config: QueueConfig, *, again: bool) -> None:
    """Take the queue branch of the remote into a clone that does not have it."""
    try:
        repo.git.fetch(
            "--quiet",
            "--no-tags",
            "--",
            config.url,
            f"+refs/heads/{config.branch}:refs/remotes/{config.remote}/{config.branch}",
        )
        if not _has_commit(repo):
            ref = f"refs/remotes/{config.remote}/{config.branch}"
            if again and not (Path(repo.git_dir) / "index").exists():
                _take_back(Path(str(repo.working_tree_dir)), ref)
            repo.git.checkout("--quiet", "-B", config.branch, ref)
        else:
            repo.git.merge("--quiet", "--ff-only", f"refs/remotes/{config.remote}/{config.branch}")
    except GitCommandError as error:
        raise AqError(
            f"the queue branch {config.branch} cannot be checked out: {str(error.stderr).strip()[:300]}",
            "commit or move what is in the way, then repeat",
        ) from None


def _start(repo: Repo, clone: Path, config: QueueConfig) -> None:
    cadence = "forge" if looks_like_forge(config.url) else "local" if is_local(config.url) else "lan"
    paths = []
    for name, content in queue_files(cadence, config.beats).items():
        path = clone / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8", newline="\n")
        paths.append(name)
    attributes = clone / ".gitattributes"
    text = attributes.read_text("utf-8") if attributes.exists() else ""
    if _ATTRIBUTES not in text:
        attributes.write_text(text + _ATTRIBUTES, encoding="utf-8", newline="\n")
    if run(["cat-file", "-e", f"HEAD:{SETTINGS}"], cwd=clone).code:
        _commit(repo, clone, [".gitattributes", *paths])
    done = run(
        ["push", "--quiet", "--no-verify", "--", config.url, f"HEAD:refs/heads/{config.branch}"],
        cwd=clone,
        timeout=60,
    )
    if done.code:
        raise AqError(
            f"the queue cannot be pushed to {config.url}: {last_words(done)}",
            "check that you may push to this branch, then repeat",
        )
    repo.git.update_ref(f"refs/remotes/{config.remote}/{config.branch}", "HEAD")


def _commit(repo: Repo, clone: Path, paths: list[str]) -> None:
    """The first commit. Who has told git no name yet is still somebody."""
    who = {}
    if run(["var", "GIT_COMMITTER_IDENT"], cwd=clone).code:
        login = os.environ.get("USER") or os.environ.get("USERNAME") or "someone"
        mail = f"{slug(login)}@aq.invalid"
        who = {"GIT_AUTHOR_NAME": login, "GIT_AUTHOR_EMAIL": mail}
        who |= {"GIT_COMMITTER_NAME": login, "GIT_COMMITTER_EMAIL": mail}
    message = "init queue\n\nAq-Op: init\nAq-By: aq"
    with repo.git.custom_environment(**who):
        repo.git.add("--", *paths)
        repo.git.commit("--quiet", "--no-verify", "--only", "-m", message, "--", *paths)


def _track(repo: Repo, config: QueueConfig) -> None:
    """Make a person's plain `git pull` and `git push` work, unless the branch tracks something already."""
    key = f"branch.{config.branch}"
    if not run(["config", "--get", f"{key}.remote"], cwd=Path(str(repo.working_tree_dir))).out.strip():
        repo.git.config(f"{key}.remote", config.remote)
        repo.git.config(f"{key}.merge", f"refs/heads/{config.branch}")


def _probe_beats(paths: QueuePaths, config: QueueConfig) -> str:
    """Whether the remote takes refs outside heads and tags; some forges do not (rule 5)."""
    store = Store(paths)
    store.ensure()
    from aq.core.instants import instant
    from aq.ledger.commits import Committer, Identity
    from aq.ledger.objects import Objects, PlumbingObjects

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


def _exclude_logs(paths: QueuePaths) -> None:
    exclude = paths.common / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    text = exclude.read_text("utf-8") if exclude.exists() else ""
    if "/logs/*/" not in text:
        exclude.write_text(text + "/logs/*/\n", encoding="utf-8")


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
    moved = QueueConfig(url, config.branch, config.remote, _probe_beats(paths, moved))
    save_config(paths, moved)
    return moved
