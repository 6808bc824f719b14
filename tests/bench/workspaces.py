"""What a run costs on top of its engine in a repository of 5 000 files: from the order to the engine's first
byte, and taking a change of 50 files with its scope check. Nothing is deleted in between: ext4 is slow to
make files for half a minute after many were deleted."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from aq.core.lease import Fence
from aq.core.manifest import Manifest
from aq.core.work import Ended, Order
from aq.host.bench import Bench
from aq.host.config import HostConfig
from aq.host.workspace import Wanted, Workspaces
from tests.bench.fixtures import git
from tests.bench.measure import Table, Target, figure, grouped, median, ratio

_FILES, _CHANGED = 5_000, 50
_START_LIMIT, _TAKE_LIMIT = 300.0, 400.0
_FIRST_BYTE = "date +%s%N"


def make_target(path: Path, files: int) -> Path:
    """A bare repository with files of about 3 KB in folders of 25."""
    git(None, "init", "--quiet", "--bare", "-b", "main", str(path))
    with subprocess.Popen(["git", "fast-import", "--quiet"], cwd=path, stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(
            b"commit refs/heads/main\ncommitter ada <ada@hosts.aq.invalid> 1700000000 +0000\ndata 1\nx\n"
        )
        for number in range(files):
            text = "".join(f"value_{number}_{line} = {line * number}\n" for line in range(120)).encode()
            name = f"package_{number // 500}/part_{number // 25 % 20}/file_{number}.py"
            process.stdin.write(b"M 100644 inline %s\ndata %d\n%s\n" % (name.encode(), len(text), text))
    if process.returncode:
        raise RuntimeError("git fast-import failed")
    return path


def run(root: Path, *, quick: bool) -> list[Table]:
    """Two tables: starting, and taking the work."""
    files = 500 if quick else _FILES
    rounds = 3 if quick else 9
    target = make_target(root / "target.git", files)
    return [_starting(root, target, files, rounds), _taking(root, target, files, rounds)]


class _Starts:
    """Runs of a shell engine that tells when it began; each in a folder of its own, none deleted."""

    def __init__(self, root: Path, target: Path) -> None:
        self.root = root
        self.bench = Bench(HostConfig("ada", repos={"target": str(target)}), root / "state", root / "logs")
        self.spares = root / "state" / "spares"
        self.number = 0

    def settle(self) -> None:
        """Wait until the spare checkout for the next run is there, as it is when a run is not at once
        followed by another."""
        while not any(not path.name.endswith(".part") for path in self.spares.glob("*")):
            time.sleep(0.05)

    def run(self, repo: str) -> float:
        """Milliseconds from the order to the engine's first byte."""
        self.number += 1
        fence = Fence(f"job-{self.number}", "ada", 1, "abcdef")
        manifest = Manifest(engine="shell", repo=repo, baseline=False)
        begun = time.time_ns()
        self.bench.start(Order(fence, 1, "shell", manifest, _FIRST_BYTE, "x\n", "A job"))
        while not any(isinstance(report, Ended) for report in self.bench.take_reports(60)):
            pass
        self.bench.finish(fence)
        log = self.root / "logs" / fence.job / "1.log"
        return (int(log.read_text().split()[-1]) - begun) / 1e6


def _bare(root: Path) -> float:
    """Milliseconds until a script begins that nothing was prepared for."""
    script = root / "bare.sh"
    script.write_text(_FIRST_BYTE + "\n")
    begun = time.time_ns()
    done = subprocess.run(["sh", str(script)], capture_output=True, check=True)
    return (int(done.stdout) - begun) / 1e6


def _starting(root: Path, target: Path, files: int, rounds: int) -> Table:
    starts = _Starts(root, target)
    first = starts.run("target")
    own, empty, clone = "the engine's own start", "in an empty folder", "in a clone"
    taken: dict[str, list[float]] = {own: [], empty: [], clone: []}
    for _ in range(rounds):
        starts.settle()
        taken[own].append(_bare(root))
        taken[empty].append(starts.run(""))
        taken[clone].append(starts.run("target"))
    values = {name: median(times) for name, times in taken.items()} | {"in the first clone of all": first}
    rows = [[name, figure(value), figure(value - values[own])] for name, value in values.items()]
    targets = [Target("order to first byte, on top", values[clone] - values[own], _START_LIMIT, " ms")]
    notes = [
        f"{grouped(files)} files; fetch of the target, checkout and seal included; {rounds} rounds",
        "a clone begins with the spare checkout that was made after the run before; the first has none",
    ]
    return Table("Starting a run", ["first byte of a shell engine", "ms", "on top ms"], rows, targets, notes)


def _taking(root: Path, target: Path, files: int, rounds: int) -> Table:
    workspaces = Workspaces(root / "state")
    took: list[float] = []
    plain: list[float] = []
    for number in range(rounds + 1):
        folder = root / f"take-{number}"
        folder.mkdir()
        workspace = workspaces.prepare(folder, Wanted(source=str(target)), f"aq/take/{number}")
        _change(workspace.path, files)
        begun = time.perf_counter()
        found = workspace.capture(f"aq/take/{number}", "abcdef", lambda commits: "work\n", ("package_0/**",))
        took.append((time.perf_counter() - begun) * 1e3)
        assert found.pushed
        assert found.size.files == _CHANGED
        assert len(found.outside) == _CHANGED - _CHANGED // 10
        plain.append(_plain(workspace.path))
    captured, added = median(took[1:]), median(plain[1:])
    rows = [
        ["`git add --all`, `git commit` in the clone", figure(added), "1.00x"],
        ["capture, scope check, commit, push, read back", figure(captured), ratio(captured, added)],
    ]
    targets = [Target("capture and scope check", captured, _TAKE_LIMIT, " ms")]
    notes = [f"{_CHANGED} of {grouped(files)} files changed, in ten folders; {rounds} rounds"]
    return Table("Taking the work", ["a change of 50 files", "ms", "ratio"], rows, targets, notes)


def _change(path: Path, files: int) -> None:
    for number in range(0, files, files // _CHANGED):
        name = path / f"package_{number // 500}" / f"part_{number // 25 % 20}" / f"file_{number}.py"
        name.write_text(name.read_text() + "changed = True\n")


def _plain(path: Path) -> float:
    """Milliseconds of what a person would do, for scale."""
    begun = time.perf_counter()
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "-m", "work")
    return (time.perf_counter() - begun) * 1e3
