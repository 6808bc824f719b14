"""A claim from decision to settled push, against a bare `git push` of one prepared commit."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

from aq.core.event import render
from aq.core.layout import file_edits
from aq.core.results import Landed
from aq.ledger.beatwriter import BeatWriter
from aq.ledger.ledger import Ledger
from tests.bench.fixtures import beat_of, claim, make_hub, open_ledger, waiting_id
from tests.bench.measure import Table, Target, counted_processes, figure, interleave, median, ratio

_LIMIT = 1.5


class _Prepared:
    """Claim commits made beforehand, pushed one by one by git and nothing else."""

    def __init__(self, ledger: Ledger, count: int) -> None:
        self.git_dir, self.url = str(ledger.store.git_dir), ledger.config.url
        tip, made = ledger.tip, []
        for number in range(count):
            operation = claim(waiting_id(number), "ada")
            change = operation.decide(ledger.reader.snapshot(tip))
            tip = ledger.committer.commit(
                tip, file_edits(change), render(change.event), ledger.who, operation.at
            )
            made.append(tip)
        self.commits = iter(made)

    def push(self) -> None:
        args = [
            "git",
            "--git-dir",
            self.git_dir,
            "push",
            "--porcelain",
            "--no-verify",
            self.url,
            f"{next(self.commits)}:refs/heads/main",
        ]
        subprocess.run(args, check=True, capture_output=True)


class _Claiming:
    """Claims through the ledger, one per call."""

    def __init__(self, ledger: Ledger, beat: BeatWriter | None = None) -> None:
        self.ledger, self.beat, self.numbers = ledger, beat, itertools.count()

    def claim(self) -> None:
        if self.beat:
            self.beat.confirmed = False
        [result] = self.ledger.perform([claim(waiting_id(next(self.numbers)), "ada")], self.beat)
        assert isinstance(result, Landed), result


def run(root: Path, *, quick: bool) -> list[Table]:
    """One table."""
    rounds, warm = (15, 3) if quick else (60, 5)
    ledgers = {}
    for name in ("bare", "plain", "beat"):
        hub = make_hub(root / f"{name}.git", 500)
        ledgers[name] = open_ledger(hub, root / name, name)
        ledgers[name].fetch()
        ledgers[name].snapshot()
    prepared = _Prepared(ledgers["bare"], rounds + warm)
    plain = _Claiming(ledgers["plain"])
    writer = BeatWriter(
        ledgers["beat"].committer, ledgers["beat"].who, "ada", "refs/aq/hosts", root / "state"
    )
    writer.compose = lambda: beat_of("ada", 8)
    riding = _Claiming(ledgers["beat"], writer)
    cases = {
        "bare `git push` of a prepared commit": prepared.push,
        "claim": plain.claim,
        "claim with the beat riding along": riding.claim,
    }
    taken = interleave(cases, rounds, warm)
    with counted_processes() as count:
        plain.claim()
        started = count()
    for ledger in ledgers.values():
        ledger.close()
    base = median(next(iter(taken.values())))
    rows = [[name, figure(median(times)), ratio(median(times), base)] for name, times in taken.items()]
    values = [median(times) / base for times in taken.values()]
    targets = [
        Target("claim / bare push", values[1], _LIMIT, "x"),
        Target("claim with beat / bare push", values[2], _LIMIT, "x"),
    ]
    notes = [
        f"500 waiting jobs; {rounds} rounds; the ledger itself starts {started} process for a claim: the push"
    ]
    return [Table("A claim, end to end", ["one claim", "ms", "ratio"], rows, targets, notes)]
