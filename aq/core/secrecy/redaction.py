"""Takes secrets out of a stream of bytes: known values in every form they travel in, then shapes. The
result does not depend on how the stream was cut, and memory is bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aq.core.plaintext import Plain
from aq.core.secrecy.matching import (
    BLOCKS,
    KEPT_OUT,
    Rule,
    Span,
    compiled,
    hits,
    known_hits,
    merged,
    words_of,
)

# A line longer than WINDOW is taken in windows; what begins in the last HOLD bytes of one waits for the next.
WINDOW, HOLD = 128 * 1024, 16 * 1024
_CONTEXT = 8
_MAX_BLOCK = 64 * 1024
_MAX_DULL = 5
_KEY_LINE = re.compile(rb"[A-Za-z0-9+/=]{32}")
_TOKEN = re.compile(rb"[A-Za-z0-9_.+/=%~-]*")


def _label(kind: str) -> bytes:
    return f"[redacted:{kind}]".encode()


class Redactor:
    """Redacts a stream. What is written comes back clean, a line or so later; `close` gives the rest."""

    def __init__(self, known: tuple[str, ...] = ()) -> None:
        self._known = known
        self._plain = Plain()
        self._held = bytearray()
        self._start = 0  # before it are a few bytes of context, already given out
        self._block: Rule | None = None
        self._eaten = self._dull = 0
        self._token = False

    def write(self, data: bytes) -> bytes:
        """The clean bytes that are certain by now."""
        plain = self._plain.feed(data)
        self._held += plain
        if b"\n" in plain or len(self._held) - self._start >= WINDOW:
            return self._drain()
        return b""

    def close(self) -> bytes:
        """The rest of the stream, clean."""
        self._held += self._plain.feed(b"", last=True)
        out = [self._drain()]
        held = bytes(self._held)
        self._clean(out, held, self._start, len(held), len(held))
        self._held, self._start = bytearray(), 0
        return b"".join(out)

    def _drain(self) -> bytes:
        held, at = bytes(self._held), self._start
        out: list[bytes] = []
        while True:
            newline = held.rfind(b"\n", at, at + WINDOW)
            if newline >= 0:
                end = limit = newline + 1
            elif len(held) - at >= WINDOW:
                end = at + WINDOW
                limit = _character(held, end - HOLD)
            else:
                break
            at = self._clean(out, held, at, limit, end)
        self._start = min(at, _CONTEXT)
        self._held = bytearray(held[at - self._start :])
        return b"".join(out)

    def _clean(self, out: list[bytes], data: bytes, at: int, limit: int, end: int) -> int:
        """Put out what begins before `limit`; where to go on. The bytes up to `end` are seen."""
        while at < limit:
            if self._token:
                at = self._skip_token(data, at, end)
            elif self._block:
                at = self._skip_block(out, self._block, data, at, limit, end)
            else:
                at = self._clean_text(out, data, at, limit, end)
        return at

    def _clean_text(self, out: list[bytes], data: bytes, at: int, limit: int, end: int) -> int:
        block, begin, after = _first_block(data, at, limit, end)
        stop = begin if block else limit
        for span in self._secrets(data, at, end):
            if span.begin >= max(at, stop) or (block and span.start >= stop):
                break
            out += (data[at : span.start], _label(span.kind))
            at = min(span.end, stop) if block else span.end
            self._token = at == end and end > limit
        if at < stop:
            out.append(data[at:stop])
            at = stop
        if block:
            out.append(_label(block.kind))
            self._block, self._eaten, self._dull = block, 0, -1
            at = after
        return at

    def _secrets(self, data: bytes, at: int, end: int) -> Iterator[Span]:
        # Seen with a little of what comes before: whether a word begins here, that says.
        origin = max(0, at - _CONTEXT)
        seen = data[origin:end]
        words, start = words_of(seen), at - origin
        found = (*known_hits(seen, words, self._known, start), *hits(seen, words, KEPT_OUT, start))
        return (
            Span(span.begin + origin, span.start + origin, span.end + origin, span.kind)
            for span in merged(found)
        )

    def _skip_token(self, data: bytes, at: int, end: int) -> int:
        # A token that is longer than a window: its rest is what could still be of it.
        rest = _TOKEN.match(data, at, end)
        at = rest.end() if rest else at
        self._token = at == end
        return at

    def _skip_block(self, out: list[bytes], block: Rule, data: bytes, at: int, limit: int, end: int) -> int:
        """Over one line of a block, or to its end. A block that never ends is given up after a while."""
        newline = data.find(b"\n", at, limit)
        stop = newline + 1 if newline >= 0 else limit
        found = compiled(block.end).search(data, at, stop if newline >= 0 else end)
        if found and found.start() < stop:
            self._block = None
            return found.end()
        self._eaten += stop - at
        self._dull = 0 if _KEY_LINE.search(data, at, stop) else self._dull + 1
        if self._dull > _MAX_DULL or self._eaten > _MAX_BLOCK:
            self._block = None
            out.append(b"\n")
        return stop


def _first_block(data: bytes, at: int, limit: int, end: int) -> tuple[Rule | None, int, int]:
    first: tuple[Rule | None, int, int] = (None, limit, limit)
    for rule in BLOCKS:
        for anchor in rule.anchors:
            begin = data.find(anchor, at, end)
            while 0 <= begin < first[1]:
                found = compiled(rule.pattern).match(data, begin, end)
                if found:
                    first = (rule, begin, found.end())
                    break
                begin = data.find(anchor, begin + 1, end)
    return first


def _character(data: bytes, at: int) -> int:
    """The place, or the nearest one before it where a character starts."""
    while data[at] & 0xC0 == 0x80:
        at -= 1
    return at
