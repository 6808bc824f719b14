"""Notes that carry a sum of themselves: one garbled letter may make another remote, another operation or
another moment of what they hold. Files are not touched here."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

_SEAL = "sum"


def sealed(data: dict[str, Any]) -> bytes:
    """The text of a file that holds the data and its sum."""
    return json.dumps({**data, _SEAL: _sum(data)}, indent=1).encode() + b"\n"


def unsealed(content: bytes) -> dict[str, Any]:
    """The data of such a text; one without a sum was written by a person. Raises ValueError when it is not
    what was written."""
    data = json.loads(content.decode("utf-8"))
    if not isinstance(data, dict) or data.pop(_SEAL, None) not in (None, _sum(data)):
        raise ValueError("not what was written")
    return data


def summed(text: str) -> str:
    """The text after a first line with its sum."""
    return f"{_digest(text)}\n{text}"


def unsummed(content: str) -> str:
    """The text of such a note. Raises ValueError when it is not what was written."""
    digest, _, text = content.partition("\n")
    if digest != _digest(text):
        raise ValueError("not what was written")
    return text


def _sum(data: dict[str, Any]) -> str:
    return _digest(json.dumps(data, sort_keys=True))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
