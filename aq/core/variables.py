"""Which environment variables a job may have: some always, all others only by their names."""

from __future__ import annotations

from collections.abc import Iterable

# No credentials: an engine's own come by its adapter, others by the job's `env:`.
ALWAYS = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "SYSTEMROOT",
    "COMSPEC",
    "PATHEXT",
    "APPDATA",
    "LOCALAPPDATA",
    "USERPROFILE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
# How a host offers a variable that jobs may have and that is set there: never its value.
OFFER = "cred:"


def always(name: str) -> bool:
    """Whether every child has the variable, if it is set."""
    return name in ALWAYS or name.startswith("LC_")


def withheld(names: Iterable[str], offers: frozenset[str]) -> list[str]:
    """Why a host does not give a job the variables that it asks for by name, one line for each."""
    wanted = (name for name in names if not always(name) and f"{OFFER}{name}" not in offers)
    return [f"gives jobs no variable {name} (`job-env` in its host.yaml, and set there)" for name in wanted]
