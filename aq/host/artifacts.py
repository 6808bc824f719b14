"""Files that a job asks to keep beside its log: copied out of the workspace when its run is over."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from aq.core.value import Value
from aq.host.found import find_files, read_regular

MAX_FILES = 200
MAX_FILE = 10 * 1024 * 1024
MAX_TOTAL = 50 * 1024 * 1024
_TAKEN_OUT = "[redacted"


class Collected(Value):
    """The paths that were kept, and how many were not: too many, too large, or with a secret in it."""

    kept: tuple[str, ...] = ()
    left_out: int = 0


def collect(
    workspace: Path,
    patterns: Sequence[str],
    target: Path,
    clean: Callable[[str], str] = str,
    secrets: Sequence[str] = (),
) -> Collected:
    """Copy the files that fit. Text goes without its secrets; a binary file that holds one stays out."""
    if not patterns:
        return Collected()
    kept: list[str] = []
    total = left_out = 0
    for name in find_files(workspace, patterns):
        data = read_regular(workspace / name, MAX_FILE)
        fit = data is not None and len(kept) < MAX_FILES and total + len(data) <= MAX_TOTAL
        safe = _without_secrets(data, clean, secrets) if fit and data is not None else None
        if safe is None:
            left_out += 1
        elif _write(target / name, safe):
            total += len(safe)
            kept.append(name)
    return Collected(tuple(kept), left_out)


def _without_secrets(data: bytes, clean: Callable[[str], str], secrets: Sequence[str]) -> bytes | None:
    # Wide characters are letters with zeros between them, whether a mark at the start says so or not.
    narrow = data.replace(b"\0", b"")
    if narrow != data and _holds_secret(narrow, clean, secrets):
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None if _holds_secret(data, clean, secrets) else data
    cleaned = clean(text)
    # Cleaning text does more to it than that: what held no secret is kept to the letter.
    return cleaned.encode() if _took_out(text, cleaned) else data


def _holds_secret(data: bytes, clean: Callable[[str], str], secrets: Sequence[str]) -> bool:
    """Whether a known value or what looks like a secret is in bytes of any kind."""
    text = data.decode("latin-1")
    return any(secret.encode() in data for secret in secrets if secret) or _took_out(text, clean(text))


def _took_out(text: str, cleaned: str) -> bool:
    return cleaned.count(_TAKEN_OUT) > text.count(_TAKEN_OUT)


def _write(path: Path, data: bytes) -> bool:
    """Write a file of ours, in place of one that an earlier look left."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(data)
        os.replace(part, path)
        return True
    return False
