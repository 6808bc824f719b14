"""Values as plain data and back, for files and caches. Defaults are left out, so that a file shows only
what differs and a new field needs no migration."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar

from msgspec import NODEFAULT, convert
from msgspec.structs import fields

from aq.core.value import Value

Made = TypeVar("Made")


def plain(value: Any) -> Any:
    """Values, tuples and enums as dicts, lists and text. Fields at their default are left out."""
    if isinstance(value, Value):
        parts = ((name, getattr(value, name), usual) for name, usual in _defaults(type(value)))
        return {name: plain(part) for name, part, usual in parts if part != usual}
    if isinstance(value, (tuple, list, frozenset)):
        items = sorted(value) if isinstance(value, frozenset) else value
        return [plain(item) for item in items]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value.value if isinstance(value, Enum) else value


@lru_cache(maxsize=256)
def _defaults(cls: type[Value]) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (field.name, field.default if field.default_factory is NODEFAULT else field.default_factory())
        for field in fields(cls)
    )


def revive(cls: type[Made], data: Any) -> Made:
    """The value that `plain` made `data` from. Raises ValueError for what it cannot have made."""
    return convert(data, cls)
