"""What a finished engine's facts mean: one case for each row of the table, and what may not decide."""

from __future__ import annotations

import math

import pytest

from aq.core.engine.classify import CLASSES, ROWS, Verdict, classify, reset_of, sensible, status_of
from aq.core.engine.events import Faulted
from aq.core.engine.report import EngineReport
from aq.core.value import replace

OK = EngineReport(finished=True, text="Done.")
FAILED = EngineReport(finished=False, code=1)


def fault(words: str = "", status: int | None = None, code: str = "", reset: float | None = None) -> Faulted:
    return Faulted(words, status, code, reset)


FAULTS = {
    "auth by its status": (fault("no", 401), "auth"),
    "auth: forbidden": (fault("no", 403), "auth"),
    "auth: copilot's error type": (fault("no", code="authentication"), "auth"),
    "auth: anthropic's error type": (fault("no", code="authentication_error"), "auth"),
    "auth: claude without a login": (fault("Not logged in · Please run /login"), "auth"),
    "auth: a wrong key": (fault("invalid x-api-key"), "auth"),
    "auth: a wrong key in other words": (fault("Invalid API key · Fix external API key"), "auth"),
    "auth: a wrong key at google": (fault("API key not valid.", 400), "auth"),
    "auth: copilot without a login": (fault("Error: No authentication information found."), "auth"),
    "auth: litellm": (fault("litellm.AuthenticationError: OpenAIException"), "auth"),
    "auth: codex without a key": (fault("Missing environment variable: `OPENAI_API_KEY`."), "auth"),
    "auth: codex logged out": (fault("Failed to refresh token: 400"), "auth"),
    "auth: codex in words": (fault("unexpected status 401 Unauthorized: no"), "auth"),
    "auth: qwen in words": (fault("[API Error: 401 no]"), "auth"),
    "quota by its status": (fault("no", 402), "quota"),
    "quota before rate limit": (fault("You exceeded your current quota", 429), "quota"),
    "quota: openai": (fault("no", 429, "insufficient_quota"), "quota"),
    "quota: claude": (fault("no", code="billing_error"), "quota"),
    "quota: an empty account": (fault("Your credit balance is too low", 400), "quota"),
    "quota: a subscription": (fault("Claude usage limit reached."), "quota"),
    "rate limit by its status": (fault("slow down", 429), "rate_limit"),
    "rate limit: copilot": (fault("no", code="rate_limit"), "rate_limit"),
    "rate limit: google": (fault("RESOURCE_EXHAUSTED"), "rate_limit"),
    "rate limit: litellm": (fault("litellm.RateLimitError: no"), "rate_limit"),
    "rate limit: gemini's advice is no evidence": (
        fault("Suggested retry after 1s. You may request a quota increase.", 429),
        "rate_limit",
    ),
    "rate limit in words": (fault("exceeded retry limit, last status: 429 Too Many"), "rate_limit"),
    "overloaded by its status": (fault("no", 529), "overloaded"),
    "overloaded: a server error": (fault("no", 500), "overloaded"),
    "overloaded: unavailable": (fault("no", 503), "overloaded"),
    "overloaded: a gateway": (fault("no", 502), "overloaded"),
    "overloaded: a late gateway": (fault("no", 504), "overloaded"),
    "overloaded in words": (fault("Overloaded"), "overloaded"),
    "context: claude": (fault("no", 400, "prompt_too_long"), "context"),
    "context: openai": (fault("no", 400, "context_length_exceeded"), "context"),
    "context: opencode": (fault("no", code="ContextOverflowError"), "context"),
    "context: litellm": (fault("litellm.ContextWindowExceededError: no"), "context"),
    "context: codex": (fault("Codex ran out of room in the model's context window."), "context"),
    "context in words": (fault("This model's maximum context length is 8 tokens."), "context"),
    "network: node": (fault("fetch failed"), "network"),
    "network: no connection": (fault("Connection error."), "network"),
    "network: no name": (fault("getaddrinfo ENOTFOUND api.invalid"), "network"),
    "network: refused": (fault("connect ECONNREFUSED 127.0.0.1:9"), "network"),
    "network: reset": (fault("read ECONNRESET"), "network"),
    "network: codex": (fault("stream error: error sending request for url"), "network"),
    "network: opencode": (fault("Cannot connect to API: The socket connection was closed"), "network"),
    "network: codex waits": (fault("waiting for network"), "network"),
    "limits: claude's turns": (fault("no", code="error_max_turns"), "budget"),
    "limits: claude's money": (fault("no", code="error_max_budget_usd"), "budget"),
    "limits: mini": (fault("no", code="LimitsExceeded"), "budget"),
    "limits: gemini's turns": (fault("Maximum session turns exceeded"), "budget"),
    "declared by the adapter": (fault("exit code 7", code="aq:quota"), "quota"),
    "declared as denied": (fault("exit code 8", code="aq:denied"), "denied"),
    "declared as nothing known": (fault("exit code 9", code="aq:nonsense"), "agent"),
    "an error of no class": (fault("I could not do it", 404, "agent_error"), "agent"),
}


