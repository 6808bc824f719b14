"""Documentation that cannot rot: its tables and its promises are compared with the code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from aq.core import errors
from aq.ui.cli.table import COMMANDS
from tests.attacks import ATTACKS, marked_tests
from tests.docs_tables import DOCUMENTS, EXIT_CODES, ROOT, tables, with_tables

README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_tables_are_what_the_code_says(document: Path) -> None:
    text = document.read_text("utf-8")
    assert with_tables(text) == text, "run `python -m tests.docs_tables`"


def test_every_table_is_in_a_document() -> None:
    everything = "".join(document.read_text("utf-8") for document in DOCUMENTS)
    assert [name for name in tables() if f"<!-- {name} -->" not in everything] == []


def test_every_attack_has_a_test_and_every_mark_an_attack() -> None:
    assert set(marked_tests()) == set(ATTACKS)


def test_every_exit_code_of_the_code_is_documented() -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert codes <= set(EXIT_CODES)


def test_the_readme_names_only_commands_that_exist() -> None:
    in_code = re.findall(r"`[^`\n]+`|^```sh$.*?^```$", README, re.MULTILINE | re.DOTALL)
    named = {name for text in in_code for name in re.findall(r"\baq ([a-z]+)\b", text)}
    assert named
    assert named <= set(COMMANDS)


def test_the_architecture_fits_on_a_few_pages() -> None:
    assert len((ROOT / "docs" / "architecture.md").read_text("utf-8").splitlines()) <= 150


def test_relative_links_lead_somewhere() -> None:
    for document in [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_no_python_file_lives_under_queue() -> None:
    """A queue/__init__.py would shadow the standard library's queue module."""
    listed = subprocess.run(
        ["git", "ls-files", "queue"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [name for name in listed.stdout.split() if name.endswith(".py")] == []


def test_the_changelog_names_the_version() -> None:
    from aq import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
