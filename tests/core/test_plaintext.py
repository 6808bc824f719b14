"""Text that may be kept: no escape sequences, no control bytes, valid UTF-8, however the stream is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aq.core.plaintext import Plain


def plain(data: bytes, cuts: list[int] | None = None) -> bytes:
    stream = Plain()
    edges = [0, *sorted(cuts or []), len(data)]
    return b"".join(stream.feed(data[a:b]) for a, b in pairwise(edges)) + stream.feed(b"", last=True)


CASES = {
    "colours": (b"a\x1b[1;31mb\x1b[0mc", b"abc"),
    "cursor movements": (b"a\x1b[2Kb\x1b[?25lc\x1b[10;10Hd", b"abcd"),
    "a title, ended by a bell": (b"a\x1b]0;title\x07b", b"ab"),
    "a link, ended by ESC and a backslash": (b"a\x1b]8;;https://x.invalid\x1b\\b\x1b]8;;\x1b\\c", b"abc"),
    "a clipboard write": (b"a\x1b]52;c;ZmFrZQ==\x07b", b"ab"),
    "a device string": (b"a\x1bPq#0;2\x1b\\b", b"ab"),
    "a title that never ends, ended by its line": (b"a\x1b]0;title\nb", b"a\nb"),
    "a sequence that never ends, ended by its line": (b"a\x1b[31\nb", b"a\nb"),
    "a short sequence": (b"a\x1b7b\x1b(Bc\x1b=d", b"abcd"),
    "an escape before an escape": (b"a\x1b\x1b[31mb", b"ab"),
    "an escape before a newline": (b"a\x1b\nb", b"a\nb"),
    "an escape at the end": (b"a\x1b", b"a"),
    "eight-bit controls": ("a\u009b31mb\u009d0;t\u009cc\u0085d".encode(), b"abcd"),
    "an eight-bit string that never ends": ("a\u009d0;t\u00e9\u4e2d\nb".encode(), b"a\nb"),
    "a sequence in a string": (b"a\x1b]0;t\x1b[31mb", b"ab"),
    "letters beyond ASCII": ("\u00e9\u4e2d\U0001f600".encode(), "\u00e9\u4e2d\U0001f600".encode()),
    "bytes that are no text": (b"a\xff\xfeb\xc3", "a\ufffd\ufffdb\ufffd".encode()),
    "Windows lines": (b"a\r\nb\r\r\nc", b"a\nb\nc"),
    "a progress bar": (b"10%\r20%\r\n30%\r", b"10%\n20%\n30%\n"),
    "tabs and lines": (b"\ta\n\n", b"\ta\n\n"),
    "other controls": (b"a\x00b\x08c\x7fd\x0be", b"abcde"),
}


@pytest.mark.attack("S20")
@pytest.mark.parametrize(("data", "wanted"), CASES.values(), ids=CASES)
def test_what_a_terminal_would_obey_is_gone_at_every_cut(data: bytes, wanted: bytes) -> None:
    assert plain(data) == wanted
    for cut in range(len(data) + 1):
        assert plain(data, [cut]) == wanted
    assert plain(data, list(range(len(data)))) == wanted


PIECES = [
    b"\x1b",
    b"[",
    b"]",
    b"P",
    b"31m",
    b";",
    b"\x07",
    b"\\",
    b"\r",
    b"\n",
    b"a",
    b" ",
    b"\xc2",
    b"\x9b",
    b"\xff",
]
STREAMS = st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=30)


@given(STREAMS, st.lists(st.integers(0, 60), max_size=10))
def test_the_result_does_not_depend_on_the_cuts(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    wanted = plain(data)
    assert plain(data, [cut for cut in cuts if cut < len(data)]) == wanted
    assert plain(data, list(range(len(data)))) == wanted
    assert not any(byte < 32 and byte not in b"\t\n" for byte in wanted)
    wanted.decode()
