"""What a finished engine's facts mean: success, or one failure class. Exit codes lie, and a model's prose
is never evidence: errors that the engine reported come first, then its exit code, then its last stderr."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from aq.core.engine.events import Faulted
from aq.core.engine.report import EngineReport
from aq.core.value import Value, field, replace

# A fault whose code starts like this names its class: an engine declared in YAML maps exit codes so.
DECLARED = "aq:"
MAX_REASON = 300
STDERR_LINES = 20
LONGEST_RESET = 30 * 86400.0
_MAX_WORDS = 4000


class Row(Value):
    """One class and what proves it: HTTP statuses, words (a pattern) in an error, exit codes by engine."""

    failure: str
    statuses: frozenset[int] = frozenset()
    words: str = ""
    exits: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


# The first row that matches wins: providers send an empty account as 429, so `quota` is above it.
ROWS = (
    Row(
        "auth",
        frozenset({401, 403}),
        r"\bauthentication(?:_error|_failed)?$|not logged in|invalid (?:x-)?api[ _-]?key"
        r"|incorrect api key|api key not valid|no authentication information|AuthenticationError"
        r"|missing environment variable|refresh token|invalid_api_key|UNAUTHENTICATED|permission_error"
        r"|authentication required|please (?:log ?in|sign in)|missing credentials|loadapikeyerror"
        r"|no api key|invalid auth method|auth method is required",
        {"gemini": (41, 145, 147)},
    ),
    Row(
        "quota",
        frozenset({402}),
        r"billing_error|insufficient_quota|credit balance|usage limit|quota(?! increase)|payment required",
        {"gemini": (146,)},
    ),
    Row(
        "rate_limit",
        frozenset({429}),
        r"rate.?limit|RESOURCE_EXHAUSTED|too many requests",
        {"gemini": (173,)},
    ),
    Row(
        "overloaded",
        frozenset({500, 502, 503, 504, 529}),
        r"overloaded|service.?unavailable|internal.?server.?error|bad gateway|gateway time-?out",
        # 500, 502, 503, 504 and 529 modulo 256.
        {"gemini": (244, 246, 247, 248, 17)},
    ),
    Row(
        "context",
        frozenset({413}),
        r"prompt_too_long|prompt is too long|context_length_exceeded|ContextOverflowError"
        r"|ContextWindowExceededError|context window|maximum context length|input token count",
    ),
    Row(
        "network",
        frozenset(),
        r"fetch failed|connection ?error|ENOTFOUND|ECONNREFUSED|ECONNRESET|EAI_AGAIN|ETIMEDOUT|EPIPE"
        r"|error sending request|waiting for network|stream disconnected|socket hang up"
        r"|connection (?:was )?(?:reset|refused|closed|aborted)|server disconnected|network error"
        r"|other side closed|(?:unable to|failed to|cannot|could not) connect",
    ),
    Row(
        "budget",
        frozenset(),
        r"error_max_turns|error_max_budget_usd|LimitsExceeded|TimeExceeded|max(?:imum)?[ _]?session[ _]?turns"
        r"|maximum (?:number of )?turns|max_turns",
        {"gemini": (53,), "qwen": (53,)},
    ),
)
# Classes that end by themselves, some at a time that the engine knows.
LIMITS = ("quota", "rate_limit", "overloaded")
CLASSES = (*(row.failure for row in ROWS), "denied", "agent", "crash", "unknown")
_PATTERNS = {row.failure: re.compile(row.words, re.IGNORECASE) for row in ROWS}

_STATUS = re.compile(
    r"(?:status|error|code|http(?:/[\d.]+)?)\W{0,3}(?:code\W{0,3})?\b([45]\d\d)\b"
    r"|\b([45]\d\d) (?-i:[A-Z][a-z])",
    re.IGNORECASE,
)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = r"\d+(?:\.\d+)?\s*(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)\b"
_RESET = re.compile(
    rf"(?:retry|try again|available|resets?|wait)[^\n]{{0,40}}?\b(?:after|in|for)\b[\s:=]*"
    rf"((?:{_PART}[\s,]*)+)"
    rf"|retry-?delay\W{{1,4}}({_PART})",
    re.IGNORECASE,
)
_HEADER = re.compile(r"retry-after\W{1,4}(\d+(?:\.\d+)?)(?![\w.])", re.IGNORECASE)
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)
# A shell says 128 plus the signal's number for what a signal ended.
_SIGNALS = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}


class Verdict(Value):
    """`failure` is a class, or nothing for success; `reset` in how many seconds a limit ends, if known."""

    failure: str = ""
    reason: str = ""
    reset: float | None = None


def classify(report: EngineReport, *, changed: bool, engine: str = "") -> Verdict:
    """The verdict on a run that we did not stop ourselves. Without a terminal event it is no success;
    tools denied and nothing `changed` is a failure whatever the engine says."""
    stuck = bool(report.denied) and not changed
    if report.finished:
        return _denied(report) if stuck else Verdict()
    found = _from_faults(report) or _from_exit(report, engine) or _from_stderr(report)
    if found:
        return replace(found, reset=_reset_in(report)) if found.failure in LIMITS else found
    if stuck:
        return _denied(report)
    if report.finished is False:
        return Verdict("agent", _reason(report) or f"exit code {report.code}")
    signal = _signal(report.code)
    if signal:
        return Verdict("crash", _with(f"ended by {signal}", _reason(report)))
    return Verdict("unknown", _with(f"no result, exit code {report.code}", _reason(report)))


def status_of(words: str) -> int | None:
    """The HTTP status that an error's words name."""
    match = _STATUS.search(words[:_MAX_WORDS])
    return int(match[1] or match[2]) if match else None


