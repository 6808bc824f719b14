"""Frozen dataclasses as plain data and back, for files and caches. Defaults are left out, so that
a file shows only what differs and a new field needs no migration."""

from __future__ import annotations

import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar

Value = TypeVar("Value")


def plain(value: Any) -> Any:
    """Dataclasses, tuples and enums as dicts, lists and text. Fields at their default are left out."""
    if is_dataclass(value):
        return {
            f.name: plain(getattr(value, f.name))
            for f in fields(value)
            if getattr(value, f.name) != _default(f)
        }
    if isinstance(value, (tuple, list, frozenset)):
        items = sorted(value) if isinstance(value, frozenset) else value
        return [plain(item) for item in items]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value.value if isinstance(value, Enum) else value


def _default(field: Any) -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else MISSING


@lru_cache(maxsize=256)
def _hints(cls: Any) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def revive(cls: type[Value], data: Any) -> Value:
    """The value that `plain` made `data` from. Only for data of our own that was valid once."""
    hints = _hints(typing.cast(Any, cls))
    return cls(**{name: _revive(hints[name], item) for name, item in data.items() if name in hints})


def _revive(hint: Any, data: Any) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [arg for arg in args if arg is not type(None)]
        return None if data is None else _revive(inner[0], data)
    if origin is tuple:
        return tuple(_revive(args[0], item) for item in data)
    if origin is frozenset:
        return frozenset(_revive(args[0], item) for item in data)
    if origin is dict:
        return {key: _revive(args[1], item) for key, item in data.items()}
    if is_dataclass(hint) and isinstance(hint, type):
        return revive(hint, data)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(data)
    return data
