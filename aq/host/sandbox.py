"""Confines what a job starts: bubblewrap on Linux, sandbox-exec on macOS. It may write to its workspace, its
run's folder and its engine's own state; it may not read other people's keys, the queue or aq's state. The
network stays."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from aq.core.value import Value
from aq.host.secret_places import secret_places

_PROBE_SECONDS = 10
# Everything below is bound read-only; these are replaced by private ones.
_TEMPS = ("/tmp", "/var/tmp")
_NAMESPACES = ("--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc", "--cap-drop", "ALL")
_SEATBELT = "/usr/bin/sandbox-exec"


class Room(Value):
    """What one process tree may touch. `write` and `hide` are files or folders; of two that contain one
    another the inner one counts, and of the same one `write`, but of the
    workspace `hide`. `keep` are files that are only read, even where all around them may be written; `reads`
    are folders that may be read though all around is hidden."""

    workspace: Path
    temp: Path
    write: tuple[Path, ...] = ()
    hide: tuple[Path, ...] = ()
    keep: tuple[Path, ...] = ()
    reads: tuple[Path, ...] = ()

    @property
    def writable(self) -> tuple[Path, ...]:
        """Where it may write, resolved, what exists only."""
        hidden = self.hidden
        return tuple(
            path for path in _existing((self.workspace, self.temp, *self.write)) if path not in hidden
        )

    @property
    def hidden(self) -> tuple[Path, ...]:
        """What it may not see, resolved, what exists only."""
        opened = _existing((self.temp, *self.write))
        return tuple(path for path in _existing(self.hide) if path not in opened)


class Sandbox(Value):
    """What this machine can confine a process with: the tool's path, or why there is none."""

    path: str = ""
    why: str = ""
    seatbelt: bool = False

    def __bool__(self) -> bool:
        return bool(self.path)

    @property
    def name(self) -> str:
        """What people call it."""
        return ("sandbox-exec" if self.seatbelt else "bubblewrap") if self.path else "none"

    def wrap(self, argv: Iterable[str], room: Room) -> tuple[str, ...]:
        """The arguments that run `argv` in a room."""
        if self.seatbelt:
            return (self.path, "-p", seatbelt_profile(room), *argv)
        return (self.path, *bubblewrap_options(room), "--", *argv)


class _Mount(Value):
    path: Path
    rank: int
    options: tuple[str, ...]


