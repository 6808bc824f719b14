"""Crush, from its documentation. A run that nobody watches approves everything itself, so what it may do
does not depend on `yolo`."""

from __future__ import annotations

from aq.core.planning.eligible import AGENT_CLASS
from aq.host.engines.base import Brief, Engine, Launch
from aq.host.engines.launching import option
from aq.host.engines.looking import PROVIDER_KEYS, Login, prober
from aq.host.engines.parsers.plain import TextParser

_QUIET = {
    "CRUSH_DISABLE_METRICS": "1",
    "CRUSH_DISABLE_PROVIDER_AUTO_UPDATE": "1",
    "DO_NOT_TRACK": "1",
}


def _launch(brief: Brief) -> Launch:
    return Launch(
        (
            *(brief.path or "crush", "run", "--quiet"),
            # Its database would otherwise lie in the workspace, as if it were work.
            *("--data-dir", str(brief.folder / "crush")),
            *option("--model", brief.model),
        ),
        stdin=brief.prompt,
        env=_QUIET,
    )


ENGINE = Engine(
    "crush",
    AGENT_CLASS,
    prober(
        "crush",
        Login(PROVIDER_KEYS, maybe=("~/.config/crush/crush.json", "~/.local/share/crush/crush.json")),
        known_by="crush version",
    ),
    _launch,
    TextParser,
    env=PROVIDER_KEYS,
    state=("~/.config/crush", "~/.local/share/crush"),
)
