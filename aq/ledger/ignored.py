"""Files in a clone's inbox that may be meant as jobs and can never be: a person is to hear of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from aq.core.layout import JOB_SUFFIX, QUEUE, is_no_attempt
from aq.core.lifecycle import Stage


def ignored(clone: Path) -> Iterator[str]:
    """Their paths, relative to the clone."""
    folder = f"{QUEUE}/{Stage.INBOX}"
    for entry in _entries(clone / folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _below(f"{folder}/{entry.name}", entry.path)
        elif not entry.name.lower().endswith(JOB_SUFFIX):
            yield f"{folder}/{entry.name}"


def _below(name: str, folder: str) -> Iterator[str]:
    todo = [(name, folder)]
    while todo:
        name, folder = todo.pop()
        for entry in _entries(folder):
            below = f"{name}/{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                todo.append((below, entry.path))
            else:
                yield below


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """What is in a folder and may be meant as a job, by name; nothing where it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return sorted(
                (entry for entry in found if not is_no_attempt(entry.name)), key=lambda entry: entry.name
            )
    except OSError:
        return []
