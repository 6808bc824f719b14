"""Bytes that nobody meant never end a reader in a way that it does not promise."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, seeds

SEEDS = list(seeds())
PIECES = (
    b"\n",
    b": ",
    b"- ",
    b"[",
    b"{",
    b'"',
    b"\x00",
    b"\xff",
    b"&a",
    b"*a",
    b"!!",
    b"1e400",
    b"-1",
    b"---\n",
)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=120)
@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
def test_a_file_that_was_garbled_is_read_or_refused(name: str, seed: bytes, random: Random) -> None:
    TARGETS[name](_garbled(seed, random))


def _garbled(seed: bytes, random: Random) -> bytes:
    """The seed with a few pieces cut out, doubled, put in or swapped with those of another."""
    data = bytearray(seed)
    for _ in range(random.randint(1, 6)):
        at = random.randint(0, len(data))
        length = random.randint(0, 12)
        piece = random.choice(
            (b"", random.choice(PIECES), bytes(data[at : at + length]), random.choice(SEEDS)[:40])
        )
        data[at : at + random.choice((0, length))] = piece
    return bytes(data)
