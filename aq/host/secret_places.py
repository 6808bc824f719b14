"""Where people and tools keep keys: what nothing that a job starts may read."""

from __future__ import annotations

import os
from pathlib import Path

_IN_HOME = (
    # keys, and the agents and stores that hold them
    ".ssh",
    ".gnupg",
    ".password-store",
    ".vault-token",
    ".config/op",
    ".config/sops",
    ".local/share/keyrings",
    "Library/Keychains",
    # clouds and clusters
    ".aws",
    ".azure",
    ".boto",
    ".config/doctl",
    ".config/gcloud",
    ".config/rclone",
    ".docker",
    ".fly",
    ".kube",
    ".oci",
    ".s3cfg",
    ".terraform.d/credentials.tfrc.json",
    # git, its forges, and registries that one publishes to
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".config/gh",
    ".config/git/credentials",
    ".config/glab-cli",
    ".config/hub",
    ".gem/credentials",
    ".git-credentials",
    ".netrc",
    "_netrc",
    ".pypirc",
    # databases
    ".my.cnf",
    ".pgpass",
    # what was typed, and what a browser remembers
    ".bash_history",
    ".zsh_history",
    ".psql_history",
    ".python_history",
    ".config/chromium",
    ".config/google-chrome",
    ".mozilla",
    "Library/Application Support/Google/Chrome",
    "Library/Application Support/Firefox",
)
# A socket is a way out whatever the file system allows: who talks to a session bus or to a container
# engine can start anything.
_SESSION = Path("/run/user")
_ENGINES = ("/run/docker.sock", "/run/podman", "/run/containerd", "/run/crio", "/run/dbus")


def secret_places(home: Path, *, docker: bool = False) -> tuple[Path, ...]:
    """The places below a home, and the sockets of the machine. A job that asks for docker gets its socket."""
    sockets = [Path(place) for place in _ENGINES if not (docker and place != "/run/dbus")]
    places = [home / name for name in _IN_HOME]
    named = [os.environ.get(name, "") for name in ("SSH_AUTH_SOCK", "KUBECONFIG", "DOCKER_CONFIG")]
    return (*places, *(Path(name) for name in named if name.startswith("/")), _SESSION, *sockets)
