"""Finds what looks like a secret in bytes: the shapes by what they start with, and known values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from aq.core.secrecy.known_values import WORDS_ONLY, by_kind
from aq.core.secrecy.secret_shapes import SHAPES, Shape
from aq.core.value import Value

ENVIRONMENT = "environment"
_MIN_WORD = 6
# Before a secret stands no letter or digit, unless it ends an escape: `\nAKIA`, `%3DAKIA`, `\u0022AKIA`.
_ESCAPED = re.compile(rb"(?:\\[abefnrtv]|%[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4})\Z")


class Span(Value):
    """Where a secret is, and of which kind. Its name may stand before it: `begin` is where a match does."""

    begin: int
    start: int
    end: int
    kind: str


class Rule(Value):
    """A shape, ready to match."""

    kind: str
    anchors: tuple[bytes, ...]
    pattern: str
    any_case: bool
    glued: bool
    end: str
    barren: str

    def match(self, data: bytes, at: int) -> tuple[int, int] | None:
        """Where the secret of a match at this place starts and ends; the start is negative where there is
        none, nor any before the end."""
        if not self.glued and not _may_start(data, at):
            return None
        found = compiled(self.pattern, self.any_case).match(data, at)
        if found:
            return found.span("s" if "s" in found.re.groupindex else 0)
        passed = compiled(self.barren).match(data, at) if self.barren else None
        return (-1, passed.end()) if passed else None


@cache
def compiled(pattern: str, any_case: bool = False) -> re.Pattern[bytes]:
    """The pattern, compiled when its anchor is seen for the first time: most never are."""
    return re.compile(pattern.encode(), re.IGNORECASE if any_case else 0)


def _may_start(data: bytes, at: int) -> bool:
    before = data[max(0, at - 6) : at]
    return not before[-1:].isalnum() or _ESCAPED.search(before) is not None


def _rule(shape: Shape) -> Rule:
    anchors = tuple(anchor.encode() for anchor in shape.anchors)
    return Rule(shape.kind, anchors, shape.pattern, shape.any_case, shape.glued, shape.end, shape.barren)


class Table(Value):
    """Rules by what they start with; their rank is their place in the list of shapes."""

    exact: tuple[tuple[bytes, int, Rule], ...]
    folded: tuple[tuple[bytes, int, Rule], ...]


def _table(shapes: Iterable[Shape]) -> Table:
    rules = [(rank, _rule(shape)) for rank, shape in enumerate(shapes)]
    starts = [(anchor, rank, rule) for rank, rule in rules for anchor in rule.anchors]
    return Table(
        tuple(entry for entry in starts if not entry[2].any_case),
        tuple(entry for entry in starts if entry[2].any_case),
    )


BLOCKS = tuple(_rule(shape) for shape in SHAPES if shape.end)
KEPT_OUT = _table(shape for shape in SHAPES if not shape.end)
_EVERYTHING = _table(SHAPES)
_REFUSED = _table(shape for shape in SHAPES if not shape.logs_only)


# Where the secret starts, the rank of its rule, where the match begins, where it ends, and its kind.
Hit = tuple[int, int, int, int, str]


def words_of(data: bytes) -> bytes:
    """Each long word once. No secret is without one, and to look through these alone is fast."""
    return b" ".join({word for word in data.translate(WORDS_ONLY).split() if len(word) >= _MIN_WORD})


def hits(data: bytes, words: bytes, table: Table, start: int) -> Iterator[Hit]:
    """Every match. Most pieces hold no anchor."""
    if not words:
        return
    present = [entry for entry in table.exact if entry[0] in words]
    lower = words.lower()
    folded = [entry for entry in table.folded if entry[0] in lower]
    lines = data.lower() if folded else b""
    for where, starts in ((data, present), (lines, folded)):
        for anchor, rank, rule in starts:
            at = where.find(anchor, start)
            while at >= 0:
                span = rule.match(data, at)
                if span and span[0] >= 0:
                    yield span[0], rank, at, span[1], rule.kind
                at = where.find(anchor, max(span[1] if span else 0, at + 1))


def known_hits(data: bytes, words: bytes, known: tuple[str, ...], start: int) -> Iterator[Hit]:
    """Every place where a known value stands, in whatever form."""
    one, other = by_kind(known)
    for form in [*(form for form in one if form in words), *(form for form in other if form in data)]:
        at = data.find(form, start)
        while at >= 0:
            yield at, -1, at, at + len(form), ENVIRONMENT
            at = data.find(form, at + len(form))


def merged(found: Iterable[Hit]) -> list[Span]:
    """The spans in order; what overlaps or continues is one, named after the first."""
    spans: list[Span] = []
    for start, _, begin, end, kind in sorted(found):
        last = spans[-1] if spans else None
        if last and (start < last.end or (start == last.end and kind == last.kind)):
            spans[-1] = Span(min(last.begin, begin), last.start, max(last.end, end), last.kind)
        else:
            spans.append(Span(begin, start, end, kind))
    return spans


def refused_spans(data: bytes) -> list[Span]:
    """What a job file is refused for, or a change is warned about: only shapes that prose does not have."""
    return merged(hits(data, words_of(data), _REFUSED, 0))


def is_suspicious(data: bytes) -> bool:
    """Whether anything in it would be redacted, whatever it is."""
    return any(True for _ in hits(data, words_of(data), _EVERYTHING, 0))
