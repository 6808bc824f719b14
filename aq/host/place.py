"""Where this machine's own settings are. Light to import: every command looks here."""

from __future__ import annotations

import os
from pathlib import Path

from aq.core.value import Value


def config_path() -> Path:
    """Where host.yaml is; `AQ_HOST_CONFIG` overrides it."""
    override = os.environ.get("AQ_HOST_CONFIG")
    if override:
        return Path(override)
    from platformdirs import user_config_path

    return user_config_path("aq", appauthor=False) / "host.yaml"


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