@pytest.mark.parametrize(("said", "failure"), FAULTS.values(), ids=FAULTS)
def test_an_error_that_the_engine_reported_is_of_one_class(said: Faulted, failure: str) -> None:
    assert classify(replace(FAILED, faults=(said,)), changed=True).failure == failure


@pytest.mark.parametrize("row", ROWS, ids=[row.failure for row in ROWS])
def test_every_row_of_the_table_has_a_case(row: object) -> None:
    assert getattr(row, "failure") in {failure for _, failure in FAULTS.values()}  # noqa: B009


EXITS = {
    "gemini without credentials": ("gemini", 41, "auth"),
    "gemini says 401 modulo 256": ("gemini", 145, "auth"),
    "gemini says 403 modulo 256": ("gemini", 147, "auth"),
    "gemini says 402 modulo 256": ("gemini", 146, "quota"),
    "gemini says 429 modulo 256": ("gemini", 173, "rate_limit"),
    "gemini says 503 modulo 256": ("gemini", 247, "overloaded"),
    "gemini's turn limit": ("gemini", 53, "budget"),
    "qwen's turn limit": ("qwen", 53, "budget"),
    "another engine with the same code": ("claude", 145, "unknown"),
    "gemini with a code of no meaning": ("gemini", 1, "unknown"),
}


@pytest.mark.parametrize(("engine", "code", "failure"), EXITS.values(), ids=EXITS)
def test_an_exit_code_is_evidence_only_where_the_engine_means_something_by_it(
    engine: str, code: int, failure: str
) -> None:
    assert classify(EngineReport(code=code), changed=False, engine=engine).failure == failure


def test_a_reported_error_beats_the_exit_code_and_that_beats_stderr() -> None:
    report = EngineReport(code=173, stderr=("Attempt 1 failed with status 503.",))
    assert classify(report, changed=False, engine="gemini").failure == "rate_limit"
    report = replace(report, faults=(fault("prompt is too long", 400),))
    assert classify(report, changed=False, engine="gemini").failure == "context"
    assert classify(replace(report, faults=(), code=1), changed=False).failure == "overloaded"


def test_only_the_last_lines_of_stderr_are_looked_at() -> None:
    lines = ("401 Unauthorized", *(f"line {number}" for number in range(19)))
    assert classify(EngineReport(code=1, stderr=lines), changed=False).failure == "auth"
    assert classify(EngineReport(code=1, stderr=(*lines, "one more")), changed=False).failure == "unknown"


def test_the_last_error_decides_and_those_before_it_were_retried() -> None:
    faults = (fault("no", 429), fault("fetch failed"), fault("it ended"))
    assert classify(replace(FAILED, faults=faults), changed=False).failure == "network"


def test_the_end_code_is_evidence() -> None:
    assert classify(replace(FAILED, end_code="error_max_turns"), changed=True) == Verdict(
        "budget", "error_max_turns"
    )


def test_a_models_words_are_never_evidence() -> None:
    said = "401 Unauthorized, rate limit, context window"
    assert classify(replace(OK, text=said), changed=True) == Verdict()
    assert classify(replace(FAILED, text=said), changed=True).failure == "agent"


ENDS = {
    "a success": (OK, True, ""),
    "a success that changed nothing": (OK, False, ""),
    "a success whatever its exit code": (replace(OK, code=173), True, ""),
    "a success after errors that were retried": (replace(OK, faults=(fault("no", 429),)), True, ""),
    "a success although stderr grumbles": (replace(OK, stderr=("quota",)), True, ""),
    "denied, and nothing changed": (replace(OK, denied=("Bash",)), False, "denied"),
    "denied, but it found another way": (replace(OK, denied=("Bash",)), True, ""),
    "failed, denied, and nothing changed": (replace(FAILED, denied=("Bash",)), False, "denied"),
    "failed, denied, but something changed": (replace(FAILED, denied=("Bash",)), True, "agent"),
    "an error before a denial": (
        replace(FAILED, denied=("Bash",), faults=(fault("no", 401),)),
        False,
        "auth",
    ),
    "failed without a word": (FAILED, True, "agent"),
    "no terminal event, exit code 0": (EngineReport(text="Done.", code=0), True, "unknown"),
    "no terminal event, exit code 1": (EngineReport(code=1), True, "unknown"),
    "no terminal event, denied, nothing changed": (EngineReport(denied=("x",)), False, "denied"),
    "killed": (EngineReport(code=-9), True, "crash"),
    "killed below a shell": (EngineReport(code=137), True, "crash"),
    "a fault of its own": (EngineReport(code=-11), True, "crash"),
    "an odd signal": (EngineReport(code=-40), True, "crash"),
    "killed after a known error": (EngineReport(code=-15, faults=(fault("no", 401),)), True, "auth"),
}


