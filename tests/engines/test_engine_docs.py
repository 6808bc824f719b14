"""docs/engines.md says what the registry says."""

from __future__ import annotations

import re
from pathlib import Path

from aq.host.config import HostConfig
from aq.host.engines import ENGINES, engine_problems, engines
from aq.host.engines.looking import PROVIDER_KEYS
from aq.host.engines.parsers import PARSERS
from tests.docs_tables import ROOT

DOC = (ROOT / "docs" / "engines.md").read_text("utf-8")


def table(heading: str) -> dict[str, list[str]]:
    """The rows of the table whose head starts so, by the name in their first cell."""
    lines = DOC[DOC.index(heading) :].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0].strip(" `"): row[1:] for row in rows}


MAIN = table("| engine | install |")
YOLO = table("| engine | `yolo: false`")


def test_every_engine_is_in_both_tables_and_in_order_of_preference() -> None:
    assert list(MAIN) == list(ENGINES)
    assert list(YOLO) == list(ENGINES)


def test_sessions_and_variables_are_those_of_the_code() -> None:
    for name, row in MAIN.items():
        engine = ENGINES[name]
        assert (row[5] == "yes") == engine.resumes, name
        named = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", row[1]))
        assert named <= set(engine.env), name


def test_the_keys_of_providers_are_listed() -> None:
    listed = DOC[DOC.index("Keys of providers are") :].split(". ")[0]
    assert tuple(re.findall(r"`([A-Z_]+)`", listed)) == PROVIDER_KEYS


def test_the_parsers_are_listed() -> None:
    listed = DOC[DOC.index("\nParsers: ") :].split("\n\n")[0]
    assert re.findall(r"`([a-z]+(?:_[a-z]+)?)`", listed) == list(PARSERS)


def test_the_example_is_an_engine_in_ten_lines(hermetic_home: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)
    assert len(example.splitlines()) <= 10
    (hermetic_home / "engines").mkdir()
    (hermetic_home / "engines" / "mytool.yaml").write_text(example)
    assert engine_problems() == ()
    assert engines(HostConfig("ada"))["mytool"].resumes
