"""Secrets taken out of whole values, whatever fields they have or get."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from aq.core.secrets import redact

# What the protocol is about: names and commits. A value of the environment that happens to be one of them
# must not change it.
SPARED = frozenset({"fence", "job", "host", "branch", "tip", "oid", "failure"})

Value = TypeVar("Value")


def scrub(value: Value, known: tuple[str, ...] = (), spared: frozenset[str] = SPARED) -> Value:
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
    if is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
        return replace(
            value,
            **{name: _scrubbed(part, known, spared) for name, part in parts.items() if name not in spared},
        )
    return value
