"""What an idle host costs: bytes and time of a poll, and the CPU share of a real `aq run`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from aq.core.results import Landed
from aq.ledger.ledger import Ledger
from tests.bench.fixtures import add_beats, claim, make_clone, make_hub, open_ledger, waiting_id
from tests.bench.measure import Table, Target, figure, grouped, interleave, median, ratio
from tests.bench.relay import counted

_PEERS = (0, 8, 100)
_NEVER = "not-before: 2099-01-01T00:00Z\n"


def run(root: Path, *, quick: bool) -> list[Table]:
    """Two tables: one poll, and an idle host."""
    shipped = 1_000 if quick else 10_000
    return [_polls(root, shipped, quick=quick), _idle_host(root, shipped, quick=quick)]


def _look(ledger: Ledger) -> None:
    ledger.fetch()
    ledger.snapshot()


def _polls(root: Path, shipped: int, *, quick: bool) -> Table:
    hubs = root / "hubs"
    hubs.mkdir()
    local: dict[int, Ledger] = {}
    wire: dict[int, tuple[str, str, str]] = {}
    with counted(hubs) as traffic:
        for peers in _PEERS:
            hub = make_hub(hubs / f"{peers}.git", 500, shipped)
            add_beats(hub, peers)
            local[peers] = open_ledger(hub, root / f"local-{peers}", f"l{peers}")
            remote = open_ledger(f"{traffic.base}/{peers}.git", root / f"wire-{peers}", f"w{peers}")
            for ledger in (local[peers], remote):
                _look(ledger)
            traffic.reset()
            remote.fetch()
            idle = (traffic.down, traffic.up)
            [result] = local[peers].perform([claim(waiting_id(0), "ada")])
            assert isinstance(result, Landed)
            traffic.reset()
            remote.fetch()
            wire[peers] = (grouped(idle[0]), grouped(idle[1]), grouped(traffic.down))
            remote.close()
    version = {"start of git": lambda: subprocess.run(["git", "--version"], check=True, capture_output=True)}
    polls = {f"{peers} peers": lambda ledger=ledger: _look(ledger) for peers, ledger in local.items()}
    taken = interleave({**version, **polls}, 10 if quick else 40)
    base = median(taken["start of git"])
    rows = []
    for peers, ledger in local.items():
        value = median(taken[f"{peers} peers"])
        rows.append([f"{peers} peers", *wire[peers], figure(value), ratio(value, base)])
        ledger.close()
    notes = [
        f"500 waiting and {grouped(shipped)} shipped jobs; a poll fetches the branch and every host's beat",
        "bytes through git's own protocol, without ssh or TLS; ms on a local path, to the start of a bare git process",
    ]
    return Table(
        "An idle poll",
        ["hub with", "bytes down", "bytes up", "down after a claim", "ms", "to `git --version`"],
        rows,
        notes=notes,
    )


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _idle_host(root: Path, shipped: int, *, quick: bool) -> Table:
    seconds = 12.0 if quick else 60.0
    rows, shares = [], {}
    for waiting in (0, 500):
        hub = make_hub(root / f"idle-{waiting}.git", waiting, shipped, keys=_NEVER)
        clone = make_clone(hub, root / f"idle-{waiting}")
        command = [sys.executable, "-m", "aq", "run", "--host", "idle", "--quiet"]
        with subprocess.Popen(command, cwd=clone, stdin=subprocess.DEVNULL) as process:
            watched = psutil.Process(process.pid)
            time.sleep(6.0)
            before, started = _spent(watched), time.monotonic()
            time.sleep(seconds)
            spent, took = _spent(watched) - before, time.monotonic() - started
            memory = watched.memory_info().rss / 2**20
            process.terminate()
        shares[waiting] = 100 * spent / took
        rows.append(
            [
                f"{waiting} waiting jobs",
                f"{shares[waiting]:.2f} %",
                f"{1e3 * spent / (took / 3.0):.0f}",
                f"{memory:.0f} MiB",
            ]
        )
    notes = [
        f"a real `aq run` for {seconds:g} s at the `lan` cadence (a poll each 3 s, a beat each 60 s), nothing it may claim, {grouped(shipped)} shipped jobs",
        f"CPU of one core of {os.cpu_count()}, git and the local hub's side of each fetch included",
    ]
    target = Target("CPU share of an idle host with 500 waiting jobs", shares[500], 5.0, " %")
    return Table("An idle host", ["queue", "CPU", "CPU ms/poll", "memory"], rows, [target], notes)
