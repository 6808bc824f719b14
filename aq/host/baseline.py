"""Verify before the engine begins, so that a base that was red is known to have been. What a base gave is
kept on this host: the next job on the same base need not wait for it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aq.core.manifest import Manifest
from aq.core.record import CheckResult
from aq.core.scope import is_litter
from aq.core.value import Value
from aq.core.values import plain, revive
from aq.host.capture import Desk, names
from aq.host.checks import Checks
from aq.host.gitproc import git
from aq.host.workspace import Workspace

# A tool that was installed since, or a service that is up again, makes an old result wrong.
LASTING_SECONDS = 24 * 3600.0
_KEPT = 500


class Baseline(Value):
    """What a base gave: the check that failed on it, or None when all passed."""

    failed: CheckResult | None = None


class Baselines:
    """The results of this host, one file for each base and verify."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, key: str) -> Baseline | None:
        """What is known, unless it is too old."""
        path = self._folder / f"{key}.json"
        try:
            if time.time() - path.stat().st_mtime > LASTING_SECONDS:
                return None
            return revive(Baseline, json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError, AttributeError, KeyError):
            return None

    def keep(self, key: str, found: Baseline) -> None:
        """Remember a result. That it cannot be written costs time only."""
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = self._folder / f".{key}.{os.getpid()}.tmp"
            part.write_text(json.dumps(plain(found)), encoding="utf-8")
            os.replace(part, self._folder / f"{key}.json")
            known = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
            for path in known[:-_KEPT]:
                path.unlink(missing_ok=True)


def key_of(manifest: Manifest, workspace: Workspace) -> str:
    """What a result depends on: the repository, its commit, how it is set up and what is checked."""
    source = workspace.mirror.source if workspace.mirror else ""
    facts = [source, workspace.base, manifest.setup, plain(manifest.verify), plain(manifest.artifacts)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def is_wanted(manifest: Manifest, workspace: Workspace, engine: str) -> bool:
    """Whether a run has a base to verify, and no earlier work to go on from. A script is not blamed for
    anything: for the shell engine it is done only where the job says so."""
    asked = engine != "shell" or "baseline" in manifest.given
    fresh = workspace.mirror is not None and workspace.start in ("", workspace.base)
    return manifest.baseline and asked and bool(manifest.verify) and fresh


def baseline_of(
    manifest: Manifest, workspace: Workspace, kept: Baselines, check: Callable[[], Checks]
) -> Baseline | None:
    """What the base of a fresh workspace gives, from memory or by running the checks; the workspace is
    the same afterwards. None when the checks were stopped. Raises WorkspaceError."""
    key = key_of(manifest, workspace)
    known = kept.of(key)
    if known:
        return known
    done = check()
    restore(workspace, workspace.prepared or workspace.base)
    failed = done.failed
    if failed and failed.detail.startswith("stopped: ") and failed.detail != "stopped: timeout":
        return None
    found = Baseline(failed)
    kept.keep(key, found)
    return found


def restore(workspace: Workspace, tree: str) -> None:
    """Make a workspace's files those of a tree again, without what checks left in it. What git ignores
    stays: it is nobody's work, and spares the next check from making it again; so does what an engine
    keeps for itself, and any repository in it. Raises WorkspaceError."""
    assert workspace.mirror
    with Desk.at(workspace.mirror, workspace.path) as desk:
        desk.unblock()
        desk.read("read-tree", tree)
        # It ends with 1 where files differ; the next line says which.
        git("update-index", "-q", "--refresh", cwd=desk.root, env=desk.env)
        changed = desk.read("diff-files", "--name-only", "--ignore-submodules=all", "-z")
        if changed:
            desk.read("checkout-index", "--force", "--quiet", "-z", "--stdin", data=changed)
        others = names(desk.read("ls-files", "--others", "--exclude-standard", "-z"))
    for name in others:
        if not name.endswith("/") and not is_litter(name):
            _remove(workspace.path, name)


def _remove(root: Path, name: str) -> None:
    """Delete a file, and the folders that are empty without it."""
    path = root / name
    with suppress(OSError):
        path.unlink()
        while (path := path.parent) != root:
            path.rmdir()
