"""Frozen dataclasses as plain data and back, for files and caches. Defaults are left out, so that
a file shows only what differs and a new field needs no migration."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import lru_cache, partial
from typing import Any, TypeVar

Value = TypeVar("Value")
_Maker = Callable[[Any], Any]


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


def revive(cls: type[Value], data: Any) -> Value:
    """The value that `plain` made `data` from. Only for data of our own that was valid once."""
    makers = _makers(typing.cast(Any, cls))
    return cls(**{name: makers[name](item) for name, item in data.items() if name in makers})


@lru_cache(maxsize=256)
def _makers(cls: Any) -> dict[str, _Maker]:
    # Looking at the type hints takes longer than making the value: once for each class.
    return {name: _maker(hint) for name, hint in typing.get_type_hints(cls).items()}


def _maker(hint: Any) -> _Maker:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = _maker(next(arg for arg in args if arg is not type(None)))
        return lambda data: None if data is None else inner(data)
    if origin in (tuple, frozenset):
        item = _maker(args[0])
        return lambda data: origin(map(item, data))
    if origin is dict:
        value = _maker(args[1])
        return lambda data: {key: value(item) for key, item in data.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return partial(revive, hint)
    return hint if isinstance(hint, type) and issubclass(hint, Enum) else _as_is


def _as_is(data: Any) -> Any:
    return data
