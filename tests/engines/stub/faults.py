"""Faults on demand, written `KIND[:COUNT[:RETRY-AFTER]]`: the first COUNT requests fail, or all.

A KIND is an HTTP status, or `context` (the prompt is too long), `drop` (the connection closes), `cut` (it
closes in the middle of the answer), `hang` (no answer at all), `garbage` (an answer that is none), and
`loop` (the model calls tools for ever)."""

from __future__ import annotations

from dataclasses import dataclass

from tests.engines.stub.wire import Problem

CONTEXT = "context"
DROP, CUT, HANG, GARBAGE, LOOP = "drop", "cut", "hang", "garbage", "loop"

_WORDS = {
    401: "invalid x-api-key",
    402: "Your credit balance is too low",
    429: "This request would exceed your rate limit",
    529: "Overloaded",
}
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_CODES = {401: "invalid_api_key", 402: "insufficient_quota", 429: "rate_limit_exceeded"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong. `count` is how many requests fail, None for all."""

    kind: str = ""
    count: int | None = None
    retry: float | None = None

    @classmethod
    def parse(cls, text: str) -> Fault:
        """`429:2:1` is two answers 429 with a retry-after of one second."""
        kind, count, retry, *_ = (*text.split(":"), "", "")
        return cls(kind, int(count) if count else None, float(retry) if retry else None)

    def of(self, nth: int) -> str:
        """The kind of failure of the nth request, from 1; empty when it succeeds."""
        return self.kind if self.count is None or nth <= self.count else ""


def problem(kind: str, retry: float | None) -> Problem:
    """The error that a kind stands for."""
    if kind == CONTEXT:
        words = "prompt is too long: 250000 tokens > 200000 maximum"
        return Problem(400, words, _TYPES[400], "context_length_exceeded")
    status = int(kind)
    words = _WORDS.get(status, f"stub error {status}")
    return Problem(status, words, _TYPES.get(status, "api_error"), _CODES.get(status), retry)