def bubblewrap_options(room: Room) -> tuple[str, ...]:
    """Mounts from the outside in: what is deeper is laid over what is above it."""
    temp = str(room.temp.resolve())
    mounts = [_Mount(Path(place), 0, ("--bind", temp, place)) for place in _TEMPS if os.path.isdir(place)]
    mounts += [_Mount(path, 1, _hiding(path)) for path in room.hidden if _is_seen(path, room)]
    mounts += [_Mount(path, 2, ("--bind", str(path), str(path))) for path in room.writable]
    shown = _existing((*room.keep, *room.reads))
    mounts += [_Mount(path, 3, ("--ro-bind", str(path), str(path))) for path in shown]
    mounts.sort(key=lambda mount: (len(mount.path.parts), mount.rank, mount.path))
    options = [*_NAMESPACES, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    for mount in mounts:
        options += mount.options
    return (*options, "--chdir", str(room.workspace.resolve()))


def _is_seen(path: Path, room: Room) -> bool:
    # What is below a temporary folder is out of sight already, unless something around it is let in.
    let_in = (*room.writable, *_existing(room.reads))
    return not is_temporary(path) or any(path.is_relative_to(place) for place in let_in)


def is_temporary(path: Path) -> bool:
    """Whether it lies in a folder that is replaced by a run's own."""
    return any(path.is_relative_to(place) for place in _TEMPS)


def _hiding(path: Path) -> tuple[str, ...]:
    return ("--tmpfs", str(path)) if path.is_dir() else ("--ro-bind", "/dev/null", str(path))


def seatbelt_profile(room: Room) -> str:
    """The same in macOS's own words. The last rule that fits counts."""
    layers = [(path, "hide") for path in room.hidden] + [(path, "write") for path in room.writable]
    layers.sort(key=lambda layer: (len(layer[0].parts), layer[1], layer[0]))
    rules = [
        "(version 1)",
        "(allow default)",
        "(deny file-write*)",
        '(allow file-write* (subpath "/dev"))',
        "(deny signal (target others))",
        "(deny process-info* (target others))",
    ]
    for path, what in layers:
        kind = "subpath" if path.is_dir() else "literal"
        where = f'({kind} "{_quoted(path)}")'
        verb = "deny" if what == "hide" else "allow"
        rules.append(f"({verb} file-read* file-write* {where})")
    rules += [f'(allow file-read* (subpath "{_quoted(path)}"))' for path in _existing(room.reads)]
    rules += [f'(deny file-write* (literal "{_quoted(path)}"))' for path in _existing(room.keep)]
    return "\n".join(rules) + "\n"


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def _existing(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(path.resolve() for path in paths if path.exists()))


def switched_off() -> bool:
    """Whether this machine is to do as if it had no sandbox."""
    return os.environ.get("AQ_SANDBOX") == "off"


def sandbox() -> Sandbox:
    """What this machine confines with."""
    return Sandbox(why="AQ_SANDBOX=off") if switched_off() else _probed()


@cache
def _probed() -> Sandbox:
    """What works on this machine, found by running it."""
    if sys.platform == "darwin":
        return _tried(Sandbox(_SEATBELT, seatbelt=True), (_SEATBELT, "-p", "(version 1)(allow default)"))
    if not sys.platform.startswith("linux"):
        return Sandbox(why=f"there is none for {sys.platform}")
    path = shutil.which("bwrap")
    if not path:
        return Sandbox(why="bubblewrap is not installed")
    options = (*_NAMESPACES, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp")
    return _tried(Sandbox(path), (path, *options, "--"))


def _tried(found: Sandbox, lead: tuple[str, ...]) -> Sandbox:
    try:
        done = subprocess.run(
            [*lead, "/bin/sh", "-c", "exit 7"],
            capture_output=True,
            timeout=_PROBE_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Sandbox(why=f"{found.name} does not run: {error}")
    if done.returncode == 7:
        return found
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return Sandbox(why=f"{found.name} does not work here: {said[-1] if said else f'exit {done.returncode}'}")


def state_paths(names: Iterable[str], env: Mapping[str, str], *, make: bool = False) -> tuple[Path, ...]:
    """An engine's own places: `~/.claude`, `$CLAUDE_CONFIG_DIR` or `$XDG_DATA_HOME/x`. `make` those folders
    that are missing, for in a sandbox the engine cannot."""
    found = []
    for name in names:
        variable, slash, rest = name.partition("/")
        folder = env.get(variable[1:], "") if variable.startswith("$") else variable
        text = f"{folder}{slash}{rest}" if folder or not variable else ""
        if not text:
            continue
        path = Path(env.get("HOME") or Path.home()) / text[2:] if text.startswith("~/") else Path(text)
        if make and not path.exists() and not path.suffix:
            path.mkdir(parents=True, mode=0o700)
        found.append(path)
    return tuple(found)


class Walls(Value):
    """What all rooms of a host have in common. `private` is the queue's and aq's own: store, git folder,
    state, host.yaml. `write` is what the machine's owner leaves open, such as a cache."""

    private: tuple[Path, ...] = ()
    write: tuple[str, ...] = ()

    def room(
        self,
        workspace: Path,
        folder: Path,
        env: Mapping[str, str],
        own: Iterable[str] = (),
        others: Iterable[str] = (),
    ) -> Room:
        """The room of one process of a run. `own` and `others` are the names of engines' states."""
        open_to_it = (*state_paths(own, env, make=True), *state_paths(self.write, env))
        theirs = [path for path in state_paths(others, env) if not _touches(path, open_to_it)]
        home = Path(env.get("HOME") or Path.home())
        return Room(
            workspace,
            folder / "tmp",
            (folder, *open_to_it),
            (*secret_places(home), *theirs, *self._private(workspace)),
            (folder / "run.json", folder / "output.log", folder / "prompt.md"),
        )

    def _private(self, workspace: Path) -> Iterator[Path]:
        place = workspace.resolve()
        for path in self.private:
            # In a repository that holds its own queue, git has to work: only the queue's part is hidden.
            inside = path.name == ".git" and path.resolve().is_relative_to(place)
            yield path / "aq" if inside else path


def _touches(path: Path, others: Iterable[Path]) -> bool:
    return any(path.is_relative_to(other) or other.is_relative_to(path) for other in others)


def own_caches(env: Mapping[str, str], folder: Path, write: Iterable[str]) -> dict[str, str]:
    """A run's own caches, for it cannot write to the user's, unless the owner of the machine lets it."""
    if any(name.rstrip("/") == "~/.cache" for name in write):
        return {}
    own = {"XDG_CACHE_HOME": folder / "tmp" / "cache", "npm_config_cache": folder / "tmp" / "cache" / "npm"}
    return {name: str(path) for name, path in own.items() if name not in env}