@pytest.mark.parametrize(("report", "changed", "failure"), ENDS.values(), ids=ENDS)
def test_how_a_run_ended(report: EngineReport, changed: bool, failure: str) -> None:
    verdict = classify(report, changed=changed)
    assert verdict.failure == failure
    assert failure in ("", *CLASSES)


REASONS = {
    "the engine's words": (replace(FAILED, faults=(fault("no\n  way"),)), "no way"),
    "a code when it has no words": (replace(FAILED, faults=(fault(code="insufficient_quota"),)), None),
    "its end code": (replace(FAILED, end_code="stuck"), "stuck"),
    "its last line on stderr": (replace(FAILED, stderr=("one", "two", " ")), "two"),
    "its exit code": (FAILED, "exit code 1"),
    "a signal and its last line": (EngineReport(code=-9, stderr=("oom",)), "ended by SIGKILL: oom"),
    "a signal": (EngineReport(code=-40), "ended by signal 40"),
    "nothing": (EngineReport(code=3), "no result, exit code 3"),
    "tools": (replace(OK, denied=("a", "b", "a")), "needs permission, and changed nothing: a, b"),
}


@pytest.mark.parametrize(("report", "reason"), REASONS.values(), ids=REASONS)
def test_the_reason_is_one_line_for_people(report: EngineReport, reason: str | None) -> None:
    assert classify(report, changed=False).reason == (reason or "insufficient_quota")


def test_a_long_reason_is_cut() -> None:
    assert len(classify(replace(FAILED, faults=(fault("x" * 9000),)), changed=False).reason) == 300


RESETS = {
    "gemini": ("Suggested retry after 3600s", 3600),
    "in words": ("Please try again in 1h 5m 30s.", 3930),
    "in whole words": ("Rate limit resets in 2 days, 3 hours", 183600),
    "milliseconds": ("try again in 250 ms", 0.25),
    "google's field": ('"retryDelay": "34.5s"', 34.5),
    "a header": ("retry-after: 30", 30),
    "a header in JSON": ('{"retry-after":"17"}', 17),
    "a header with a date": ("retry-after: Wed, 21 Oct 2026", None),
    "how long it waited already": ("retried 5 times (total retry wait time: 5.61 seconds)", None),
    "nothing": ("Overloaded", None),
}


@pytest.mark.parametrize(("words", "seconds"), RESETS.values(), ids=RESETS)
def test_when_a_limit_ends_is_read_from_the_words(words: str, seconds: float | None) -> None:
    assert reset_of(words) == (None if seconds is None else pytest.approx(seconds))


def test_the_reset_of_a_limit_is_looked_for_in_every_error_and_then_on_stderr() -> None:
    known = replace(FAILED, faults=(fault("no", 429, reset=40), fault("no", 429)))
    assert classify(known, changed=False).reset == 40
    words = replace(FAILED, faults=(fault("retry after 50s", 429), fault("no", 429, reset=math.nan)))
    assert classify(words, changed=False).reset == 50
    report = EngineReport(code=173, stderr=("Suggested retry after 3600s", "RESOURCE_EXHAUSTED", ""))
    assert classify(report, changed=False, engine="gemini").reset == 3600
    assert classify(replace(FAILED, faults=(fault("no", 429),)), changed=False).reset is None
    assert classify(replace(FAILED, faults=(fault("retry in 9s", 401),)), changed=False).reset is None


def test_a_reset_that_cannot_be_is_unknown_and_a_far_one_is_cut() -> None:
    assert [sensible(value) for value in (None, -1, math.nan, math.inf, 0, 10**9)] == [
        *[None] * 4,
        0,
        30 * 86400,
    ]


STATUSES = {
    "Attempt 1 failed with status 429. Retrying": 429,
    "API Error: 401 no": 401,
    "unexpected status 503 Service Unavailable": 503,
    '{"error":{"code": 529}}': 529,
    "HTTP/1.1 402 Payment": 402,
    "402 Payment Required": 402,
    "404 files changed": None,
    "status 200": None,
    "line 4290": None,
}


@pytest.mark.parametrize(("words", "status"), STATUSES.items())
def test_a_status_is_read_only_where_words_say_that_it_is_one(words: str, status: int | None) -> None:
    assert status_of(words) == status


def test_hostile_words_take_no_time() -> None:
    words = ("retry " * 20000) + ("1s " * 20000) + ("\x00" * 1000)
    assert (
        classify(replace(FAILED, faults=(fault(words),), stderr=(words,)), changed=False).failure == "agent"
    )
