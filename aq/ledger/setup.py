"""`aq init`: a queue in a clone, on a hub. GitPython does the ordinary repository work here."""

from __future__ import annotations

import os
from pathlib import Path

from git import GitCommandError, Repo
from git.exc import InvalidGitRepositoryError, NoSuchPathError

from aq.core.errors import AqError, DiskFullError, InvalidFileError
from aq.core.files.parsing import REF_PATTERN
from aq.core.files.settingsfile import parse_settings
from aq.core.ids import slug
from aq.core.layout import QUEUE, SETTINGS
from aq.core.lifecycle import Stage
from aq.core.value import Value, replace
from aq.ledger.gitproc import last_words, locate_clone, run
from aq.ledger.hub import find_hub, has_queue, probe_beats
from aq.ledger.locks import sweep_locks
from aq.ledger.mending import is_beginning
from aq.ledger.newqueue import ATTRIBUTES, queue_files
from aq.ledger.paths import QueuePaths, private_dir
from aq.ledger.remote import check_url, is_local, looks_like_forge
from aq.ledger.space import says_full
from aq.ledger.store import SHA256_HEX, QueueConfig, Store, load_config, save_config

_OF_A_NEW_REPOSITORY = ("README", "LICENSE", "LICENCE", "COPYING", ".GIT")


class Made(Value):
    """What init did."""

    paths: QueuePaths
    config: QueueConfig
    created: bool
    note: str = ""


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


def initialize(folder: Path, url: str = "", branch: str | None = None) -> Made:
    """A queue for this clone: join the one on the remote, or start one. Safe to repeat. Without a branch it
    is that of the queue which the repository has already, or main."""
    if branch is not None:
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


def _initialize(folder: Path, url: str, branch: str | None) -> Made:
    unfinished = _unfinished(folder)
    if unfinished:
        sweep_locks(folder / ".git", folder)
    with _open(folder, url) as repo:
        private_dir(Path(repo.common_dir) / "aq")
        branch = _branch_for(repo, branch)
        clone = _worktree_for(repo, branch)
    paths = locate_clone(clone)
    with Repo(clone, expand_vars=False) as repo:
        remote, url, note = find_hub(repo, paths, url, branch)
        config = QueueConfig(url, branch, remote)
        beats = probe_beats(paths, config)
        config = QueueConfig(url, branch, remote, beats)
        joined = has_queue(config)
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


def _branch_for(repo: Repo, asked: str | None) -> str:
    """The branch of the queue. One repository has one: its settings are those of all its work trees."""
    if repo.bare or repo.working_tree_dir is None:
        raise AqError("this is a bare repository", "run `aq init` in a clone")
    try:
        own = load_config(locate_clone(Path(repo.working_tree_dir))).branch
    except AqError:
        return asked or "main"
    if asked not in (None, own):
        raise AqError(
            f"this repository has a queue already, on its branch {own}",
            "make a clone of its own for another: `aq init FOLDER --remote URL --branch NAME`",
        )
    return own


def _worktree_for(repo: Repo, branch: str) -> Path:
    """The folder whose checkout is the queue branch; a work tree of its own beside a repository that
    is on another branch."""
    top = Path(str(repo.working_tree_dir))
    if not _has_commit(repo):
        repo.git.symbolic_ref("HEAD", f"refs/heads/{branch}")
        return top
    if not repo.head.is_detached and repo.active_branch.name == branch:
        return top
    beside = top.parent / f"{top.name}-queue"
    have = branch in {head.name for head in repo.heads}
    if not beside.exists():
        repo.git.worktree("add", "--quiet", *([str(beside), branch] if have else ["--detach", str(beside)]))
    head = _head_of(repo, beside)
    if head == "" and not have:
        # Made just now, or by an `aq init` that was killed here.
        with Repo(beside, expand_vars=False) as tree:
            tree.git.checkout("--quiet", "--orphan", branch)
            tree.git.rm("-r", "--quiet", "--force", "--ignore-unmatch", ".")
    elif head != branch:
        raise AqError(
            f"{beside} is in the way: it is not this repository's work tree of {branch}",
            "move it away, then repeat",
        )
    return beside


def _head_of(repo: Repo, folder: Path) -> str | None:
    """The branch that a work tree of this repository is on, empty when it is on none; None when the folder is
    no such work tree."""
    done = run(["rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel"], cwd=folder)
    places = [Path(line).resolve() for line in done.out.decode("utf-8", "surrogateescape").splitlines()]
    if places != [Path(repo.common_dir).resolve(), folder.resolve()]:
        return None
    return run(["symbolic-ref", "--quiet", "--short", "HEAD"], cwd=folder).out.decode().strip()


def _refuse_foreign(repo: Repo, config: QueueConfig, ref: str) -> None:
    """A branch of somebody's code is no queue, and does not become one by a URL in the wrong place. What a
    forge puts into a new repository is nobody's code."""
    clone = Path(str(repo.working_tree_dir))
    ours = (SETTINGS, f"{QUEUE}/{Stage.INBOX}")
    if any(run(["cat-file", "-e", f"{ref}:{name}"], cwd=clone).code == 0 for name in ours):
        return
    names = run(["ls-tree", "--name-only", "-z", ref], cwd=clone).out.decode("utf-8", "replace").split("\0")
    if any(name and not name.upper().startswith(_OF_A_NEW_REPOSITORY) for name in names):
        raise AqError(
            f"{config.url} has a branch {config.branch} that is no queue",
            "use an empty repository, or a branch of its own: `aq init --branch queue --remote URL`",
        )


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
        ref = f"refs/remotes/{config.remote}/{config.branch}"
        _refuse_foreign(repo, config, ref)
        if not _has_commit(repo):
            if again and not (Path(repo.git_dir) / "index").exists():
                _take_back(Path(str(repo.working_tree_dir)), ref)
            repo.git.checkout("--quiet", "-B", config.branch, ref)
        else:
            repo.git.merge("--quiet", "--ff-only", ref)
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
    _add_line(clone / ".gitattributes", ATTRIBUTES)
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


def _exclude_logs(paths: QueuePaths) -> None:
    exclude = paths.common / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    _add_line(exclude, "/logs/*/\n")


def _add_line(path: Path, line: str) -> None:
    """Add a line to a person's file, which may have any encoding and no end of its last line."""
    known, wanted = path.read_bytes() if path.exists() else b"", line.encode()
    if wanted.strip() not in known.splitlines():
        ending = b"\n" if known and not known.endswith(b"\n") else b""
        path.write_bytes(known + ending + wanted)
