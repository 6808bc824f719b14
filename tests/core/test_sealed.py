"""A note that is not what was written is no note."""

from __future__ import annotations

import pytest

from aq.core.sealed import sealed, summed, unsealed, unsummed
from tests.support.damage import flipped

TEXT = '{"since": 12.5}'
DATA = {"url": "ssh://host/hub.git", "branch": "main"}


def test_what_was_written_is_read() -> None:
    assert unsummed(summed(TEXT)) == TEXT
    assert unsummed(summed("")) == ""
    assert unsealed(sealed(DATA)) == DATA


@pytest.mark.parametrize("text", ["", TEXT, f"0\n{TEXT}", summed(TEXT)[:-1], summed(TEXT) + " "])
def test_what_was_not_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not what was written"):
        unsummed(text)


def test_no_flipped_bit_passes() -> None:
    content = summed(TEXT).encode()
    for bit in range(8 * len(content)):
        with pytest.raises(ValueError, match=r"not what was written|codec can't decode"):
            unsummed(flipped(content, bit).decode())


def test_a_file_of_a_persons_hand_needs_no_sum() -> None:
    assert unsealed(b'{"branch": "main"}') == {"branch": "main"}


@pytest.mark.parametrize("content", [b"[]", b"3", b'{"branch": "main", "sum": "0"}', b"{", b"\xff"])
def test_what_no_seal_fits_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unsealed(content)
