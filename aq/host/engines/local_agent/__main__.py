"""`python -P -m aq.host.engines.local_agent`: the prompt comes on standard input, events go to standard
output."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import time
from pathlib import Path

from aq.host.engines.local_agent.address import KEY, MODEL, URL, base_url, given_window
from aq.host.engines.local_agent.commands import Allowed
from aq.host.engines.local_agent.guards import Guards
from aq.host.engines.local_agent.history import History
from aq.host.engines.local_agent.jail import Jail
from aq.host.engines.local_agent.loop import Agent
from aq.host.engines.local_agent.server import Model, Server, ServerError
from aq.host.engines.local_agent.tools import Tools
from aq.host.engines.local_agent.voice import Voice

# What Ollama gives a model unless it is told otherwise. It drops what is more without a word.
DEFAULT_WINDOW = 4096
# What is left of the time for ending in order, before aq stops the agent from outside.
_RESERVE = 5.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="aq local agent", allow_abbrev=False)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--model", default="")
    parser.add_argument("--turns", type=int, required=True)
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--wall", type=float)
    parser.add_argument("--command", action="append", default=[])
    parser.add_argument("--yolo", action="store_true")
    parser.add_argument("--judged", action="store_true")
    return parser.parse_args()


def _chosen(server: Server, wanted: str) -> Model:
    """The model by name, or the first that the server has."""
    window = given_window(os.environ)
    if wanted and window:
        return Model(wanted, window)
    try:
        models = server.models()
    except ServerError as error:
        if not wanted or error.status not in (404, 405):
            raise
        models = []
    found = next((model for model in models if not wanted or model.name == wanted), None)
    if not found and not wanted:
        raise ServerError("the server has no model", code="no_model")
    found = found or Model(wanted)
    return Model(found.name, window or found.window)


def _stop(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def main() -> int:
    """Run the agent; the exit code says whether its work is worth looking at."""
    given, voice = _arguments(), Voice()
    signal.signal(signal.SIGTERM, _stop)
    end = time.monotonic() + max(given.wall - _RESERVE, given.wall / 2) if given.wall else math.inf

    def left() -> float:
        return end - time.monotonic()

    def retrying(status: int | None, delay: float, attempt: int, words: str) -> None:
        voice.say("retry", status=status, delay=delay, attempt=attempt, words=words)

    task = sys.stdin.buffer.read().decode("utf-8", "replace")
    if not base_url(os.environ):
        voice.say("fault", words=f"{URL} names no model server", code="no_server")
        voice.say("finished", ok=False, code="no_server", turns=0)
        return 1
    server = Server(base_url(os.environ), os.environ.get(KEY, ""), left, retrying)
    try:
        model = _chosen(server, given.model or os.environ.get(MODEL, ""))
        agent = Agent(
            server,
            Tools(Jail(given.workspace), Allowed(given.yolo, tuple(given.command)), left),
            Guards(given.turns, given.tokens, left),
            History(model.window or DEFAULT_WINDOW),
            voice,
            model,
            given.judged,
        )
        return 0 if agent.run(task) else 1
    except ServerError as error:
        voice.say("fault", words=error.words, status=error.status, code=error.code, reset=error.reset)
        voice.say("finished", ok=False, code=error.code or "server_error", text=error.words, turns=0)
        return 1
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main())
