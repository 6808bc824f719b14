"""Devin's command line, from its documentation."""

from __future__ import annotations

from aq.core.planning.eligible import AGENT_CLASS
from aq.host.engines.base import Brief, Engine, Launch
from aq.host.engines.launching import option, session_of
from aq.host.engines.looking import Login, prober
from aq.host.engines.parsers.plain import TextParser


def _launch(brief: Brief) -> Launch:
    export = brief.folder / "devin-export.json"
    return Launch(
        (
            *(brief.path or "devin", "-p", "--prompt-file", str(brief.prompt)),
            *("--permission-mode", "dangerous" if brief.yolo else "accept-edits"),
            *option("--model", brief.model),
            *option("--resume", session_of(brief)),
            *("--export", str(export)),
        ),
        artifact=export,
    )


ENGINE = Engine(
    "devin",
    AGENT_CLASS,
    prober("devin", Login(command=("auth", "status"))),
    _launch,
    TextParser,
    state=("~/.config/devin", "~/.local/share/devin"),
    resumes=True,
)
