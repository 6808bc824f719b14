"""Where the model server is, from the names that people set already."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

URL, KEY, MODEL, WINDOW = "AQ_LOCAL_URL", "AQ_LOCAL_KEY", "AQ_LOCAL_MODEL", "AQ_LOCAL_WINDOW"
OLLAMA, OLLAMA_WINDOW = "OLLAMA_HOST", "OLLAMA_CONTEXT_LENGTH"
NAMES = (URL, KEY, MODEL, WINDOW, OLLAMA, OLLAMA_WINDOW)
_OLLAMA_PORT = 11434
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def base_url(env: Mapping[str, str]) -> str:
    """The address that `/models` and `/chat/completions` are appended to, or nothing. `OLLAMA_HOST` may
    be what Ollama itself listens on, such as `0.0.0.0`, without a scheme and port. What is no address is
    none."""
    given, host = env.get(URL, "").strip(), env.get(OLLAMA, "").strip()
    try:
        if given:
            return _whole(given if "://" in given else f"http://{given}")
        return _whole(_ollama(host)) if host else ""
    except ValueError:
        return ""


def given_window(env: Mapping[str, str]) -> int | None:
    """The model's window in tokens, where the host says it. Ollama has a setting of its own for it."""
    texts = (env.get(name, "").strip() for name in (WINDOW, OLLAMA_WINDOW))
    return next((int(text) for text in texts if text.isdecimal() and int(text)), None)


def is_loopback(url: str) -> bool:
    """Whether the address is this machine: a proxy would not reach it."""
    return (urlsplit(url).hostname or "") in _LOOPBACK


def _ollama(host: str) -> str:
    if "://" in host:
        return host
    bare = urlsplit(f"http://{host}")
    port = "" if _port(bare.netloc) else f":{_OLLAMA_PORT}"
    return f"http://{bare.netloc}{port}{bare.path}"


def _port(netloc: str) -> bool:
    return netloc.rpartition("]")[2].rpartition(":")[1] == ":"


def _whole(url: str) -> str:
    parts = urlsplit(url)
    netloc = parts.netloc.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")
    path = parts.path.rstrip("/") or "/v1"
    return f"{parts.scheme}://{netloc}{path}" if netloc else ""
