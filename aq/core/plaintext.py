"""Text as it may be kept: a stream of bytes without what a terminal would obey, in valid UTF-8."""

from __future__ import annotations

import codecs
import re

# A sequence ends where a terminal would end it; what ends a string (BEL, or ESC and a backslash) is
# itself a control, and goes as one. So a sequence that is cut needs no look ahead: only a state.
_CSI, _STRING, _SHORT = "csi", "string", "short"
_STARTS = {b"\x1b[": _CSI, b"\xc2\x9b": _CSI}
_STARTS |= dict.fromkeys((b"\x1b]", b"\x1bP", b"\x1bX", b"\x1b^", b"\x1b_"), _STRING)
_STARTS |= dict.fromkeys((b"\xc2\x90", b"\xc2\x98", b"\xc2\x9d", b"\xc2\x9e", b"\xc2\x9f"), _STRING)
_START = re.compile(rb"\x1b[\[\]PX^_]|\x1b|\xc2[\x80-\x9f]")
_REST = {
    _CSI: (re.compile(rb"[ -?]*"), re.compile(rb"[@-~]")),
    _SHORT: (re.compile(rb"[ -/]*"), re.compile(rb"[0-~]")),
    _STRING: (re.compile(rb"(?:[^\x00-\x1f\x7f\xc2]|\xc2[^\x80-\x9f])*"), re.compile(rb"\xc2\x9c")),
}
# The same for sequences that a newline follows: it ends them all.
_SEQUENCE = re.compile(
    rb"(?:\x1b\[|\xc2\x9b)[ -?]*[@-~]?"
    rb"|(?:\x1b[\]PX^_]|\xc2[\x90\x98\x9d\x9e\x9f])(?:[^\x00-\x1f\x7f\xc2]|\xc2[^\x80-\x9f])*(?:\xc2\x9c)?"
    rb"|\x1b[ -/]*[0-~]?|\xc2[\x80-\x9f]"
)
_RETURN = re.compile(rb"\r+\n?")
_DROPPED = bytes(n for n in range(32) if n not in (9, 10)) + b"\x7f"


class Plain:
    """Strips escape sequences and control bytes, wherever the stream is cut. A carriage return is the
    end of a line."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._escape = b""
        self._return = b""
        self._inside = ""

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """The plain bytes of the next piece; of the `last`, with what was held back."""
        if last or not data.isascii() or self._decoder.getstate()[0]:
            data = self._decoder.decode(data, last).encode()
        data = self._escape + data
        self._escape = b""
        if self._inside or b"\x1b" in data or b"\xc2" in data:
            data = self._without_sequences(data, last=last)
        if self._return or b"\r" in data:
            data = self._with_lines(data, last=last)
        return data.translate(None, _DROPPED)

    def _without_sequences(self, data: bytes, *, last: bool) -> bytes:
        kept: list[bytes] = []
        at = self._skip(data, 0) if self._inside else 0
        newline = data.rfind(b"\n", at)
        if newline > at:
            kept.append(_SEQUENCE.sub(b"", data[at:newline]))
            at = newline
        while True:
            if self._inside:
                at = self._skip(data, at)
                if at == len(data):
                    break
            start = _START.search(data, at)
            if not start:
                kept.append(data[at:])
                break
            kept.append(data[at : start.start()])
            if start[0] == b"\x1b" and start.end() == len(data) and not last:
                # Which sequence this is, only the next byte says.
                self._escape = b"\x1b"
                break
            self._inside = _STARTS.get(start[0], _SHORT if start[0] == b"\x1b" else "")
            at = start.end()
        return b"".join(kept)

    def _skip(self, data: bytes, at: int) -> int:
        middle, final = _REST[self._inside]
        over = middle.match(data, at)
        at = over.end() if over else at
        if at < len(data):
            end = final.match(data, at)
            at = end.end() if end else at
            self._inside = ""
        return at

    def _with_lines(self, data: bytes, *, last: bool) -> bytes:
        data = self._return + data
        # Whether a newline follows a last return, only the next piece says.
        self._return = b"\r" if data.endswith(b"\r") and not last else b""
        if self._return:
            data = data.rstrip(b"\r")
        return _RETURN.sub(b"\n", data)
