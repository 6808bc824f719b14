"""Secrets that are none: one example of each shape, and the part of it that must never be kept."""

from __future__ import annotations

import re

from aq.core.secrecy.secret_shapes import SHAPES, Shape

BY_KIND = {shape.kind: shape for shape in SHAPES}
KINDS = tuple(BY_KIND)
REFUSED = tuple(shape.kind for shape in SHAPES if not shape.logs_only)
ONE_LINE = tuple(shape.kind for shape in SHAPES if not shape.end)
KNOWN = "canary" + "/of the+environment?" + "\u00e9"


def matched(shape: Shape) -> re.Match[str]:
    found = re.search(shape.pattern, shape.example, re.IGNORECASE if shape.any_case else 0)
    assert found
    return found


def secrets_of(kind: str) -> tuple[str, ...]:
    """What of a shape's example must not be seen anywhere: the secret itself, or the lines of a block."""
    shape = BY_KIND[kind]
    if shape.end:
        return tuple(line for line in shape.example.splitlines() if "Fake" in line)
    found = matched(shape)
    return (found["s"] if "s" in found.re.groupindex else found[0],)


def leaked(kind: str, text: str) -> tuple[str, ...]:
    """The parts of a shape's example that a text shows."""
    return tuple(part for part in secrets_of(kind) if part in text)
