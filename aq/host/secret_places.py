"""Where people and tools keep keys: what nothing that a job starts may read."""

from __future__ import annotations

import os
from collections.abc import Iterable
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


def secret_places(home: Path) -> tuple[Path, ...]:
    """The places below a home, and the sockets of the machine."""
    sockets = [Path(place) for place in _ENGINES]
    places = [home / name for name in _IN_HOME]
    named = [os.environ.get(name, "") for name in ("SSH_AUTH_SOCK", "KUBECONFIG", "DOCKER_CONFIG")]
    return (*places, *(Path(name) for name in named if name.startswith("/")), _SESSION, *sockets)


def refused_cwd(
    cwd: Path, home: Path, private: Iterable[Path], roots: Iterable[str], *, cloned: bool = False
) -> str:
    """Why a confined job may not work in a folder, or nothing: what is in its workspace is open to it.
    `private` are aq's and the engines' places. The machine's owner opens a folder by a root that it lies in,
    and a secret place by one that leads right there. Of a `cloned` folder a job gets no more than the files
    that git has."""
    real = cwd.resolve()
    named = [root for root in (Path(root).resolve() for root in roots) if real.is_relative_to(root)]
    places = {place: place.resolve() for place in (*secret_places(home), *private)}
    for place, secret in places.items():
        if real.is_relative_to(secret) and not any(root.is_relative_to(secret) for root in named):
            return f"cwd {cwd} is in {place}, which may hold keys; name it in host.yaml's `roots`"
    if cloned or named:
        return ""
    # In a repository that holds its own queue only the queue's part is hidden: git has to work.
    around = (home.resolve(), *(secret for secret in places.values() if secret.name != ".git"))
    held = next((path for path in around if path.is_relative_to(real) and path.exists()), None)
    return f"cwd {cwd} holds {held}, too much to let a job in; name it in host.yaml's `roots`" if held else ""
