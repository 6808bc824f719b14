"""The values of this machine that nobody else may see: those of its environment that seem to be secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_WORDS = ("KEY", "TOKEN", "SECRET", "PASSW", "PASSPHRASE", "CREDENTIAL", "COOKIE", "DSN", "WEBHOOK")
_PAT = re.compile(r"(?:^|_)(?:PAT|PWD|AUTH)(?:_|$)")
_USERINFO = re.compile(r"://[^\s/:@]*:([^\s/@]+)@")
# Where things are, and what the machine itself is called, is no secret, whatever the variable's name.
_PLAIN_NAMES = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK", "XAUTHORITY", "GPG_KEY", "KEYTIMEOUT"})
MIN_SECRET = 8


def secret_values(environ: Mapping[str, str]) -> tuple[str, ...]:
    """What no log, record or message may show: values of variables with telling names, and passwords in
    URLs."""
    return tuple(dict.fromkeys(value for value in _values(environ) if len(value) >= MIN_SECRET))


def _values(environ: Mapping[str, str]) -> Iterator[str]:
    for name, value in sorted(environ.items()):
        if _tells(name.upper()) and not _is_path(value):
            yield from (line.strip() for line in value.splitlines())
        yield from _USERINFO.findall(value)


def _is_path(value: str) -> bool:
    return value.startswith(("/", "~")) and Path(value.split(":")[0]).expanduser().exists()


def _tells(name: str) -> bool:
    if name in _PLAIN_NAMES:
        return False
    return any(word in name for word in _WORDS) or _PAT.search(name) is not None
