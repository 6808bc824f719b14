"""Names: job ids, host names, and the slugs made from file names."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata

MAX_ID = 64
ID_PATTERN = r"^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$"
_ID = re.compile(ID_PATTERN)
# Names that Windows keeps for devices, whatever their extension.
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "clock$", "conin$", "conout$"]
    + [f"{stem}{n}" for stem in ("com", "lpt") for n in range(10)]
)


def is_id(name: str) -> bool:
    """Whether `name` may name a job or a host: also safe as a path, a ref and an option."""
    return bool(_ID.fullmatch(name)) and name not in _RESERVED


def slug(text: str, limit: int = MAX_ID) -> str:
    """A legal id made from any text: lower case, ASCII, at most `limit` characters."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:limit].strip("-_")
    if not name:
        return "job"
    return f"{name[: limit - 4]}-job" if name in _RESERVED else name


def suffixed(stem: str, suffix: str) -> str:
    """`<stem>-<suffix>`, the stem shortened so that the whole stays a legal id."""
    room = MAX_ID - 1 - len(suffix)
    if len(slug(stem)) > room:
        # Two long names that differ only at their ends must stay different.
        digest = base64.b32encode(hashlib.sha256(stem.encode()).digest()).decode().lower()[:4]
        return f"{slug(stem, room - 5)}-{digest}-{suffix}"
    return f"{slug(stem, room)}-{suffix}"


def keyed_id(stem: str, idempotency_key: str) -> str:
    """The id that an idempotency key gives: the same on every host (DESIGN section 3)."""
    digest = hashlib.sha256(idempotency_key.encode()).digest()
    return suffixed(stem, base64.b32encode(digest).decode().lower()[:12])
