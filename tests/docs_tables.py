"""The tables of the documentation, made from the code. `python -m tests.docs_tables` rewrites them;
a test fails when they differ."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel

from aq.core.engine.policy import POLICIES
from aq.core.files.jobfile import JobFile
from aq.core.files.profilefile import ProfileForm
from aq.core.files.settingsfile import SettingsFile
from aq.core.lifecycle import TRANSITIONS
from aq.core.settings import CADENCES
from aq.host.config import HostFile
from aq.host.engines.declared import EngineFile
from aq.ui.cli.table import COMMANDS
from tests.attacks import threat_rows
from tests.model.search import mutants

ROOT = Path(__file__).parent.parent
EXIT_CODES = {
    0: "done",
    1: "an expected no: nothing to do, refused, invalid",
    2: "the command line makes no sense",
    3: "a bug in aq; a report file is left and named",
    4: "frozen: the queue's history was rewound",
    75: "try later: the remote is away or refused for now; nothing is lost",
    130: "interrupted",
}


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _keys(model: type[BaseModel]) -> str:
    rows = [[f"`{info.alias or name}`", info.description or ""] for name, info in model.model_fields.items()]
    return _table(["key", "meaning"], rows)


def _transitions() -> str:
    grouped: dict[tuple[str, str, str, str], list[str]] = {}
    for row in TRANSITIONS:
        move = f"{row.source or 'new'} → {row.target}"
        grouped.setdefault((row.trigger, row.lease, row.by, row.meaning), []).append(move)
    rows = [
        [trigger, ", ".join(moves), lease, by, meaning]
        for (trigger, lease, by, meaning), moves in grouped.items()
    ]
    return _table(["operation", "moves", "lease", "by", "meaning"], rows)


def _failures() -> str:
    rows = []
    for failure, row in POLICIES.items():
        steps = ", ".join(f"{step / 60:g}" for step in row.rests)
        job = "goes back uncharged" if row.released else "is charged an attempt"
        rows.append([f"`{failure}`", job, f"rests {steps} min" if steps else "goes on"])
    return _table(["class", "the job", "the engine on this host"], rows)


def tables() -> dict[str, str]:
    """Every generated block by the name in its marker."""
    cadences = [
        [name, *(f"{value:g}" for value in (c.poll, c.beat, c.ttl, c.grace, c.patience, c.push_interval))]
        for name, c in CADENCES.items()
    ]
    return {
        "job-keys": _keys(JobFile),
        "settings-keys": _keys(SettingsFile),
        "profile-keys": _keys(ProfileForm),
        "host-keys": _keys(HostFile),
        "engine-keys": _keys(EngineFile),
        "failure-classes": _failures(),
        "commands": _table(["command", "what it does"], [[f"`aq {n}`", e.help] for n, e in COMMANDS.items()]),
        "exit-codes": _table(["code", "meaning"], [[str(code), text] for code, text in EXIT_CODES.items()]),
        "cadences": _table(["preset", "poll", "beat", "ttl", "grace", "patience", "push-interval"], cadences),
        "transitions": _transitions(),
        "attacks": _table(["no", "attack", "what holds", "shown by"], threat_rows()),
        "mutants": _table(
            ["mutant", "what is wrong in it", "law that catches it", "search"],
            [[f"`{one.name}`", one.meaning, f"`{one.law}`", one.search] for one in mutants()],
        ),
    }


def with_tables(text: str) -> str:
    """The text with every marked block replaced by what the code says."""
    made = tables()

    def block(match: re.Match[str]) -> str:
        return f"<!-- {match[1]} -->\n{made[match[1]]}\n<!-- end -->"

    return re.sub(r"<!-- ([a-z-]+) -->\n.*?<!-- end -->", block, text, flags=re.DOTALL)


DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("architecture", "configuration", "engines", "reliability")),
)

if __name__ == "__main__":
    for document in DOCUMENTS:
        document.write_text(with_tables(document.read_text("utf-8")), encoding="utf-8")
