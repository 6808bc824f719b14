"""goose, from its documentation."""

from __future__ import annotations

from aq.core.planning.eligible import AGENT_CLASS
from aq.host.engines.base import Brief, Engine, Launch
from aq.host.engines.launching import option
from aq.host.engines.looking import PROVIDER_KEYS, Login, prober
from aq.host.engines.parsers.goose_json import GooseParser


def _launch(brief: Brief) -> Launch:
    env = {"GOOSE_MODE": "auto" if brief.yolo else "smart_approve"}
    return Launch(
        (
            *(brief.path or "goose", "run", "--no-session", "--output-format", "stream-json"),
            *option("--max-turns", brief.turns),
            *("-i", str(brief.prompt)),
        ),
        env=env | ({"GOOSE_MODEL": brief.model} if brief.model else {}),
    )


ENGINE = Engine(
    "goose",
    AGENT_CLASS,
    # Another well-known program has its name: without a provider of its own it is not offered.
    prober("goose", Login(("GOOSE_PROVIDER",), maybe=("~/.config/goose/config.yaml",))),
    _launch,
    GooseParser,
    env=(*PROVIDER_KEYS, "GOOSE_PROVIDER", "GOOSE_MODEL"),
    state=("~/.config/goose", "~/.local/share/goose", "~/.local/state/goose"),
)
