"""What the tests of policies share: many jobs at once, where they are, and agents that are small scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from aq.core.files.jobfile import parse_job
from aq.core.lifecycle import Stage
from aq.core.operations import Add
from aq.core.results import Landed
from aq.core.snapshot import Snapshot
from tests.engines.streams import CLAUDE_INIT, CLAUDE_RESULT
from tests.support.fleet import Fleet, git, op


def submit(fleet: Fleet, texts: Mapping[str, str]) -> None:
    """All jobs, as one push."""
    ledger, adds = fleet.you.ledger(), []
    for name, text in texts.items():
        content = text.encode()
        blob, manifest = ledger.write_blob(content), parse_job(content)[0]
        adds.append(Add(**op(), job=name, blob=blob, manifest=manifest))
    assert all(isinstance(result, Landed) for result in ledger.perform(adds))


class Board:
    """The queue on the hub as one onlooker sees it, who looks often."""

    def __init__(self, fleet: Fleet) -> None:
        self.ledger = fleet.you.ledger()

    def now(self) -> Snapshot:
        """The queue now."""
        self.ledger.fetch()
        return self.ledger.snapshot()

    def settled(self, stage: Stage) -> list[str]:
        """The jobs in a stage that nobody holds."""
        return sorted(job.id for job in self.now().jobs(stage) if job.lease is None)


def has_decided_on(fleet: Fleet, host: str, tip: str) -> bool:
    """Whether a host has decided on this tip or a later one: its beat is written after that, and names it."""
    beat = git(fleet.hub, "for-each-ref", "--format=%(contents)", f"refs/aq/hosts/{host}")
    named = next((line.split()[1].strip("'\"") for line in beat.splitlines() if line.startswith("tip:")), "")
    return bool(named) and git(fleet.hub, "merge-base", tip, named, ok=False) == tip


@dataclass(frozen=True)
class Agent:
    """The configuration folder of a machine that has an agent called `mytool`."""

    folder: Path

    def used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hosts that are started from now on have it."""
        monkeypatch.setenv("AQ_HOST_CONFIG", str(self.folder / "host.yaml"))


def make_agent(folder: Path, script: str, usd: float = 0.25) -> Agent:
    """An agent that does what a shell script does, and costs this much if that succeeds."""
    (folder / "engines").mkdir(parents=True)
    told = "\n".join(json.dumps(event) for event in (CLAUDE_INIT, {**CLAUDE_RESULT, "total_cost_usd": usd}))
    tool = folder / "mytool"
    version = '[ "$1" != --version ] || { echo 1.2.3; exit; }'
    tool.write_text(f'#!/bin/sh\n{version}\nset -e\n{script}\ncat <<"END"\n{told}\nEND\n')
    tool.chmod(0o755)
    (folder / "engines" / "mytool.yaml").write_text(f"argv: [{tool}]\nparser: claude_jsonl\n")
    (folder / "host.yaml").write_text("slots: 2\n")
    return Agent(folder)
