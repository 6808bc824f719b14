"""Parsed files by blob id, in memory and on disk: parsing is nine tenths of a cold read. The disk
form is lines of our own, with the value as JSON and a sum; a damaged line is skipped and parsed again."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

from aq import __version__
from aq.core.errors import AqError, InvalidFileError
from aq.core.manifest import Manifest
from aq.core.profile import ProfileFile
from aq.core.settings import Settings
from aq.core.value import Value
from aq.core.values import plain, revive

Made = TypeVar("Made", bound=Value)
# A higher number drops every cached parse: raise it when parsing or a cached value changes.
FORMAT = f"{__version__}-9"
MAX_FILE = 64 * 1024 * 1024
MAX_KEPT = 200_000
_Key = tuple[str, str]


class ParseCache:
    """Remembers what each blob says as a manifest, a record, a lease or a beat. The same blob always
    parses to the same value. `read` gets a blob that is not known."""

    def __init__(self, path: Path | None, read: Callable[[str], bytes]) -> None:
        self.path, self.read = path, read
        self._known: dict[_Key, Any] = {}
        self._stored: dict[_Key, str] | None = None
        self._blobs: set[str] = set()
        self._fresh: dict[_Key, str] = {}

    def _load(self) -> dict[_Key, str]:
        if self._stored is None:
            parts = [line.split("\t", 3) for line in self._text().splitlines()]
            self._stored = {(part[1], part[2]): part[3] for part in parts if part[0] == FORMAT and part[3:]}
            self._blobs.update(blob for _, blob in self._stored)
        return self._stored

    def _text(self) -> str:
        try:
            return self.path.read_text("utf-8", "replace") if self.path else ""
        except OSError:
            return ""

    def flush(self) -> None:
        """Append what was parsed since the last time. Losing it costs only time; a file that grew too
        long begins anew."""
        if self.path and self._fresh:
            with contextlib.suppress(OSError):
                grown = self.path.exists() and self.path.stat().st_size > MAX_FILE
                with self.path.open("w" if grown else "a", encoding="utf-8") as file:
                    # One write of whole lines: concurrent appends do not mix inside a line.
                    file.write("\n".join(["", *self._fresh.values(), ""]))
        self._fresh = {}

    def missing(self, blobs: list[str]) -> list[str]:
        """The blobs that were never parsed as anything: worth reading in one batch."""
        self._load()
        return [blob for blob in blobs if blob not in self._blobs]

    def manifest(
        self, blob: str, content: bytes | None = None, *, secret_allowed: bool = False
    ) -> Manifest | str:
        """The manifest of a job file, or what is wrong with it as `line N: what; hint`. A file that a
        person let pass although it seems to hold a secret is parsed anew: there are few."""
        if secret_allowed:
            return _parse_manifest(self.read(blob) if content is None else content, secret_allowed=True)
        value: Manifest | str | None = self._get(Manifest, blob)
        if value is None:
            value = _parse_manifest(self.read(blob) if content is None else content)
            self._put(Manifest, blob, value)
        return value

    def value(self, cls: type[Made], blob: str, content: bytes | None, file: str) -> Made | str:
        """A record, lease or beat, or what is wrong with it."""
        value: Made | str | None = self._get(cls, blob)
        if value is None:
            from aq.core.codec import decode_as  # YAML is slow to import and rarely needed here

            try:
                value = decode_as(cls, self.read(blob) if content is None else content, file)
            except InvalidFileError as error:
                value = str(error)
            self._put(cls, blob, value)
        return value

    def settings(self, blob: str, content: bytes | None = None) -> Settings | str:
        """The fleet's settings, or what is wrong with them."""
        value: Settings | str | None = self._get(Settings, blob)
        if value is None:
            from aq.core.files.settingsfile import parse_settings  # as above

            try:
                value = parse_settings(self.read(blob) if content is None else content)
            except InvalidFileError as error:
                value = str(error)
            self._put(Settings, blob, value)
        return value

    def profile(self, blob: str) -> ProfileFile | str:
        """A profile file, or what is wrong with it as `line N: what; hint`. Its blob may be one that a
        record names and the store never had."""
        value: ProfileFile | str | None = self._get(ProfileFile, blob)
        if value is None:
            from aq.core.files.profilefile import parse_profile  # as above

            try:
                value = parse_profile(self.read(blob))
            except InvalidFileError as error:
                value = str(error)
            except AqError as error:
                return error.what
            self._put(ProfileFile, blob, value)
        return value

    def _get(self, cls: type[Made], blob: str) -> Made | str | None:
        key = (cls.__name__, blob)
        value: Made | str | None = self._known.get(key)
        if value is None:
            text = self._load().pop(key, None)
            if text is not None:
                with contextlib.suppress(ValueError, KeyError, TypeError, AqError):
                    entry = json.loads(_checked(key, text))
                    value = entry["e"] if "e" in entry else revive(cls, entry["v"])
                    self._remember(key, value)
        return value

    def _put(self, cls: type[Made], blob: str, value: Made | str) -> None:
        key = (cls.__name__, blob)
        self._remember(key, value)
        said = {"e": value} if isinstance(value, str) else {"v": plain(value)}
        text = json.dumps(said, separators=(",", ":"))
        self._fresh[key] = f"{FORMAT}\t{key[0]}\t{blob}\t{_sum(key, text)}\t{text}"
        if len(self._fresh) > MAX_KEPT // 10:
            self.flush()

    def _remember(self, key: _Key, value: Any) -> None:
        self._known[key] = value
        self._blobs.add(key[1])
        if len(self._known) > MAX_KEPT:
            # A host runs for months, and beats alone are new every minute: forget the oldest half.
            for old in list(self._known)[: MAX_KEPT // 2]:
                del self._known[old]
            self._blobs = {blob for _, blob in self._known}


def _sum(key: _Key, text: str) -> str:
    return f"{crc32(f'{key[0]} {key[1]} {text}'.encode()):08x}"


def _checked(key: _Key, line: str) -> str:
    """What was written of a key. Raises ValueError when it is another: a flipped bit may make a record that
    somebody edited of one that nobody did."""
    told, _, text = line.partition("\t")
    if told != _sum(key, text):
        raise ValueError("not what was written")
    return text


def _parse_manifest(content: bytes, *, secret_allowed: bool = False) -> Manifest | str:
    from aq.core.files.jobfile import parse_job  # as above
    from aq.core.secrecy.secrets import find_secret

    try:
        manifest, _ = parse_job(content)
    except InvalidFileError as error:
        return str(error)
    secret = None if secret_allowed else find_secret(content.decode("utf-8", "replace"))
    if secret:
        return f"line {secret.line}: this looks like a secret ({secret.kind}); remove it and revoke it"
    return manifest
