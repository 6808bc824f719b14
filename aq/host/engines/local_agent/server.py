"""The model server: one question at a time, tried again where that can help. The only user of httpx, which
has timeouts for each step of a request, proxies, and errors that say what broke."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from typing import Any

import httpx

from aq.core.value import Value
from aq.host.engines.local_agent.address import is_loopback

TRIES = 4
# While a server still loads its model it says so, again and again.
LOADING_TRIES = 60
LONGEST_WAIT = 60.0
_READ_SECONDS = 900.0
_RETRIED = (408, 425, 429, 500, 502, 503, 504, 529)
_CONTEXT = re.compile(
    r"context.{0,10}(?:length|size|window)|exceed_context|prompt (?:is )?too long|maximum context",
    re.IGNORECASE,
)
_NO_TOOLS = re.compile(
    r"does not support tools|--jinja|tool.{0,20}not supported|enable-auto-tool", re.IGNORECASE
)
_MAX_WORDS = 500


class ServerError(Exception):
    """The server did not answer the question. `kind` is `context` or `tools` when the question has to
    change, else empty."""

    def __init__(
        self,
        words: str,
        status: int | None = None,
        code: str = "",
        *,
        reset: float | None = None,
        kind: str = "",
        passing: bool = False,
    ) -> None:
        super().__init__(words)
        self.words, self.status, self.code = words[:_MAX_WORDS], status, code
        self.reset, self.kind, self.passing = reset, kind, passing


class Said(Value):
    """One answer: the message, the token counts as the server gives them, and whether it was cut."""

    message: dict[str, Any]
    usage: dict[str, Any]
    cut: bool = False


class Model(Value):
    """A model that the server has, and its window in tokens if it says so."""

    name: str
    window: int | None = None


def look(url: str, key: str, seconds: float) -> str:
    """Whether the server answers: `yes`, `no` when nobody is there or the key is refused, `unknown` when
    it is there but in trouble."""
    try:
        with _client(url, key, seconds) as client:
            status = client.get(f"{url}/models").status_code
    except httpx.ConnectError:
        return "no"
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return "unknown"
    if status in (401, 403):
        return "no"
    return "yes" if status < 400 else "unknown"


def _client(url: str, key: str, seconds: float) -> httpx.Client:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    limits = httpx.Timeout(seconds, connect=min(seconds, 10.0))
    return httpx.Client(headers=headers, timeout=limits, trust_env=not is_loopback(url))


class Server:
    """One model server. `retrying` is told of each wait: status, delay, attempt, words."""

    def __init__(
        self,
        url: str,
        key: str,
        left: Callable[[], float],
        retrying: Callable[[int | None, float, int, str], None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url, self._left, self._retrying, self._sleep = url, left, retrying, sleep
        self._http = _client(url, key, _READ_SECONDS)

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def models(self) -> list[Model]:
        """The models it has. Raises ServerError."""
        found = self._with_patience(lambda: self._call("GET", "models", None)).get("data")
        entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
        return [Model(entry["id"], _window(entry)) for entry in entries if isinstance(entry.get("id"), str)]

    def ask(self, question: dict[str, Any]) -> Said:
        """The answer to a chat. Raises ServerError; an answer without a message is an empty one."""
        answer = self._with_patience(lambda: self._call("POST", "chat/completions", question))
        choices, usage = answer.get("choices"), answer.get("usage")
        first = choices[0] if isinstance(choices, list) and choices else {}
        first = first if isinstance(first, dict) else {}
        message = first.get("message")
        return Said(
            message if isinstance(message, dict) else {},
            usage if isinstance(usage, dict) else {},
            first.get("finish_reason") == "length",
        )

    def _with_patience(self, once: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        attempt = 0
        while True:
            attempt += 1
            try:
                return once()
            except ServerError as error:
                tries = LOADING_TRIES if "loading" in error.words.lower() else TRIES
                delay = error.reset if error.reset is not None else min(0.5 * 2 ** (attempt - 1), 4.0)
                patient = delay <= min(LONGEST_WAIT, self._left())
                if not error.passing or attempt >= tries or not patient:
                    raise
                self._retrying(error.status, delay, attempt, error.words)
            self._sleep(delay)

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        limits = httpx.Timeout(max(1.0, min(_READ_SECONDS, self._left())), connect=10.0)
        try:
            answer = self._http.request(method, f"{self.url}/{path}", json=body, timeout=limits)
        except httpx.ReadTimeout:
            # The same question would take as long again.
            raise ServerError("Connection error: no answer in time") from None
        except httpx.UnsupportedProtocol:
            raise ServerError(f"{self.url or 'nothing'} is no address of a model server") from None
        except httpx.TransportError as error:
            raise ServerError(f"Connection error: {error or _kind(error)}", passing=True) from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise ServerError(f"{self.url}: {error}") from None
        if answer.is_success:
            return _document(answer)
        raise _problem(answer)


def _kind(error: Exception) -> str:
    return type(error).__name__


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        # A model can say half of a surrogate pair, which no request could carry back.
        found = json.loads(json.dumps(answer.json(), ensure_ascii=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _problem(answer: httpx.Response) -> ServerError:
    """OpenAI and vLLM have an object under `error`, Ollama a text, older servers fields at the top."""
    body = _document(answer)
    inner = body.get("error", body)
    fields = inner if isinstance(inner, dict) else {"message": inner}
    words = fields.get("message") or fields.get("detail") or answer.reason_phrase
    codes = [value for name in ("code", "type") if isinstance(value := fields.get(name), str)]
    words, code, status = str(words), codes[0] if codes else "", answer.status_code
    about = f"{code} {words}"
    kind = "tools" if _NO_TOOLS.search(about) else ""
    if not kind and status in (400, 413, 422, 500) and _CONTEXT.search(about):
        kind, code = "context", "context_length_exceeded"
    return ServerError(
        words,
        status,
        code,
        reset=_seconds(answer.headers.get("retry-after", "")),
        kind=kind,
        passing=status in _RETRIED and not kind,
    )


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _window(entry: dict[str, Any]) -> int | None:
    # vLLM says it at the top, llama.cpp below `meta`; what a model was trained with is not what it gets.
    meta = entry.get("meta")
    found = entry.get("max_model_len") or (meta.get("n_ctx") if isinstance(meta, dict) else None)
    return found if isinstance(found, int) and found > 0 else None
