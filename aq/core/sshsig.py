"""Signatures in commits, as bytes: what was signed, by which public key, and where the signature goes.
Whether a signature is good is for ssh-keygen to say."""

from __future__ import annotations

import base64
import binascii

_HEADERS = (b"gpgsig", b"gpgsig-sha256")
_BEGIN, _END = b"-----BEGIN SSH SIGNATURE-----", b"-----END SSH SIGNATURE-----"
_MAGIC = b"SSHSIG\0\0\0\1"
KEY_TYPES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)


def signed(payload: bytes, armor: bytes, header: str = "gpgsig") -> bytes:
    """The commit with its signature: the last of its headers, continued lines after a space."""
    head, _, message = payload.partition(b"\n\n")
    lines = b"\n ".join(armor.strip().splitlines())
    return b"%s\n%s %s\n\n%s" % (head, header.encode(), lines, message)


def unsigned(raw: bytes) -> tuple[bytes, bytes]:
    """What a commit's signature covers, and the signature; none where a commit has not exactly one."""
    head, gap, message = raw.partition(b"\n\n")
    kept: list[bytes] = []
    found: list[list[bytes]] = []
    inside = False
    for line in head.split(b"\n"):
        if line.startswith(b" ") and inside:
            found[-1].append(line[1:])
            continue
        name, _, value = line.partition(b" ")
        inside = name in _HEADERS
        if inside:
            found.append([value])
        else:
            kept.append(line)
    armor = b"\n".join(found[0]) + b"\n" if len(found) == 1 else b""
    return b"\n".join(kept) + gap + message, armor


def key_of(armor: bytes) -> str:
    """The public key inside a signature as `type base64`; nothing for what is no SSH signature."""
    lines = armor.strip().splitlines()
    if len(lines) < 3 or (lines[0], lines[-1]) != (_BEGIN, _END):
        return ""
    try:
        blob = base64.b64decode(b"".join(lines[1:-1]), validate=True)
    except binascii.Error:
        return ""
    return key_text(_string(blob[len(_MAGIC) :])) if blob.startswith(_MAGIC) else ""


def key_text(blob: bytes) -> str:
    """A public key's bytes as `type base64`, or nothing when they are none that may sign."""
    kind = _string(blob).decode("ascii", "replace")
    return f"{kind} {base64.b64encode(blob).decode()}" if kind in KEY_TYPES else ""


def plain_key(text: str) -> str:
    """A public key as people paste it, without its comment; nothing when it is none that may sign."""
    kind, _, rest = text.strip().partition(" ")
    try:
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
    except (binascii.Error, ValueError):
        return ""
    found = key_text(blob)
    return found if found.split(" ")[0] == kind else ""


def _string(blob: bytes) -> bytes:
    """The first length-prefixed string of an SSH structure."""
    return blob[4 : 4 + int.from_bytes(blob[:4], "big")]
