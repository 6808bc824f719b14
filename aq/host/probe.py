"""What this machine offers, found by looking: never declared, never a credential's value."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from aq.core.planning.eligible import AGENT_CLASS, SANDBOX
from aq.core.variables import OFFER
from aq.host.config import HostConfig
from aq.host.engines import engines
from aq.host.engines.base import Auth, Engine, Probe
from aq.host.engines.looking import ask
from aq.host.environment import is_dropped
from aq.host.hardware import hardware
from aq.host.sandbox import sandbox

_SYSTEMS = {"linux": "linux", "darwin": "mac", "win32": "windows"}
# Tools that jobs ask for, each with the option that prints its version.
_TOOLS = {
    "git": "--version",
    "node": "--version",
    "npm": "--version",
    "go": "version",
    "java": "-version",
    "cargo": "--version",
    "docker": "--version",
    "podman": "--version",
    "make": "--version",
    "gh": "--version",
    "glab": "--version",
    "uv": "--version",
    "xcode": "-version",
}
# The program of a tool that is called otherwise.
_PROGRAMS = {"xcode": "xcodebuild"}
_VERSION = re.compile(r"\d+(?:\.\d+)+")
_PROBE_SECONDS = 10


def _version(tool: str) -> str | None:
    path = shutil.which(_PROGRAMS.get(tool, tool))
    if not path:
        return None
    try:
        done = subprocess.run(
            [path, _TOOLS[tool]],
            capture_output=True,
            timeout=_PROBE_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search((done.stdout + done.stderr).decode("utf-8", "replace"))
    return f"{tool}={found[0]}" if found else f"has:{tool}"


def probe_offers(config: HostConfig) -> frozenset[str]:
    """Every capability of this host, as offers like `os:linux` and `node=22.3.0`."""
    system = _SYSTEMS.get(sys.platform, sys.platform)
    offers = {
        f"os:{system}",
        f"arch:{platform.machine().lower() or 'unknown'}",
        f"host:{config.name}",
        f"python={platform.python_version()}",
        *hardware(),
    }
    with ThreadPoolExecutor(max_workers=8) as pool:
        offers |= {found for found in pool.map(_version, _TOOLS) if found}
        offers |= {found for found in pool.map(_probed, config.probes, config.probes.values()) if found}
    for name, (engine, probe) in _usable(config).items():
        offers.add(f"engine:{name}")
        offers |= {f"auth:{name}"} if probe.auth is Auth.YES and engine.kind == AGENT_CLASS else set()
        if probe.version and not any(offer.startswith(f"{name}=") for offer in offers):
            offers.add(f"{name}={probe.version}")
    offers |= {f"repo:{name}" for name in config.repos}
    offers |= {f"{OFFER}{name}" for name in config.job_env if os.environ.get(name) and not is_dropped(name)}
    if sandbox():
        offers.add(SANDBOX)
    return frozenset(offers | set(config.offers))


def _probed(name: str, command: str) -> str | None:
    """What the owner's own probe says: by its exit code, and with the first version that it prints."""
    shell = shutil.which("sh")
    said = ask((shell, "-c", command), os.environ) if shell else None
    if said is None or said[0] != 0:
        return None
    found = _VERSION.search(said[1])
    return f"{name}={found[0]}" if found else f"has:{name}"


def look_at_engines(config: HostConfig) -> dict[str, tuple[Engine, Probe]]:
    """The engines that are here and allowed, with or without credentials, in the table's order."""
    table = engines(config)
    with ThreadPoolExecutor(max_workers=8) as pool:
        probes = pool.map(lambda engine: engine.probe(os.environ), table.values())
        found = zip(table.items(), probes, strict=True)
        return {name: (engine, probe) for (name, engine), probe in found if probe.path}


def _usable(config: HostConfig) -> dict[str, tuple[Engine, Probe]]:
    """The engines with credentials, then those that may have some: the first of a class is used first."""
    seen = look_at_engines(config).items()
    return {name: look for auth in (Auth.YES, Auth.UNKNOWN) for name, look in seen if look[1].auth is auth}


def probe_engines(config: HostConfig) -> dict[str, str]:
    """The engines that are here, allowed and not known to lack credentials, in order of preference, each
    with its class."""
    return {name: engine.kind for name, (engine, _) in _usable(config).items()}
