"""Amp, from its documentation and its help text. Its models are not for us to choose."""

from __future__ import annotations

from aq.core.planning.eligible import AGENT_CLASS
from aq.host.engines.base import Brief, Engine, Launch
from aq.host.engines.launching import session_of
from aq.host.engines.looking import Login, prober
from aq.host.engines.parsers.claude_jsonl import ClaudeParser


def _launch(brief: Brief) -> Launch:
    session = session_of(brief)
    return Launch(
        (
            brief.path or "amp",
            *(("threads", "continue", session) if session else ()),
            *("-x", "--stream-json"),
            *(("--dangerously-allow-all",) if brief.yolo else ()),
        ),
        stdin=brief.prompt,
        env={"AMP_SKIP_UPDATE_CHECK": "1"},
    )


ENGINE = Engine(
    "amp",
    AGENT_CLASS,
    prober("amp", Login(("AMP_API_KEY",), files=("~/.local/share/amp/secrets.json",))),
    _launch,
    ClaudeParser,
    env=("AMP_API_KEY",),
    state=("~/.config/amp", "~/.local/share/amp", "~/.cache/amp"),
    resumes=True,
)
