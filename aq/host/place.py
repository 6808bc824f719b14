"""Where this machine's own settings are. Light to import: every command looks here."""

from __future__ import annotations

import os
from pathlib import Path

from aq.core.errors import AqError
from aq.core.value import Value

_OVERRIDE = "AQ_HOST_CONFIG"


def config_path() -> Path:
    """Where host.yaml is; `AQ_HOST_CONFIG` overrides it."""
    override = os.environ.get(_OVERRIDE)
    if override:
        return Path(override).expanduser()
    from platformdirs import user_config_path

    return user_config_path("aq", appauthor=False) / "host.yaml"


def config_text() -> bytes | None:
    """What host.yaml says; None where there is none. Raises AqError when one was asked for that is not
    there: without it a host has no limits."""
    path = config_path()
    try:
        return path.read_bytes()
    except FileNotFoundError:
        if not os.environ.get(_OVERRIDE):
            return None
        raise AqError(
            f"{_OVERRIDE} names {path}, and there is no such file", "correct the name, or unset the variable"
        ) from None


class TrustFiles(Value):
    """What a machine trusts, and the keys that a person and the host sign with."""

    pins: Path
    person: Path
    host: Path


def trust_folder() -> Path:
    """The folder of the keys and of the pinned signers, beside host.yaml."""
    return config_path().parent / "trust"


def trust_files(person: str = "", host: str = "") -> TrustFiles:
    """The files of trust; keys may be elsewhere."""
    folder = trust_folder()
    keys = [
        Path(name).expanduser() if name else folder / kind
        for name, kind in ((person, "person"), (host, "host"))
    ]
    return TrustFiles(folder / "signers.yaml", *keys)
