"""The forms that a known secret travels in: as it is, in base64, in a URL, in JSON."""

from __future__ import annotations

import base64
import json
import re
import string
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus

MIN_KNOWN = 8
_PIECE = 4096
_WRAPS = (76, 64)
# What a word is made of, for the matching: everything else separates.
WORD = frozenset(string.ascii_letters.encode() + string.digits.encode() + b"_.+/=:%~@-")
WORDS_ONLY = bytes(byte if byte in WORD else 32 for byte in range(256))


@lru_cache(maxsize=8)
def forms(known: tuple[str, ...]) -> tuple[bytes, ...]:
    """Every way in which these values may be written, the longest first: as they are, in base64 at each
    alignment and wrapped, in a URL, and in JSON. Long ones in pieces that fit into a window."""
    found: set[bytes] = set()
    for value in known:
        for line in value.splitlines():
            if len(line.strip()) >= MIN_KNOWN:
                found.update(_written(line.strip()))
    pieces = {form[at : at + _PIECE] for form in found for at in range(0, len(form), _PIECE)}
    return tuple(sorted((p for p in pieces if len(p) >= MIN_KNOWN), key=lambda p: (-len(p), p)))


def _written(value: str) -> Iterator[bytes]:
    raw = value.encode("utf-8", "surrogateescape")
    escaped = json.dumps(value)[1:-1]
    unescaped = json.dumps(value, ensure_ascii=False)[1:-1]
    yield raw
    for text in (escaped, unescaped, json.dumps(escaped)[1:-1], escaped.replace("/", "\\/")):
        yield text.encode("utf-8", "surrogateescape")
    for text in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield text.encode()
        yield re.sub("%..", lambda code: code[0].lower(), text).encode()
    for encoded in _base64(raw):
        yield encoded
        yield encoded.replace(b"+", b"-").replace(b"/", b"_")


def _base64(raw: bytes) -> Iterator[bytes]:
    for shift in range(3):
        # The characters that also hold bits of a neighbour are left out.
        first, end = (shift * 8 + 5) // 6, (shift + len(raw)) * 8 // 6
        yield base64.b64encode(bytes(shift) + raw)[first:end]
    whole = base64.b64encode(raw)
    for columns in _WRAPS:
        if len(whole) > columns:
            yield from (whole[at : at + columns] for at in range(0, len(whole), columns))


@lru_cache(maxsize=8)
def by_kind(known: tuple[str, ...]) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The forms that are one word, and the others."""
    one = tuple(form for form in forms(known) if b" " not in form.translate(WORDS_ONLY))
    return one, tuple(form for form in forms(known) if form not in one)
