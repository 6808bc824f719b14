"""The walls of the building: small files, decisions only in core."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "aq"
FILES = sorted(ROOT.rglob("*.py"))
MAX_LINES = 420


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_one_purpose_and_says_which(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith('"""'), "a module docstring says what lives here"
    assert len(text.splitlines()) <= MAX_LINES


def test_no_drawer_for_odds_and_ends() -> None:
    assert [path for path in FILES if path.stem in ("utils", "util", "helpers", "misc")] == []


def test_no_package_defines_a_name_that_one_of_its_modules_has() -> None:
    """Importing the module would put it in the place of what the package defines."""
    twice = [
        f"{path.parent.relative_to(ROOT)}: {node.name}"
        for path in FILES
        if path.name == "__init__.py"
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and (path.parent / f"{node.name}.py").exists()
    ]
    assert twice == []


@pytest.mark.parametrize("floor", ["runner", "ledger", "host"])
def test_the_shell_does_not_decide_by_stage(floor: str) -> None:
    """A stage compared outside core is a decision in the wrong room. Reading a snapshot from folders
    and looking for jobs of one stage are not decisions."""
    allowed = {"reader.py", "jobs.py", "intake.py", "view.py"}
    pattern = re.compile(r"\.stage (?:is|==|!=|in|not)")
    found = [
        f"{path.name}: {line.strip()}"
        for path in (ROOT / floor).rglob("*.py")
        if path.name not in allowed
        for line in path.read_text("utf-8").splitlines()
        if pattern.search(line)
    ]
    assert found == []


def test_processes_are_started_in_few_files() -> None:
    """Git only by the ledger's `gitproc` and the host's `repos`, ssh-keygen only by `signing`; children of a
    run only by `process`."""
    starters = {
        path.name for path in FILES if re.search(r"subprocess\.(run|Popen)\(", path.read_text("utf-8"))
    }
    git = {"gitproc.py", "repos.py", "signing.py"}
    children = {"process.py", "commands.py"}
    looks = {"probe.py", "looking.py", "sandbox.py", "escape.py"}
    others = {"delivery.py", "setup_cache.py", "demo.py"}
    assert starters <= git | children | looks | others
