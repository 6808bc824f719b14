"""Cursor's command line, from its documentation."""

from __future__ import annotations

import re

from aq.core.planning.eligible import AGENT_CLASS
from aq.host.engines.base import Auth, Brief, Engine, Launch
from aq.host.engines.launching import option, session_of
from aq.host.engines.looking import Login, prober
from aq.host.engines.parsers.claude_jsonl import ClaudeParser

_VERSION = re.compile(r"\d{4}\.\d{2}\.\d{2}[^\s,;)]*|\d+\.\d+\.\d+[^\s,;)]*")


def _judge(code: int, said: str) -> Auth:
    if code == 0 and "not logged in" not in said.lower():
        return Auth.YES
    return Auth.NO


def _launch(brief: Brief) -> Launch:
    return Launch(
        (
            *(brief.path or "cursor-agent", "-p", "--output-format", "stream-json", "--trust"),
            # Without --force it only proposes changes; its sandbox then keeps commands in the workspace.
            *("--force", "--sandbox", "disabled" if brief.yolo or brief.sandboxed else "enabled"),
            *option("--model", brief.model),
            *option("--resume", session_of(brief)),
        ),
        stdin=brief.prompt,
    )


ENGINE = Engine(
    "cursor-agent",
    AGENT_CLASS,
    prober(
        "cursor-agent",
        Login(("CURSOR_API_KEY",), command=("status",), judge=_judge),
        pattern=_VERSION,
    ),
    _launch,
    ClaudeParser,
    env=("CURSOR_API_KEY", "CURSOR_CONFIG_DIR"),
    state=("~/.cursor", "~/.config/cursor", "$CURSOR_CONFIG_DIR"),
    resumes=True,
)
