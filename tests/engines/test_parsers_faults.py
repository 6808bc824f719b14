"""Each fault as each engine shows it: the class, and when its limit ends where it says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.engines.replay import Stream, lines, report, verdict
from tests.engines.streams import (
    AIDER,
    CLAUDE_INIT,
    CLAUDE_RESULT,
    CODEX_STARTED,
    COPILOT_RESULT,
    DONE,
    GEMINI_INIT,
    GEMINI_RESULT,
    GOOSE_MESSAGES,
    MINI_MESSAGES,
    SESSION,
    trajectory,
)


def claude(words: str, status: int | None = None, error: str = "", **more: Any) -> Stream:
    """It calls a result a success even when that is an error."""
    said = {"model": "<synthetic>", "content": [{"type": "text", "text": words}]}
    result = {**CLAUDE_RESULT, "is_error": True, "result": words, "api_error_status": status, **more}
    return Stream(lines(CLAUDE_INIT, {"type": "assistant", "error": error, "message": said}, result), code=1)


def codex(words: str) -> Stream:
    return Stream(
        lines(
            CODEX_STARTED,
            {"type": "turn.started"},
            {"type": "error", "message": f"Reconnecting... 5/5 ({words})"},
            {"type": "error", "message": words},
            {"type": "turn.failed", "error": {"message": words}},
        ),
        code=1,
    )


def gemini(words: str, code: int) -> Stream:
    result = {**GEMINI_RESULT, "status": "error", "error": {"type": "unknown", "message": words}}
    return Stream(lines(GEMINI_INIT, result), code=code)


def copilot(words: str, status: int | None, kind: str = "query") -> Stream:
    error = {"errorType": kind, "message": words, "statusCode": status}
    ended = {**COPILOT_RESULT, "exitCode": 1}
    return Stream(lines({"type": "session.error", "data": error}, ended), code=1)


def opencode(words: str, status: int | None, name: str = "APIError", **headers: str) -> Stream:
    data = {"message": words, "statusCode": status, "responseHeaders": headers}
    said = {"type": "error", "sessionID": "ses_1", "error": {"name": name, "data": data}}
    return Stream(lines(said), code=1)


def qwen(words: str) -> Stream:
    """It exits with 0 and says that nothing is wrong."""
    return Stream(lines(CLAUDE_INIT, {**CLAUDE_RESULT, "result": f"[API Error: {words}]"}))


def aider(*said: str) -> Stream:
    """It exits with 0 whatever happened."""
    return Stream((*AIDER[:4], *said))


def mini(status: str, words: str = "") -> Stream:
    messages = [*MINI_MESSAGES, {"role": "exit", "content": words}]
    info = json.loads(trajectory(exit_status=status, submission=""))["info"]
    return Stream(("step",), code=1, artifact=json.dumps({"info": info, "messages": messages}))


def goose(words: str) -> Stream:
    return Stream(
        lines({"type": "error", "error": words}, {"type": "complete", "total_tokens": None}), code=1
    )


def text(*err: str) -> Stream:
    return Stream(("Thinking",), err, 1)


CURSOR = {"type": "result", "subtype": "error", "is_error": True, "result": "Rate limit reached"}
FAULTS = {
    "claude auth": ("claude", claude("Invalid API key", 401, "authentication_failed"), "auth"),
    "claude without a login": ("claude", claude("Not logged in · Please run /login"), "auth"),
    "claude quota": ("claude", claude("Credit balance is too low", 402, "billing_error"), "quota"),
    "claude rate limit": ("claude", claude("Request rejected (429)", 429, "rate_limit"), "rate_limit"),
    "claude overloaded": ("claude", claude("529 Overloaded", 529, "server_error"), "overloaded"),
    "claude context": (
        "claude",
        claude("Prompt is too long", 400, "invalid_request", terminal_reason="prompt_too_long"),
        "context",
    ),
    "claude network": ("claude", claude("Unable to connect to API (ECONNRESET)"), "network"),
    "claude turns": ("claude", claude("", subtype="error_max_turns", is_error=False), "budget"),
    "claude money": (
        "claude",
        claude("", subtype="error_max_budget_usd", errors=["Reached the budget"]),
        "budget",
    ),
    "claude of no class": ("claude", claude("I gave up", terminal_reason=""), "agent"),
    "claude bad session": ("claude", Stream((), ("No conversation found with session ID: x",), 1), "unknown"),
    "codex auth": ("codex", codex("unexpected status 401 Unauthorized: invalid x-api-key"), "auth"),
    "codex without a key": ("codex", codex("Missing environment variable: `X`."), "auth"),
    "codex logged out": ("codex", codex("Your access token could not be refreshed: refresh token"), "auth"),
    "codex quota": ("codex", codex("unexpected status 402 Payment Required: no"), "quota"),
    "codex subscription": ("codex", codex("You've hit your usage limit. Try again in 5 hours."), "quota"),
    "codex rate limit": (
        "codex",
        codex("exceeded retry limit, last status: 429 Too Many Requests"),
        "rate_limit",
    ),
    "codex overloaded": (
        "codex",
        codex("unexpected status 529 <unknown>: Overloaded"),
        "overloaded",
    ),
    "codex context": ("codex", codex("Codex ran out of room in the model's context window."), "context"),
    "codex network": (
        "codex",
        codex("stream disconnected: error sending request"),
        "network",
    ),
    "codex of no class": ("codex", codex("the turn went wrong"), "agent"),
    "codex never came through": ("codex", Stream(codex("fetch failed").out[:3], (), 1), "unknown"),
    "gemini auth": ("gemini", gemini('[API Error: {"error":{"code":401,"message":"no"}}]', 145), "auth"),
    "gemini without credentials": ("gemini", Stream((), ("Please set an Auth method",), 41), "auth"),
    "gemini bad login": ("gemini", Stream((), ("Invalid auth method selected.",), 41), "auth"),
    "gemini quota": ("gemini", gemini("You exceeded your current quota", 173), "quota"),
    "gemini rate limit": (
        "gemini",
        gemini("[API Error: slow down\nSuggested retry after 1s.]\nrequest a quota increase", 173),
        "rate_limit",
    ),
    "gemini overloaded": (
        "gemini",
        gemini('{"code":529,"message":"Overloaded"}', 17),
        "overloaded",
    ),
    "gemini context": ("gemini", gemini("prompt is too long: 250000 tokens > 200000", 144), "context"),
    "gemini network": ("gemini", gemini("exception TypeError: fetch failed sending request", 1), "network"),
    "gemini turns": ("gemini", gemini("Maximum session turns exceeded", 53), "budget"),
    "gemini going in circles": (
        "gemini",
        Stream(
            lines(
                GEMINI_INIT,
                {"type": "error", "severity": "warning", "message": "Loop detected, stopping execution"},
                GEMINI_RESULT,
            )
        ),
        "agent",
    ),
    "gemini in an untrusted folder": ("gemini", Stream((), ("not a trusted folder",), 55), "unknown"),
    "copilot auth": ("copilot", copilot("Authentication failed", 401, "authentication"), "auth"),
    "copilot without a login": ("copilot", text("Error: No authentication information found."), "auth"),
    "copilot quota": ("copilot", copilot("402 Your credit balance is too low", 402), "quota"),
    "copilot rate limit": ("copilot", copilot("retried 5 times", 429, "rate_limit"), "rate_limit"),
    "copilot overloaded": ("copilot", copilot("Last error: 529 Overloaded", 529), "overloaded"),
    "copilot context": ("copilot", copilot("This model's maximum context length is 8", 400), "context"),
    "copilot network": ("copilot", copilot("error sending request for url", None), "network"),
    "copilot of no class": ("copilot", copilot("no", None), "agent"),
    "opencode auth": ("opencode", opencode("invalid x-api-key", 401), "auth"),
    "opencode quota": ("opencode", opencode("Your credit balance is too low", 402), "quota"),
    "opencode rate limit": ("opencode", opencode("slow", 429, **{"Retry-After": "7"}), "rate_limit"),
    "opencode overloaded": ("opencode", opencode("Overloaded", 529), "overloaded"),
    "opencode context": ("opencode", opencode("no", None, "ContextOverflowError"), "context"),
    "opencode network": (
        "opencode",
        opencode("Cannot connect to API: The socket connection was closed unexpectedly.", None),
        "network",
    ),
    "opencode of no class": ("opencode", opencode("", None, "UnknownError"), "agent"),
    "opencode cut off": (
        "opencode",
        Stream(lines({"type": "step_finish", "sessionID": "s", "part": {"reason": "length"}})),
        "agent",
    ),
    "qwen auth": ("qwen", qwen("401 invalid x-api-key"), "auth"),
    "qwen quota": ("qwen", qwen("402 Your credit balance is too low"), "quota"),
    "qwen rate limit": ("qwen", qwen("429 slow down"), "rate_limit"),
    "qwen context": ("qwen", qwen("400 This model's maximum context length is 8"), "context"),
    "qwen network": ("qwen", qwen("Connection error. (cause: fetch failed)"), "network"),
    "qwen turns": ("qwen", Stream(lines(CLAUDE_INIT), ("Reached max session turns",), 53), "budget"),
    "aider auth": (
        "aider",
        aider(
            "litellm.AuthenticationError: AuthenticationError: OpenAIException - invalid x-api-key",
            "The API provider is not able to authenticate you. Check your API key.",
        ),
        "auth",
    ),
    "aider rate limit": (
        "aider",
        aider(
            "litellm.RateLimitError: RateLimitError: OpenAIException - slow",
            "The API provider has rate limited you. Try again later or check your quotas.",
            "Retrying in 0.2 seconds...",
            "litellm.RateLimitError: RateLimitError: OpenAIException - slow",
        ),
        "rate_limit",
    ),
    "aider overloaded": ("aider", aider("litellm.InternalServerError: stub error"), "overloaded"),
    "aider context": ("aider", aider("litellm.ContextWindowExceededError: no"), "context"),
    "aider network": ("aider", aider("litellm.APIConnectionError: no"), "network"),
    "aider gave up": (
        "aider",
        aider(*AIDER[4:13], "Only 3 reflections allowed, stopping."),
        "agent",
    ),
    "aider never answered": ("aider", aider("What now?"), "unknown"),
    "mini auth": ("mini", mini("AuthenticationError", "litellm.AuthenticationError: no"), "auth"),
    "mini context": ("mini", mini("ContextWindowExceededError"), "context"),
    "mini limits": ("mini", mini("LimitsExceeded", "LimitsExceeded"), "budget"),
    "mini in a wrong form": ("mini", mini("RepeatedFormatError"), "agent"),
    "goose auth": ("goose", goose("Authentication error: 401 Unauthorized"), "auth"),
    "goose network": ("goose", goose("Network error: error sending request"), "network"),
    "goose of no class": ("goose", goose("it went wrong"), "agent"),
    "cursor rate limit": ("cursor-agent", Stream(lines(CURSOR), code=1), "rate_limit"),
    "cursor without a login": ("cursor-agent", text("Error: Authentication required."), "auth"),
    "amp without a login": ("amp", text("Not logged in"), "auth"),
    "devin without a login": ("devin", text("Not logged in. Run devin auth login"), "auth"),
    "devin failed": ("devin", text("it went wrong"), "agent"),
    "crush without a provider": ("crush", text("no providers configured, missing credentials"), "auth"),
    "crush quota": ("crush", text("ERROR insufficient_quota"), "quota"),
}


@pytest.mark.parametrize(("engine", "stream", "failure"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_of_its_class(engine: str, stream: Stream, failure: str) -> None:
    found = verdict(engine, stream, changed=True)
    assert found.failure == failure
    assert found.reason


RESETS = {
    "gemini": ("gemini", gemini("slow\nSuggested retry after 3600s.", 173), 3600),
    "gemini on stderr": ("gemini", Stream((), ("Suggested retry after 3600s.", "at x"), 173), 3600),
    "opencode": ("opencode", opencode("slow", 429, **{"retry-after": "7"}), 7),
    "opencode with a date": ("opencode", opencode("slow", 429, **{"retry-after": "Wed, 21 Oct"}), None),
    "codex": ("codex", codex("You've hit your usage limit. Try again in 1 hour 30 minutes."), 5400),
    "copilot says how long it waited": (
        "copilot",
        copilot("retried 5 times (total retry wait time: 5.61 seconds)", 429, "rate_limit"),
        None,
    ),
    "claude": ("claude", claude("Rate limited", 429), None),
}


@pytest.mark.parametrize(("engine", "stream", "seconds"), RESETS.values(), ids=RESETS)
def test_when_a_limit_ends(engine: str, stream: Stream, seconds: float | None) -> None:
    assert verdict(engine, stream).reset == seconds


def test_a_subscription_that_names_the_moment_of_its_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.0)
    found = verdict("claude", claude("Claude AI usage limit reached|1800003600"))
    assert (found.failure, found.reset) == ("quota", 3600)


def test_an_older_form_of_goose_tells_all_in_one_object_at_the_end() -> None:
    said = {"messages": GOOSE_MESSAGES, "metadata": {"total_tokens": 2580, "status": "completed"}}
    whole = Stream(("starting session", *json.dumps(said, indent=2).splitlines()))
    found = verdict("goose", whole, changed=True)
    assert found.failure == ""
    said["metadata"] = {"status": "failed", "error": "429 Too Many Requests"}
    assert verdict("goose", Stream((json.dumps(said),), code=1)).failure == "rate_limit"


@pytest.mark.parametrize(
    ("code", "failure"), [(0, ""), (1, "agent"), (127, "agent"), (137, "crash"), (-15, "crash")]
)
def test_where_output_has_no_form_the_exit_code_is_the_end(code: int, failure: str) -> None:
    assert verdict("crush", Stream((DONE,), (), code), changed=True).failure == failure


def test_a_session_id_that_could_be_an_option_is_none() -> None:
    evil = Stream(lines({**CLAUDE_INIT, "session_id": "--dangerously-skip-permissions"}, CLAUDE_RESULT))
    assert report("claude", evil).session == SESSION
