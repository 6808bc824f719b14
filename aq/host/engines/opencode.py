"""opencode."""

from __future__ import annotations

import json
import re

from aq.core.planning.eligible import AGENT_CLASS
from aq.host.engines.base import Auth, Brief, Engine, Launch
from aq.host.engines.launching import option, session_of
from aq.host.engines.looking import PROVIDER_KEYS, Login, prober
from aq.host.engines.parsers.opencode_jsonl import OpencodeParser

_QUIET = dict.fromkeys(
    (
        "OPENCODE_DISABLE_AUTOUPDATE",
        "OPENCODE_DISABLE_MODELS_FETCH",
        "OPENCODE_DISABLE_LSP_DOWNLOAD",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS",
    ),
    "1",
)
# Its shell has no sandbox: without yolo there are edits inside the workspace only.
_CONFINED = {"edit": "allow", "bash": "deny", "webfetch": "deny", "external_directory": "deny"}
_COUNT = re.compile(r"(\d+) credentials?\b")


def _judge(code: int, said: str) -> Auth:  # noqa: ARG001
    """Some of its models need no credentials, so that none is no reason to stay away."""
    count = _COUNT.search(said)
    return Auth.YES if count and int(count[1]) else Auth.UNKNOWN


def _launch(brief: Brief) -> Launch:
    return Launch(
        (
            *(brief.path or "opencode", "run", "--format", "json", "--pure"),
            *(("--auto",) if brief.yolo else ()),
            *option("-m", brief.model),
            *option("--session", session_of(brief)),
        ),
        stdin=brief.prompt,
        env=_QUIET if brief.yolo else {**_QUIET, "OPENCODE_PERMISSION": json.dumps(_CONFINED)},
    )


ENGINE = Engine(
    "opencode",
    AGENT_CLASS,
    prober("opencode", Login(PROVIDER_KEYS, command=("auth", "list"), judge=_judge)),
    _launch,
    OpencodeParser,
    env=(*PROVIDER_KEYS, "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"),
    state=(
        *("~/.config/opencode", "~/.local/share/opencode", "~/.local/state/opencode", "~/.cache/opencode"),
        *("$XDG_CONFIG_HOME/opencode", "$XDG_DATA_HOME/opencode"),
        *("$XDG_STATE_HOME/opencode", "$XDG_CACHE_HOME/opencode"),
    ),
    resumes=True,
)
