"""Our own YAML files (records, leases, beats, PAUSED, spend) as values. Read as strictly as a person's
file: whoever can push can write them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from aq.core.document import decode, read_yaml
from aq.core.errors import AqError, InvalidFileError
from aq.core.parsing import without_nothing

Value = TypeVar("Value")
# A record of 20 full runs with their verdicts has about 1 500 events.
MAX_OWN_EVENTS = 50_000


@lru_cache(maxsize=32)
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def decode_as(cls: type[Value], data: bytes, file: str) -> Value:
    """A value from a YAML file. Raises InvalidFileError naming the file."""
    try:
        front, lines = read_yaml(decode(data), max_events=MAX_OWN_EVENTS)
    except InvalidFileError as error:
        raise error.located(file) from None
    try:
        value: Value = _adapter(cast(Any, cls)).validate_python(without_nothing(front))
    except ValidationError as error:
        first = error.errors()[0]
        line = lines.get(tuple(first["loc"]), 1)
        key = ".".join(str(part) for part in first["loc"])
        raise InvalidFileError(
            f"{key}: {first['msg']}", "`aq doctor` offers the repair", file=file, line=line
        ) from None
    except AqError as error:
        raise InvalidFileError(error.what, error.hint, file=file, line=1) from None
    return value
