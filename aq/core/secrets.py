"""Shapes of secrets, to refuse them in job files and to redact them in logs. Pure text matching."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Each shape is specific enough not to match prose: a vendor's prefix and its alphabet.
SHAPES = {
    "private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{36,251}\b|\bgithub_pat_[A-Za-z0-9_]{60,255}\b",
    "GitLab token": r"\bgl(?:pat|ptt|rt)-[A-Za-z0-9_-]{20,64}\b",
    "Anthropic key": r"\bsk-ant-[A-Za-z0-9_-]{20,}",
    "OpenAI key": r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{32,}\b",
    "Google API key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "npm token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "PyPI token": r"\bpypi-[A-Za-z0-9_-]{50,}",
    "Stripe key": r"\b[rs]k_live_[A-Za-z0-9]{20,}\b",
    "JSON web token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
}
_ANY = re.compile("|".join(f"(?P<k{n}>{shape})" for n, shape in enumerate(SHAPES.values())))
_KINDS = tuple(SHAPES)
# In a prompt `postgres://user:password@localhost` is mostly an example; in a log it is not to be kept.
_USERINFO = re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s/:@]*:[^\s/@]+@")


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret seems to be, and of which kind. Never its value."""

    kind: str
    line: int


def find_secret(text: str) -> Secret | None:
    """The first thing in the text that looks like a secret."""
    match = _ANY.search(text)
    if not match or not match.lastgroup:
        return None
    return Secret(_KINDS[int(match.lastgroup[1:])], text.count("\n", 0, match.start()) + 1)


def redact(text: str, known: tuple[str, ...] = ()) -> str:
    """The text with known values and secret shapes replaced by their kind."""
    for value in sorted(filter(None, known), key=len, reverse=True):
        text = text.replace(value, "[redacted:environment]")
    text = _USERINFO.sub(r"\1[redacted:password]@", text)
    return _ANY.sub(lambda match: f"[redacted:{_KINDS[int((match.lastgroup or 'k0')[1:])]}]", text)
