"""Secrets taken out of whole values, whatever fields they have or get."""

from __future__ import annotations

from typing import Any, TypeVar

from aq.core.secrecy.secrets import redact
from aq.core.value import Value, names, replace

# What the protocol is about: names and commits. A value of the environment that happens to be one of them
# must not change it.
SPARED = frozenset({"fence", "job", "host", "branch", "tip", "oid", "failure"})

Whole = TypeVar("Whole")


def scrub(value: Whole, known: tuple[str, ...] = (), spared: frozenset[str] = SPARED) -> Whole:
    """The value with every text in it redacted, but for the fields that are spared."""
    clean: Any = _scrubbed(value, known, spared)
    return clean  # type: ignore[no-any-return]


def _scrubbed(value: Any, known: tuple[str, ...], spared: frozenset[str]) -> Any:
    if type(value) is str:
        return redact(value, known)
    if isinstance(value, tuple | list):
        return type(value)(_scrubbed(part, known, spared) for part in value)
    if isinstance(value, dict):
        return {
            _scrubbed(key, known, spared): part if key in spared else _scrubbed(part, known, spared)
            for key, part in value.items()
        }
    if isinstance(value, Value):
        parts = {name: getattr(value, name) for name in names(type(value))}
        return replace(
            value,
            **{name: _scrubbed(part, known, spared) for name, part in parts.items() if name not in spared},
        )
    return value
