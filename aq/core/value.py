"""What the immutable values of `aq` are made of. No value itself lives here.

A command makes some hundred of these classes before it does anything: as frozen dataclasses they took a
third of the processor time of `aq status`, and each object ten times as long to make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, dataclass_transform

from msgspec import Struct, field, to_builtins

if TYPE_CHECKING:
    # The same function for values, and the one whose arguments mypy compares with the fields.
    from dataclasses import replace
else:
    from msgspec.structs import replace

__all__ = ["Value", "as_dict", "field", "names", "replace"]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Value(Struct, frozen=True):
    """An immutable value: equal to one of its class with equal fields, and hashable if they all are."""


def names(cls: type[Value]) -> tuple[str, ...]:
    """The fields of a class of values, in their order."""
    return cls.__struct_fields__


def as_dict(value: Value) -> dict[str, Any]:
    """All its fields, and those of the values in it, as plain data for JSON."""
    data: dict[str, Any] = to_builtins(value)
    return data
