"""What a disk does to a file."""

from __future__ import annotations


def flipped(content: bytes, bit: int) -> bytes:
    """The content with one bit turned over."""
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)
