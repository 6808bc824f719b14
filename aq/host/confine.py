"""How the processes of one run are confined: what the job and the machine's owner want, and what works
here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from aq.core.manifest import Manifest
from aq.core.planning.eligible import confinement
from aq.core.value import Value, replace
from aq.host.gitproc import WorkspaceError
from aq.host.sandbox import Sandbox, Walls, is_temporary, own_caches, switched_off

_BINARIES = ("bin", ".bin")


class Confinement(Value):
    """What confines a run. `wanted` is auto, required or off."""

    box: Sandbox
    walls: Walls
    wanted: str

    @staticmethod
    def of(manifest: Manifest, floor: str, box: Sandbox, walls: Walls) -> Confinement:
        """What confines a job on a host whose owner wants `floor`."""
        return Confinement(box, walls, confinement(manifest.sandbox, floor))

    @property
    def on(self) -> bool:
        """Whether the run is confined."""
        return self.wanted != "off" and bool(self.box)

    @property
    def meant(self) -> bool:
        """Whether the run is confined, or else may not run at all."""
        return self.on or self.wanted == "required"

    @property
    def remark(self) -> str:
        """What people should know of it: that nothing confines the run, though something might."""
        if self.wanted == "off" or self.box or switched_off():
            return ""
        return f"aq: not confined: {self.box.why}"

    def check(self) -> None:
        """Raises WorkspaceError when the job must not run here."""
        if self.wanted == "required" and not self.box:
            raise WorkspaceError(f"a sandbox is required, and none works here: {self.box.why}")

    def confine(
        self,
        argv: tuple[str, ...],
        workspace: Path,
        folder: Path,
        env: Mapping[str, str],
        own: Iterable[str] = (),
        others: Iterable[str] = (),
        reads: Iterable[Path] = (),
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        """The arguments and the environment to start a process with. `own` and `others` are the names of
        the engines' states; `reads` are places that it may read although they are private."""
        self.check()
        if not self.on:
            return argv, dict(env)
        more = {**env, **own_caches(env, folder, self.walls.write)}
        room = self.walls.room(workspace, folder, more, own, others)
        room = replace(room, reads=(*reads, *tool_places(argv[0], env)))
        return self.box.wrap(argv, room), more


def tool_places(program: str, env: Mapping[str, str]) -> tuple[Path, ...]:
    """Where the programs are that a process may start, as far as a temporary folder of its own would
    hide them: a tool that was tried out, or the environment that aq itself runs in."""
    named = [Path(program).parent, Path(sys.prefix), *map(Path, env.get("PATH", "").split(os.pathsep))]
    places = (path.parent if path.name in _BINARIES else path for path in named if path.is_absolute())
    return tuple(dict.fromkeys(path for path in places if is_temporary(path.parent)))
