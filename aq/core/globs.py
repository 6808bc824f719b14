"""Path patterns, read as in a .gitignore. Matching takes time that grows with the product of both texts
only: the patterns are one person's words, the paths another's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

_ANY_DEPTH = "**"
# Stands for whatever is in a folder, at any depth.
_WITHIN = "\0/\0"


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern covers a path. `*`, `?` and `[...]` stay within one folder, `**` does not; one
    without a slash matches at any depth; one that ends without a wildcard covers a whole folder. A path
    that ends in a slash is a folder: it is covered when all that may be in it is."""
    parts = (f"{path}{_WITHIN}" if path.endswith("/") else path).split("/")
    return any(_matches(form, parts) for form in _forms(pattern))


@lru_cache(maxsize=512)
def _forms(pattern: str) -> tuple[tuple[str, ...], ...]:
    """The pattern as folders and a name; two forms when it may be a file or a folder."""
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    form = (*(() if "/" in pattern.rstrip("/") else (_ANY_DEPTH,)), *parts)
    if pattern.endswith("/"):
        return ((*form, _ANY_DEPTH),)
    if any(sign in "".join(parts[-1:]) for sign in "*?["):
        return (form,)
    return (form, (*form, _ANY_DEPTH))


def _matches(form: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a form matches a path. A trailing `**` needs at least one part."""
    reached = {0}
    for at, piece in enumerate(form):
        if piece == _ANY_DEPTH:
            last = at == len(form) - 1
            reached = set(range(min(reached) + last, len(parts) + 1))
        else:
            reached = {n + 1 for n in reached if n < len(parts) and _part(piece, parts[n])}
        if not reached:
            return False
    return len(parts) in reached


@lru_cache(maxsize=512)
def _signs(piece: str) -> tuple[str, ...]:
    """A pattern's part as single signs: a letter, `*`, `?`, or a class `[...]`."""
    signs, at = [], 0
    while at < len(piece):
        # A class may begin with its own closing bracket.
        body = at + 2 + piece.startswith(("!", "^"), at + 1)
        end = piece.find("]", body) if piece[at] == "[" else -1
        end = max(end, at)
        signs.append(piece[at : end + 1])
        at = end + 1
    return tuple(signs)


def _part(piece: str, text: str) -> bool:
    """Whether a part without slashes matches, by going back to the last `*` only."""
    signs = _signs(piece)
    at = here = resume = 0
    star = -1
    while here < len(text):
        if at < len(signs) and signs[at] == "*":
            star, resume, at = at, here, at + 1
        elif at < len(signs) and _sign(signs[at], text[here]):
            at, here = at + 1, here + 1
        elif star >= 0:
            resume += 1
            at, here = star + 1, resume
        else:
            return False
    return all(sign == "*" for sign in signs[at:])


def _sign(sign: str, letter: str) -> bool:
    if len(sign) == 1:
        return sign in ("?", letter)
    inner = sign[1:-1]
    negated = inner.startswith(("!", "^"))
    return _in_class(inner[negated:], letter) is not negated


def _in_class(inner: str, letter: str) -> bool:
    at = 0
    while at < len(inner):
        if inner[at + 1 : at + 2] == "-" and at + 2 < len(inner):
            if inner[at] <= letter <= inner[at + 2]:
                return True
            at += 3
        elif inner[at] == letter:
            return True
        else:
            at += 1
    return False
