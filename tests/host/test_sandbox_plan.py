"""What a room is made of: mounts from the outside in, profiles, states and the owner's word."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from aq.core.manifest import Manifest
from aq.host import sandbox as module
from aq.host import secret_places as places_module
from aq.host.confine import Confinement, tool_places
from aq.host.gitproc import WorkspaceError
from aq.host.sandbox import (
    Room,
    Sandbox,
    Walls,
    bubblewrap_options,
    own_caches,
    sandbox,
    seatbelt_profile,
    state_paths,
)
from aq.host.secret_places import refused_cwd, secret_places

BOX = Sandbox("/usr/bin/bwrap")
NONE = Sandbox(why="bubblewrap is not installed")


def place(root: Path, name: str, text: str | None = None) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(exist_ok=True) if text is None else path.write_text(text)
    return path


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # Rooms hide nothing that a private temporary folder hides already, and tests live in one.
    monkeypatch.setattr(module, "_TEMPS", ())
    return tmp_path.resolve()


def mounts(options: tuple[str, ...]) -> list[tuple[str, str]]:
    """What is mounted where, in order."""
    found = []
    for at, option in enumerate(options):
        if option in ("--bind", "--ro-bind"):
            found.append((option, options[at + 2]))
        elif option == "--tmpfs":
            found.append((option, options[at + 1]))
    return found


def test_mounts_go_from_the_outside_in_so_that_the_inner_one_counts(root: Path) -> None:
    state = place(root, "state")
    run, secret = place(root, "state/runs/a/1"), place(root, "state/runs/a/1/tree/secret")
    work, note = place(root, "state/runs/a/1/tree"), place(root, "state/runs/a/1/run.json", "{}")
    room = Room(work, place(root, "state/runs/a/1/tmp"), (run,), (state, secret), (note,))
    found = mounts(bubblewrap_options(room))
    assert found[0] == ("--ro-bind", "/")
    wanted = [("--tmpfs", state), ("--bind", run), ("--ro-bind", note), ("--bind", work), ("--tmpfs", secret)]
    places = [mount for mount in found if mount[1] in {str(path) for _, path in wanted}]
    assert set(places) == {(how, str(path)) for how, path in wanted}
    order = [path for _, path in places]
    assert order.index(str(state)) < order.index(str(run)) < order.index(str(work)) < order.index(str(secret))
    assert order.index(str(run)) < order.index(str(note))


def test_a_room_has_its_own_processes_dies_with_its_parent_and_has_no_powers(root: Path) -> None:
    options = bubblewrap_options(Room(place(root, "work"), place(root, "tmp")))
    assert {"--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc"} <= set(options)
    assert options[options.index("--cap-drop") + 1] == "ALL"
    assert options[options.index("--proc") + 1] == "/proc"
    assert options[-2:] == ("--chdir", str(root / "work"))
    assert "--unshare-net" not in options, "engines need their models"


def test_temporary_folders_are_the_run_s_own(tmp_path: Path) -> None:
    temp = place(tmp_path, "tmp").resolve()
    options = bubblewrap_options(Room(place(tmp_path, "work"), temp))
    at = options.index("/tmp")
    assert options[at - 2 : at] == ("--bind", str(temp))


def test_what_is_not_there_is_not_mounted_and_a_file_is_hidden_by_nothing(root: Path) -> None:
    netrc = place(root, "netrc", "x")
    room = Room(place(root, "work"), place(root, "tmp"), (root / "none",), (root / "gone", netrc))
    options = bubblewrap_options(room)
    assert not {str(root / "none"), str(root / "gone")} & set(options)
    at = options.index(str(netrc))
    assert options[at - 2 : at] == ("--ro-bind", "/dev/null")


def test_a_link_is_followed_before_it_is_mounted(root: Path) -> None:
    keys = place(root, "real-keys")
    (root / "keys").symlink_to(keys)
    room = Room(place(root, "work"), place(root, "tmp"), (), (root / "keys",))
    assert ("--tmpfs", str(keys)) in mounts(bubblewrap_options(room))


def test_what_may_be_written_is_not_hidden(root: Path) -> None:
    state = place(root, ".config/gh")
    room = Room(place(root, "work"), place(root, "tmp"), (state,), (state,))
    assert [how for how, where in mounts(bubblewrap_options(room)) if where == str(state)] == ["--bind"]


def test_a_profile_for_macos_says_the_same_and_its_last_rule_counts(root: Path) -> None:
    state, run = place(root, "state"), place(root, "state/run")
    note = place(root, "state/run/run.json", "{}")
    odd = place(root, 'wo"rk')
    profile = seatbelt_profile(Room(odd, place(root, "state/run/tmp"), (run,), (state,), (note,)))
    lines = profile.splitlines()
    assert lines[:3] == ["(version 1)", "(allow default)", "(deny file-write*)"]
    hide = lines.index(f'(deny file-read* file-write* (subpath "{state}"))')
    write = lines.index(f'(allow file-read* file-write* (subpath "{run}"))')
    keep = lines.index(f'(deny file-write* (literal "{note}"))')
    assert hide < write < keep
    assert f'(allow file-read* file-write* (subpath "{root}/wo\\"rk"))' in lines
    assert "(deny signal (target others))" in lines


def test_arguments_are_wrapped_for_the_tool_that_is_there(root: Path) -> None:
    room = Room(place(root, "work"), place(root, "tmp"))
    wrapped = BOX.wrap(("sh", "-c", "x"), room)
    assert wrapped[0] == "/usr/bin/bwrap"
    assert wrapped[-4:] == ("--", "sh", "-c", "x")
    wrapped = Sandbox("/usr/bin/sandbox-exec", seatbelt=True).wrap(("sh",), room)
    assert wrapped[:2] == ("/usr/bin/sandbox-exec", "-p")
    assert wrapped[3:] == ("sh",)


def test_an_engine_writes_to_its_own_state_and_does_not_see_the_others(root: Path) -> None:
    env = {"HOME": str(root), "OTHER_HOME": str(place(root, "elsewhere"))}
    place(root, ".codex")
    place(root, ".claude.json", "{}")
    walls = Walls((place(root, "state"),), ("~/.cache/uv",))
    place(root, ".cache/uv")
    others = ("~/.codex", "~/.claude", "~/.claude.json", "$OTHER_HOME", "~/.cache/uv/x")
    room = walls.room(
        place(root, "work"), place(root, "run"), env, ("~/.claude", "~/.claude.json", "$NONE"), others
    )
    assert (root / ".claude").is_dir(), "in its sandbox the engine could not make it"
    assert {root / ".claude", root / ".claude.json", root / ".cache/uv"} <= set(room.writable)
    assert {root / ".codex", root / "elsewhere", root / "state"} <= set(room.hidden)
    assert not {root / ".claude", root / ".claude.json"} & set(room.hidden)


def test_what_it_needs_of_a_hidden_place_is_only_read(root: Path) -> None:
    state, objects = place(root, "state"), place(root, "state/mirrors/x/objects")
    made = Room(place(root, "work"), place(root, "tmp"), (), (state,), reads=(objects,))
    found = mounts(bubblewrap_options(made))
    assert found.index(("--tmpfs", str(state))) < found.index(("--ro-bind", str(objects)))
    lines = seatbelt_profile(made).splitlines()
    hidden = lines.index(f'(deny file-read* file-write* (subpath "{state}"))')
    assert hidden < lines.index(f'(allow file-read* (subpath "{objects}"))')


def test_programs_in_a_temporary_folder_stay_in_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.prefix", "/opt/python")
    path = os.pathsep.join(["/usr/bin", "/tmp/tools/bin", "/tmp/bin", "/tmp", "relative", ""])
    found = tool_places("/tmp/node_modules/.bin/agent", {"PATH": path})
    assert found == (Path("/tmp/node_modules"), Path("/tmp/tools")), "and never the whole of it"
    assert tool_places("sh", {}) == ()


def test_keys_beside_a_program_in_a_temporary_folder_are_hidden_again(tmp_path: Path) -> None:
    keys = place(tmp_path.resolve(), "home/.ssh")
    room = Room(place(tmp_path, "work"), place(tmp_path, "tmp"), (), (keys,), reads=(tmp_path,))
    found = mounts(bubblewrap_options(room))
    assert found.index(("--ro-bind", str(tmp_path.resolve()))) < found.index(("--tmpfs", str(keys)))


def test_states_are_named_from_home_or_by_a_variable() -> None:
    env = {"HOME": "/h", "X": "/x"}
    assert state_paths(("~/.a", "$X", "$NONE", "/abs"), env) == (Path("/h/.a"), Path("/x"), Path("/abs"))
    assert state_paths(("$X/y", "$NONE/y"), env) == (Path("/x/y"),)


def test_in_a_repository_that_holds_its_own_queue_only_the_queue_is_hidden(root: Path) -> None:
    git = place(root, "code/.git")
    place(root, "code/.git/aq")
    walls = Walls((git,))
    outside = walls.room(place(root, "work"), place(root, "run"), {"HOME": str(root)})
    inside = walls.room(root / "code", root / "run", {"HOME": str(root)})
    assert git in outside.hidden
    assert git not in inside.hidden
    assert git / "aq" in inside.hidden


@pytest.mark.parametrize("name", [".ssh", ".aws", ".config/gcloud", ".azure", ".kube", ".docker", ".netrc"])
def test_keys_are_secret_places(name: str) -> None:
    assert Path("/h") / name in secret_places(Path("/h"))


def test_only_the_owner_opens_a_socket_and_a_job_that_needs_docker_does_not(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = place(root, "docker.sock", "")
    monkeypatch.setattr(places_module, "_ENGINES", (str(socket),))
    asks = Manifest(capabilities=("has:docker",), sandbox="required")

    def room_of(*write: str) -> Room:
        walls = Confinement.of(asks, "auto", BOX, Walls((), write)).walls
        return walls.room(place(root, "work"), place(root, "run"), {"HOME": str(root)})

    assert socket in room_of().hidden
    opened = room_of(str(socket))
    assert socket in opened.writable
    assert socket not in opened.hidden


def test_a_secret_place_stays_hidden_where_it_is_the_workspace_itself(root: Path) -> None:
    keys = place(root, ".ssh")
    room = Room(keys, place(root, "tmp"), (), (keys,))
    assert keys in room.hidden
    assert [how for how, where in mounts(bubblewrap_options(room)) if where == str(keys)] == ["--tmpfs"]
    assert f'(allow file-read* file-write* (subpath "{keys}"))' not in seatbelt_profile(room)


REFUSED_CWDS = {
    "a place of keys": ("home/.ssh", (), False, "may hold keys"),
    "a folder in a place of keys": ("home/.ssh/deep", (), False, "may hold keys"),
    "a link to a place of keys": ("link", (), False, "may hold keys"),
    "aq's own state": ("state", (), False, "may hold keys"),
    "a clone of a place of keys": ("home/.ssh", (), True, "may hold keys"),
    "the home": ("home", (), False, "holds"),
    "all around the home": (".", (), False, "holds"),
    "everything": ("/", (), False, "holds"),
    "a folder with a place of keys in it": ("home/.config", (), False, "holds"),
    "a clone of a folder with keys beside it": ("home", (), True, ""),
    "a folder of its own": ("home/code", (), False, ""),
    "a repository that holds its own queue": ("home/queue", (), False, ""),
    "the home, named by the owner": ("home", ("home",), False, ""),
    "a folder with keys in it, in a root": ("home/.config", ("home",), False, ""),
    "a place of keys, only in a root": ("home/.ssh", ("home",), False, "may hold keys"),
    "a place of keys, named by the owner": ("home/.ssh/deep", ("home/.ssh",), False, ""),
    "a place of keys, in no root": ("home/.ssh", ("home/code",), False, "may hold keys"),
}


@pytest.mark.parametrize(("cwd", "roots", "cloned", "why"), REFUSED_CWDS.values(), ids=REFUSED_CWDS)
def test_a_confined_job_is_refused_the_folders_that_its_walls_are_for(
    root: Path, cwd: str, roots: tuple[str, ...], cloned: bool, why: str
) -> None:
    place(root, "home/.ssh/deep")
    place(root, "home/.config/gh")
    place(root, "home/code")
    git = place(root, "home/queue/.git")
    (root / "link").symlink_to(root / "home/.ssh")
    private = (place(root, "state"), git)
    owners = tuple(str(root / name) for name in roots)
    said = refused_cwd(root / cwd, root / "home", private, owners, cloned=cloned)
    assert bool(said) == bool(why)
    assert why in said


def test_a_run_has_its_own_caches_unless_the_owner_shares_theirs() -> None:
    own = own_caches({}, Path("/run/x"), ())
    assert own["XDG_CACHE_HOME"].startswith("/run/x/tmp/")
    assert own_caches({"XDG_CACHE_HOME": "/mine"}, Path("/r"), ()).keys() == {"npm_config_cache"}
    assert own_caches({}, Path("/run/x"), ("~/.cache/",)) == {}


WANTED = {
    "auto where it works": (Manifest(), "auto", BOX, True, ""),
    "auto where it does not": (
        Manifest(),
        "auto",
        NONE,
        False,
        "aq: not confined: bubblewrap is not installed",
    ),
    "off by the owner": (Manifest(), "off", BOX, False, ""),
    "off by the job, not by the owner": (Manifest(sandbox="off"), "auto", BOX, True, ""),
    "off by both": (Manifest(sandbox="off"), "off", BOX, False, ""),
    "required by the job": (Manifest(sandbox="required"), "off", BOX, True, ""),
    "required by the owner": (Manifest(sandbox="off"), "required", BOX, True, ""),
}


@pytest.mark.parametrize(("manifest", "floor", "box", "on", "remark"), WANTED.values(), ids=WANTED)
def test_the_stricter_of_job_and_owner_wins(
    monkeypatch: pytest.MonkeyPatch, manifest: Manifest, floor: str, box: Sandbox, on: bool, remark: str
) -> None:
    monkeypatch.delenv("AQ_SANDBOX")
    made = Confinement.of(manifest, floor, box, Walls())
    assert made.on is on
    assert made.remark == remark
    made.check()


def test_what_is_required_and_does_not_work_is_refused() -> None:
    made = Confinement.of(Manifest(sandbox="required"), "auto", NONE, Walls())
    with pytest.raises(WorkspaceError, match="none works here: bubblewrap is not installed"):
        made.confine(("sh",), Path("/w"), Path("/r"), {})


def test_an_unconfined_process_is_started_as_it_is() -> None:
    made = Confinement.of(Manifest(), "off", BOX, Walls())
    assert made.confine(("sh",), Path("/w"), Path("/r"), {"A": "b"}) == (("sh",), {"A": "b"})


def test_a_tool_that_is_not_there_or_does_not_work_is_no_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AQ_SANDBOX")
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    module._probed.cache_clear()
    try:
        assert sandbox() == Sandbox(why="bubblewrap is not installed")
        fake = place(tmp_path, "bwrap", "#!/bin/sh\necho 'No permission for a namespace' >&2\nexit 1\n")
        fake.chmod(0o755)
        module._probed.cache_clear()
        assert sandbox().why == "bubblewrap does not work here: No permission for a namespace"
    finally:
        module._probed.cache_clear()


def test_the_environment_can_switch_it_off() -> None:
    assert os.environ["AQ_SANDBOX"] == "off"
    assert not sandbox()
    assert sandbox().name == "none"


def test_other_systems_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AQ_SANDBOX")
    monkeypatch.setattr(module.sys, "platform", "win32")
    module._probed.cache_clear()
    try:
        assert sandbox().why == "there is none for win32"
    finally:
        module._probed.cache_clear()


def test_a_probe_that_hangs_is_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("bwrap", 10)

    monkeypatch.setattr(module.subprocess, "run", hangs)
    assert "does not run" in module._tried(BOX, ("bwrap",)).why
