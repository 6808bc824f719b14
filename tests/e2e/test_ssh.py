"""A hub behind a real sshd on loopback: two hosts, the queue cloned over `ssh://`."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aq.core.lifecycle import Stage
from tests.support.audit import audit
from tests.support.fleet import Fleet, git, wait_until

SSHD = shutil.which("sshd") or ("/usr/sbin/sshd" if Path("/usr/sbin/sshd").exists() else "")
JOBS = 20
pytestmark = [
    pytest.mark.ssh,
    pytest.mark.skipif(not SSHD, reason="no sshd here: install openssh-server"),
    pytest.mark.skipif(not shutil.which("ssh"), reason="no ssh here: install openssh-client"),
]
CALM = "cadence: {preset: local, poll: 1s, beat: 2s, ttl: 90s, grace: 5s, patience: 2s}\n"


def _key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def sshd(tmp_path: Path, hermetic_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of our own; the start of its URLs."""
    folder = tmp_path / "sshd"
    folder.mkdir(mode=0o700)
    host, user, port = _key(folder / "host"), _key(folder / "user"), _free_port()
    (folder / "authorized").write_text(user.with_suffix(".pub").read_text())
    (folder / "config").write_text(
        f"""Port {port}
ListenAddress 127.0.0.1
HostKey {host}
PidFile {folder}/pid
AuthorizedKeysFile {folder}/authorized
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
SetEnv HOME={hermetic_home} GIT_CONFIG_GLOBAL={hermetic_home}/.gitconfig
MaxStartups 100
# Half of a connection's time goes into the exchange of keys that it would choose for itself.
KexAlgorithms curve25519-sha256
"""
    )
    public = host.with_suffix(".pub").read_text().split()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    command = [SSHD, "-D", "-e", "-f", str(folder / "config")]
    options = f"-i {user} -o IdentitiesOnly=yes -o UserKnownHostsFile={folder}/known -o BatchMode=yes"
    monkeypatch.setenv("GIT_SSH_COMMAND", f"ssh -F none {options}")
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        wait_until(lambda: _answers(port) or server.poll() is not None, 20, "sshd to listen")
        assert server.poll() is None, (folder / "log").read_text()
        yield f"ssh://{getpass.getuser()}@127.0.0.1:{port}"
        server.terminate()


def test_two_hosts_work_through_a_queue_over_ssh(tmp_path: Path, sshd: str) -> None:
    root = tmp_path / "fleet"
    fleet = Fleet(root, CALM, url=f"{sshd}{root}/hub.git")
    try:
        assert git(fleet.you.path, "remote", "get-url", "origin") == fleet.url
        for n in range(JOBS):
            fleet.you.drop(
                f"job-{n:02d}",
                f"---\nengine: shell\nverify: 'true'\n---\nmktemp {tmp_path}/ran.$AQ_JOB.XXXX\n",
            )
        fleet.you.aq("status")
        for name in ("ada", "bob"):
            fleet.start(name, "--slots", "4")
        wait_until(
            lambda: len(fleet.snapshot().stages[Stage.TESTING]) == JOBS, 200, "every job to be verified"
        )
        seen = audit(fleet.hub)
        assert seen.claims() == {f"job-{n:02d}": 1 for n in range(JOBS)}
        assert len(list(tmp_path.glob("ran.*"))) == JOBS
        shipped = fleet.you.aq("ship", "job-00")
        assert "testing -> shipped" in shipped.stdout
    finally:
        fleet.end()
