"""What all runs of a host share, and how their reports leave it."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import force_setattr

from aq.core.lease import Fence
from aq.core.manifest import Manifest
from aq.core.secrecy.scrub import scrub
from aq.core.value import Value, field, replace
from aq.core.work import Order, Report
from aq.host.config import HostConfig
from aq.host.confine import Confinement
from aq.host.engines import Engine, engines
from aq.host.environment import child_environment
from aq.host.gitproc import WorkspaceError
from aq.host.place import config_path, trust_files, trust_folder
from aq.host.sandbox import Walls, sandbox, state_paths
from aq.host.secret_places import refused_cwd
from aq.host.sessions import Sessions
from aq.host.workspace import Wanted, Workspaces


def own_settings(config: HostConfig) -> tuple[Path, ...]:
    """What no job may read: whoever has a key speaks for its owner."""
    files = trust_files(config.signing_key, config.host_key)
    return config_path(), trust_folder(), files.person, files.host


def _place_of(manifest: Manifest) -> Wanted:
    """Where a job wants to work on this host, by its own words."""
    isolated = "workspace" in manifest.given and manifest.workspace == "isolated"
    return Wanted(cwd=manifest.cwd, in_place=manifest.workspace == "in-place", isolated=isolated)


class Kit(Value):
    """What all runs of a host share. `secrets` are values that no log may show."""

    config: HostConfig
    workspaces: Workspaces
    runs: Path
    logs: Path
    secrets: tuple[str, ...]
    reports: queue.SimpleQueue[Report | None]
    sessions: Sessions
    engines: dict[str, Engine] = field(default_factory=dict)
    private: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not self.engines:
            force_setattr(self, "engines", engines(self.config))

    def wanted(self, order: Order) -> Wanted:
        """The workspace that an order needs on this host."""
        manifest = order.manifest
        return replace(
            _place_of(manifest),
            source=self.config.repos.get(manifest.repo, ""),
            base=manifest.base,
            under=order.under,
            start_from=order.start_from,
        )

    def report(self, report: Report) -> None:
        """Hand a report to the runner. Its words go into the queue: no secret may be in them."""
        self.reports.put(scrub(report, self.secrets))

    def confinement(self, manifest: Manifest) -> Confinement:
        """What confines a job here. `private` are places of the queue's that no job may read."""
        walls = Walls((*self.private, self.logs, *own_settings(self.config)), self.config.sandbox_write)
        return Confinement.of(manifest, self.config.sandbox, sandbox(), walls)

    def refused_cwd(self, manifest: Manifest) -> str:
        """Why a job may not work in its `cwd` here, or nothing. What may hold keys is refused only to what
        would be confined."""
        if not manifest.cwd:
            return ""
        cwd = Path(manifest.cwd)
        if not self.config.may_enter(manifest.cwd):
            return f"cwd {cwd} is outside this host's roots"
        try:
            source = self.workspaces.source_of(_place_of(manifest))
        except WorkspaceError as error:
            return str(error)
        confinement = self.confinement(manifest)
        if not confinement.meant:
            return ""
        private = (*confinement.walls.private, *state_paths(self.states("")[1], os.environ))
        home = Path(os.environ.get("HOME") or Path.home())
        said = refused_cwd(cwd, home, private, self.config.roots)
        if said and source:
            said = refused_cwd(cwd, home, private, self.config.roots, cloned=True)
        return said

    def states(self, engine: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of an engine's state, and of all other engines'."""
        own = self.engines[engine].state if engine else ()
        return own, tuple(name for other in self.engines.values() for name in other.state)

    def log_path(self, fence: Fence) -> Path:
        """Where a run's log goes."""
        return self.logs / fence.job / f"{fence.epoch}.log"

    def environment(self, order: Order, folder: Path, asked: Iterable[str] = ()) -> dict[str, str]:
        """What a child of this run may see; `asked` are an engine's own names."""
        fence = order.fence
        own = {
            "TMPDIR": str(folder / "tmp"),
            "AQ_JOB": fence.job,
            "AQ_EPOCH": str(fence.epoch),
            "AQ_ATTEMPT": str(order.attempt),
            "AQ_HOST": fence.host,
        }
        given = (name for name in order.manifest.env if name in self.config.job_env)
        return child_environment(os.environ, (*given, *asked), own)
