"""Parsed files by blob id, in memory and on disk: parsing is nine tenths of a cold read. The disk
form is JSON lines of our own; a damaged line is skipped and parsed again."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, TypeVar

from aq import __version__
from aq.core.errors import InvalidFileError
from aq.core.manifest import Manifest
from aq.core.secrets import find_secret
from aq.core.values import plain, revive

Value = TypeVar("Value")
# A higher number drops every cached parse: raise it when parsing or a cached value changes.
FORMAT = f"{__version__}-1"


class ParseCache:
    """Remembers what each blob says. The same blob always parses to the same value."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._known: dict[str, Any] = {}
        self._data: dict[str, dict[str, Any]] | None = None
        self._fresh: list[str] = []

    def _load(self) -> dict[str, dict[str, Any]]:
        if self._data is None:
            self._data = {}
            if self.path and self.path.exists():
                for line in self.path.read_text("utf-8", "replace").splitlines():
                    with contextlib.suppress(ValueError, KeyError, TypeError):
                        entry = json.loads(line)
                        if entry["f"] == FORMAT:
                            self._data[entry["b"]] = entry
        return self._data

    def flush(self) -> None:
        """Append what was parsed since the last time. Losing it costs only time."""
        if self.path and self._fresh:
            data = self._load()
            lines = [json.dumps(data[blob], separators=(",", ":")) for blob in self._fresh]
            with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8") as file:
                # One write of whole lines: concurrent appends do not mix inside a line.
                file.write("\n".join(["", *lines, ""]))
        self._fresh = []

    def missing(self, blobs: list[str]) -> list[str]:
        """The blobs that were never parsed."""
        return [blob for blob in blobs if blob not in self._known and blob not in self._load()]

    def manifest(self, blob: str, content: bytes | None) -> Manifest | str:
        """The manifest of a job file, or what is wrong with it as `line N: what; hint`."""
        value: Manifest | str | None = self._get(blob, Manifest)
        if value is None:
            assert content is not None
            value = _parse_manifest(content)
            self._put(blob, value)
        return value

    def value(self, cls: type[Value], blob: str, content: bytes | None, file: str) -> Value | str:
        """A record or lease, or what is wrong with it."""
        value = self._get(blob, cls)
        if value is None:
            from aq.core.codec import decode_as  # pydantic is slow to import and rarely needed here

            assert content is not None
            try:
                value = decode_as(cls, content, file)
            except InvalidFileError as error:
                value = str(error)
            self._put(blob, value)
        return value  # type: ignore[no-any-return]

    def _get(self, blob: str, cls: type[Value]) -> Any:
        value = self._known.get(blob)
        if value is None:
            entry = self._load().get(blob)
            if entry is not None:
                value = entry["e"] if "e" in entry else revive(cls, entry["v"])
                self._known[blob] = value
        return value

    def _put(self, blob: str, value: Any) -> None:
        self._known[blob] = value
        error = {"e": value} if isinstance(value, str) else {"v": plain(value)}
        self._load()[blob] = {"f": FORMAT, "b": blob, **error}
        self._fresh.append(blob)


def _parse_manifest(content: bytes) -> Manifest | str:
    from aq.core.jobfile import parse_job  # as above

    try:
        manifest, _ = parse_job(content)
    except InvalidFileError as error:
        return str(error)
    secret = find_secret(content.decode("utf-8", "replace"))
    if secret:
        return f"line {secret.line}: this looks like a secret ({secret.kind}); remove it and revoke it"
    return manifest
