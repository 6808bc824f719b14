"""`python -m tests.bench [names...] [--quick] [--json FILE]`: every figure of docs/benchmarks.md."""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

from tests.bench.fixtures import hermetic
from tests.bench.machine import describe
from tests.bench.measure import Table

_NAMES = {
    "claiming": "claiming",
    "reading": "reading",
    "contention": "contention",
    "plan-conflicts": "conflicts",
    "polling": "polling",
    "commands": "commands",
    "planning": "planning",
    "redacting": "redacting",
    "workspaces": "workspaces",
}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the chosen benchmarks; exit code 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"any of {', '.join(_NAMES)}; all by default"
    )
    parser.add_argument(
        "--quick", action="store_true", help="smaller sizes and fewer rounds: a look, not a measurement"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the tables as JSON, too")
    options = parser.parse_args()
    unknown = set(options.names) - set(_NAMES)
    if unknown:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    facts = describe()
    _say(", ".join(f"{name} {value}" for name, value in facts.items()) + "\n")
    tables: list[Table] = []
    for name in options.names or _NAMES:
        root = Path(tempfile.mkdtemp(prefix="aq-bench-"))
        try:
            with hermetic(root):
                for table in importlib.import_module(f"tests.bench.{_NAMES[name]}").run(
                    root, quick=options.quick
                ):
                    tables.append(table)
                    _say("\n".join(table.lines()))
        finally:
            shutil.rmtree(root, ignore_errors=True)
    if options.json:
        options.json.write_text(
            json.dumps({"machine": facts, "tables": [table.as_json() for table in tables]}, indent=1) + "\n"
        )
    return int(any(not target.met for table in tables for target in table.targets))


if __name__ == "__main__":
    sys.exit(main())
