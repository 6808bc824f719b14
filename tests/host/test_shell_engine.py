"""The shell engine: which part of a job's body is the script."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from aq.host.engines import ENGINES
from aq.host.engines.base import Brief
from aq.host.engines.shell import script_of

BODIES = {
    "the whole body": ("echo a\n", ("sh", "echo a\n")),
    "one block in prose": ("Please do:\n\n```sh\necho a\n```\nThanks.\n", ("sh", "echo a\n")),
    "two blocks in order": ("```sh\necho a\n```\nand\n```shell\necho b\n```\n", ("sh", "echo a\n\necho b\n")),
    "bash": ("```bash\necho a\n```\n", ("bash", "echo a\n")),
    "one of them bash": ("```sh\na\n```\n```bash\nb\n```\n", ("bash", "a\n\nb\n")),
    "another language is no script": ("```python\nx\n```\n", ("sh", "```python\nx\n```\n")),
    "a fence inside a line is none": ("echo '```sh'\n", ("sh", "echo '```sh'\n")),
    "an empty block": ("```sh\n```\n", ("sh", "")),
    "nothing": ("", ("sh", "")),
}


@pytest.mark.parametrize(("body", "found"), BODIES.values(), ids=BODIES)
def test_which_part_is_the_script(body: str, found: tuple[str, str]) -> None:
    assert script_of(body) == found


def launch(tmp_path: Path, body: str) -> subprocess.CompletedProcess[str]:
    brief = Brief(body, tmp_path / "prompt.md", tmp_path, tmp_path)
    made = ENGINES["shell"].launch(brief)
    assert made.stdin is None
    return subprocess.run(made.argv, capture_output=True, text=True, check=False)


def test_the_script_runs_as_a_file_whatever_is_in_it(tmp_path: Path) -> None:
    done = launch(tmp_path, "echo \"it's $0\" | sed 's|.*/||'; exit 5")
    assert (done.returncode, done.stdout) == (5, "script.sh\n")


def test_a_bash_block_runs_in_bash(tmp_path: Path) -> None:
    assert launch(tmp_path, "```bash\na=(1 2 3); echo ${#a[@]}\n```\n").stdout == "3\n"


def test_it_is_free_and_of_its_own_class_so_that_prose_never_reaches_it() -> None:
    engine = ENGINES["shell"]
    assert (engine.kind, engine.free) == ("shell", True)
    assert engine.probe(os.environ).path
