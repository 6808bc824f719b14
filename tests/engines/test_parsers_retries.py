"""Engines that try again by themselves say so while they do, so that a host can stop them."""

from __future__ import annotations

import pytest

from aq.core.engine.events import Retrying, Used
from aq.core.engine.usage import Usage
from tests.engines.replay import Stream, events, lines
from tests.engines.streams import GOOD

RETRIES = {
    "claude": (
        "claude",
        Stream(
            lines(
                {
                    "type": "system",
                    "subtype": "api_retry",
                    "attempt": 2,
                    "retry_delay_ms": 1500,
                    "error_status": 429,
                    "error": "rate_limit",
                }
            )
        ),
        Retrying(429, 1.5, 2, "rate_limit"),
    ),
    "claude without a delay": (
        "claude",
        Stream(lines({"type": "system", "subtype": "api_retry"})),
        Retrying(),
    ),
    "codex": (
        "codex",
        Stream(lines({"type": "error", "message": "Reconnecting... 3/5 (last status: 429 Too Many)"})),
        Retrying(429, None, 3, "Reconnecting... 3/5 (last status: 429 Too Many)"),
    ),
    "gemini": (
        "gemini",
        Stream(err=("Attempt 1 failed with status 529. Retrying with backoff... _ApiError: {}",)),
        Retrying(529, None, 1, "Attempt 1 failed with status 529. Retrying with backoff... _ApiError: {}"),
    ),
    "gemini in several lines": (
        "gemini",
        Stream(err=("Attempt 2 failed: slow down", "Suggested retry after 1s.. Retrying after 5533ms...")),
        Retrying(None, 5.533, 2, "Attempt 2 failed: slow down"),
    ),
    "copilot": (
        "copilot",
        Stream(
            lines(
                {"type": "model.call_failure", "data": {"statusCode": 429, "retryAttempt": 1}},
                {"type": "assistant.turn_retry", "data": {"reason": "rate_limit"}},
            )
        ),
        Retrying(429, None, 2, "rate_limit"),
    ),
    "aider": (
        "aider",
        Stream(("litellm.RateLimitError: no", "Retrying in 0.5 seconds...")),
        Retrying(None, 0.5, 0, "litellm.RateLimitError: no"),
    ),
    "mini": (
        "mini",
        Stream(err=("Retrying m.LitellmModel._query in 4.0 seconds as it raised RateLimitError: no.",)),
        Retrying(None, 4.0, 0, "RateLimitError: no."),
    ),
}


@pytest.mark.parametrize(("engine", "stream", "retry"), RETRIES.values(), ids=RETRIES)
def test_a_retry_is_told_when_it_happens(engine: str, stream: Stream, retry: Retrying) -> None:
    assert [event for event in events(engine, stream) if isinstance(event, Retrying)] == [retry]


def test_the_last_attempt_of_gemini_is_no_retry() -> None:
    err = (
        "Attempt 3 failed: slow down",
        "Suggested retry after 1s.. Max attempts reached",
        "Retrying after 5ms",
    )
    assert events("gemini", Stream(err=err[:2])) == []


LIVE = {
    "claude": [Usage(234, 1000, 1), Usage(234, 1000, 1)],
    "opencode": [Usage(234, 1000, 56, 4, 0.125)] * 2,
    "mini": [Usage(usd=0.25), Usage(usd=0.5)],
}


@pytest.mark.parametrize("engine", LIVE)
def test_usage_is_told_before_the_end_so_that_a_budget_can_hold(engine: str) -> None:
    stream = GOOD[engine]
    found = [event.usage for event in events(engine, stream) if isinstance(event, Used)]
    assert found[: len(LIVE[engine])] == LIVE[engine]


def test_a_message_in_several_lines_is_counted_once() -> None:
    message = {"id": "m1", "content": [], "usage": {"input_tokens": 5}}
    out = lines(*[{"type": "assistant", "message": message}] * 3)
    assert [event for event in events("claude", Stream(out)) if isinstance(event, Used)] == [Used(Usage(5))]


def test_what_was_written_to_the_cache_was_read_first() -> None:
    message = {"id": "m1", "usage": {"input_tokens": 5, "cache_creation_input_tokens": 100}}
    out = lines({"type": "assistant", "message": message})
    assert events("claude", Stream(out)) == [Used(Usage(105))]


def test_a_price_of_nothing_is_unknown_where_the_engine_may_not_know_the_price() -> None:
    part = {"reason": "stop", "tokens": {"input": 1}, "cost": 0}
    found = events("opencode", Stream(lines({"type": "step_finish", "part": part})))
    assert [event.usage for event in found if isinstance(event, Used)] == [Usage(1)]