def reset_of(words: str) -> float | None:
    """In how many seconds a limit ends, by an error's words: `Suggested retry after 3600s`."""
    words = words[:_MAX_WORDS]
    match = _RESET.search(words)
    if match:
        parts = _AMOUNT.findall(match[1] or match[2])
        return sensible(sum(float(number) * _UNITS[_unit(unit)] for number, unit in parts))
    header = _HEADER.search(words)
    return sensible(float(header[1])) if header else None


def sensible(reset: float | None) -> float | None:
    """A reset time that can be: not negative, not NaN, and at most a month."""
    if reset is None or not 0 <= reset < math.inf:
        return None
    return min(float(reset), LONGEST_RESET)


def _unit(word: str) -> str:
    word = word.lower()
    return "ms" if word.startswith(("ms", "milli")) else word[0]


def _from_faults(report: EngineReport) -> Verdict | None:
    """The last error that says something decides: earlier ones were retried."""
    ends = Faulted(report.end_code, code=report.end_code)
    for fault in (*reversed(report.faults), ends):
        declared = fault.code.removeprefix(DECLARED)
        if declared != fault.code and declared in CLASSES:
            return Verdict(declared, _line(fault.words))
        failure = _row_of(fault)
        if failure:
            return Verdict(failure, _line(fault.words) or fault.code)
    return None


def _from_exit(report: EngineReport, engine: str) -> Verdict | None:
    for row in ROWS:
        if report.code in row.exits.get(engine, ()):
            return Verdict(row.failure, _with(f"exit code {report.code}", _reason(report)))
    return None


def _from_stderr(report: EngineReport) -> Verdict | None:
    for line in reversed(report.stderr[-STDERR_LINES:]):
        failure = _row_of(Faulted(line))
        if failure:
            return Verdict(failure, _line(line))
    return None


def _row_of(fault: Faulted) -> str:
    words = fault.words[:_MAX_WORDS]
    status = fault.status if fault.status is not None else status_of(words)
    for row in ROWS:
        pattern = _PATTERNS[row.failure]
        if status in row.statuses or any(pattern.search(text) for text in (fault.code, words) if text):
            return row.failure
    return ""


def _reset_in(report: EngineReport) -> float | None:
    """What the engine said last about when its limit ends."""
    for fault in reversed(report.faults):
        known = sensible(fault.reset)
        known = reset_of(fault.words) if known is None else known
        if known is not None:
            return known
    found = (reset_of(line) for line in reversed(report.stderr))
    return next((reset for reset in found if reset is not None), None)


def _denied(report: EngineReport) -> Verdict:
    tools = ", ".join(dict.fromkeys(report.denied))
    return Verdict("denied", _line(f"needs permission, and changed nothing: {tools}"))


def _signal(code: int) -> str:
    number = -code if code < 0 else code - 128 if code - 128 in _SIGNALS else 0
    return _SIGNALS.get(number, f"signal {number}") if number else ""


def _reason(report: EngineReport) -> str:
    """The engine's own last words about it."""
    return next(_words(report), "")


def _words(report: EngineReport) -> Iterator[str]:
    for text in (*(fault.words for fault in reversed(report.faults)), report.end_code):
        if text.strip():
            yield _line(text)
    for text in reversed(report.stderr):
        if text.strip():
            yield _line(text)


def _with(what: str, more: str) -> str:
    return _line(f"{what}: {more}" if more else what)


def _line(text: str) -> str:
    line = " ".join(text[:_MAX_WORDS].split())
    return line if len(line) <= MAX_REASON else f"{line[: MAX_REASON - 1]}…"
