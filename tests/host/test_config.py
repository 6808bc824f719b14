"""host.yaml: what this machine is willing to do, and exact words about what is wrong with it."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from aq.core.errors import AqError, InvalidFileError
from aq.host.config import HostConfig, config_path, load_host_config
from aq.host.signed import signed_mode


@pytest.fixture
def host_yaml(hermetic_home: Path) -> Path:
    return hermetic_home / "host.yaml"


def test_without_a_file_the_machine_names_itself(host_yaml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "My_Mac.local")
    assert load_host_config() == HostConfig(name="my_mac")


def test_a_machine_without_a_name_is_host(host_yaml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "")
    assert load_host_config().name == "host"


def test_every_key_is_read(host_yaml: Path) -> None:
    host_yaml.write_text(
        "name: mac-2\nslots: 3\nroots: [/srv, /home]\nrepos: {billing: /srv/billing}\nallow: [shell]\n"
        "deny: [other]\noffers: [has:licence]\nstop-grace: 3s\nmin-disk: 5\n"
        "probes: {licence: test -f /x}\njob-env: [NPM_TOKEN]\n"
        "stall: 5m\nno-output: 30m\ncommands: [make test, ruff check]\n"
    )
    assert load_host_config() == HostConfig(
        name="mac-2",
        slots=3,
        roots=("/srv", "/home"),
        repos={"billing": "/srv/billing"},
        allow=("shell",),
        deny=("other",),
        offers=("has:licence",),
        probes={"licence": "test -f /x"},
        job_env=("NPM_TOKEN",),
        stop_grace=3.0,
        stall=300.0,
        no_output=1800.0,
        commands=("make test", "ruff check"),
        min_disk_gib=5,
    )


def test_a_file_that_was_asked_for_and_is_not_there_is_no_file_without_limits(
    host_yaml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AQ_HOST_CONFIG", f"{host_yaml}l")
    for asked in (load_host_config, signed_mode):
        with pytest.raises(AqError, match="there is no such file"):
            asked()


def test_a_tilde_in_the_variable_is_the_home(host_yaml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AQ_HOST_CONFIG", "~/host.yaml")
    host_yaml.write_text("slots: 3\n")
    assert load_host_config().slots == 3


def test_an_empty_file_changes_nothing(host_yaml: Path) -> None:
    host_yaml.write_text("")
    assert load_host_config("ada") == HostConfig(name="ada")


def test_the_command_line_wins(host_yaml: Path) -> None:
    host_yaml.write_text("name: mac-2\nslots: 3\n")
    found = load_host_config("ada", 7)
    assert (found.name, found.slots) == ("ada", 7)


BAD = {
    "an unknown key": ("slot: 2\n", "1: unknown key 'slot'; did you mean 'slots'?"),
    "no slots": (
        "name: a\nslots: 0\n",
        "2: slots: slots must be at least 1; use `aq drain` for a host that takes no work",
    ),
    "slots in words": ("slots: many\n", "1: slots: 'many' is not a whole number; write 0, 1, 2, …"),
    "a relative root": (
        "roots: [code]\n",
        "1: roots.0: 'code' is not an absolute path; write the whole path, such as /srv/app",
    ),
    "a name with a space": (
        "name: my mac\n",
        "1: name: 'my mac' is not a job id; use a-z, 0-9, - and _, at most 64, not a device name",
    ),
    "a probe with an odd name": (
        'probes: {"a b": "true"}\n',
        "1: probes.a b: 'a b' is not the name of a probe; use a-z, 0-9, dot, dash and underscore",
    ),
    "a probe that is a clause": (
        'probes: {"os:linux": "true"}\n',
        "1: probes.os:linux: 'os:linux' is not the name of a probe; use a-z, 0-9, dot, dash and underscore",
    ),
    "a variable with its value": (
        "job-env: [A=b]\n",
        "1: job-env.0: 'A=b' is not the name of an environment variable; write only the name",
    ),
    "no duration": (
        "stop-grace: soon\n",
        "1: stop-grace: 'soon' is not a duration; write a number and a unit: 90s, 45m, 2h or 1d",
    ),
    "a list": ("- name\n", "1: keys and values are expected here; write lines like `engine: shell`"),
    "an anchor": ("name: &a b\n", "1: YAML anchors and aliases are not allowed; write the value out"),
    "a duplicate key": ("slots: 1\nslots: 2\n", "2: duplicate key 'slots'; first given on line 1"),
    "no YAML": (
        "name: [\n",
        "2: not YAML: did not find expected node content; check quotes, colons and indentation",
    ),
}


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=BAD)
def test_a_bad_file_is_told_by_file_and_line(host_yaml: Path, text: str, words: str) -> None:
    host_yaml.write_text(text)
    with pytest.raises(InvalidFileError) as caught:
        load_host_config()
    assert str(caught.value) == f"{host_yaml}:{words}"


def test_a_bad_name_on_the_command_line_is_told(host_yaml: Path) -> None:
    with pytest.raises(AqError, match="'My Mac' is not a host name; use a-z, 0-9, - and _"):
        load_host_config("My Mac")


def test_the_file_is_where_the_environment_says_or_in_the_users_config(
    host_yaml: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert config_path() == host_yaml
    monkeypatch.delenv("AQ_HOST_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert config_path().name == "host.yaml"
    assert config_path().parent.name == "aq"


ENGINES = {
    "nothing said": ((), (), True),
    "allowed": (("shell",), (), True),
    "another allowed": (("other",), (), False),
    "denied": ((), ("shell",), False),
    "allowed and denied": (("shell",), ("shell",), False),
}


@pytest.mark.attack("S2")
@pytest.mark.parametrize(("allow", "deny", "may"), ENGINES.values(), ids=ENGINES)
def test_the_owner_says_which_engines_may_run(
    allow: tuple[str, ...], deny: tuple[str, ...], may: bool
) -> None:
    assert HostConfig("a", allow=allow, deny=deny).may_use("shell") is may


@pytest.mark.attack("S2")
@pytest.mark.parametrize(
    ("folder", "may"),
    [
        pytest.param("root", True, id="the root itself"),
        pytest.param("root/sub", True, id="below the root"),
        pytest.param("root-2", False, id="a neighbour with the root's name in front"),
        pytest.param("root/../other", False, id="out by dots"),
        pytest.param("root/link", False, id="out by a link"),
        pytest.param("in", True, id="in by a link"),
    ],
)
def test_roots_are_where_folders_really_are(tmp_path: Path, folder: str, may: bool) -> None:
    for name in ("root/sub", "root-2", "other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "root" / "link").symlink_to(tmp_path / "other")
    (tmp_path / "in").symlink_to(tmp_path / "root" / "sub")
    assert HostConfig("a", roots=(str(tmp_path / "root"),)).may_enter(str(tmp_path / folder)) is may
    assert HostConfig("a").may_enter(str(tmp_path / folder))


def test_the_owner_says_how_jobs_are_confined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "host.yaml"
    monkeypatch.setenv("AQ_HOST_CONFIG", str(path))
    path.write_text("sandbox: required\nsandbox-write: [~/.cache, ~/.cargo]\n")
    config = load_host_config("ada")
    assert (config.sandbox, config.sandbox_write) == ("required", ("~/.cache", "~/.cargo"))
    path.write_text("sandbox: maybe\n")
    with pytest.raises(InvalidFileError, match="'auto', 'required' or 'off'"):
        load_host_config("ada")
