"""mini-swe-agent. All it has is a shell: what it may do does not depend on `yolo`."""

from __future__ import annotations

import json
import re

from aq.core.planning.eligible import AGENT_CLASS
from aq.host.engines.base import Brief, Engine, Launch
from aq.host.engines.launching import limit, option, prompt_argument
from aq.host.engines.looking import PROVIDER_KEYS, Login, prober
from aq.host.engines.parsers.mini_trajectory import MiniParser

_QUIET = {
    "MSWEA_CONFIGURED": "true",
    "MSWEA_SILENT_STARTUP": "1",
    "MSWEA_COST_TRACKING": "ignore_errors",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}


# What YAML reads otherwise than JSON does, or not at all.
_ODD = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def _config(brief: Brief) -> str:
    """The prompt as its configuration: as an argument it could be too long, and everyone could see it."""
    agent = {"step_limit": brief.turns} if brief.turns else {}
    said = {"run": {"task": brief.prompt.read_text("utf-8")}, "agent": agent}
    return _ODD.sub(lambda odd: f"\\u{ord(odd[0]):04x}", json.dumps(said, ensure_ascii=False))


def _launch(brief: Brief) -> Launch:
    trajectory, config = brief.folder / "mini-trajectory.json", brief.folder / "mini-prompt.yaml"
    # It would take a file of the name of its own configuration from the workspace.
    own = not (brief.workspace / "mini.yaml").exists()
    prompt = ("-c", "mini.yaml", "-c", str(config)) if own else ("-t", prompt_argument(brief))
    return Launch(
        (
            *(brief.path or "mini", "-y", "--exit-immediately"),
            *option("-m", brief.model),
            *prompt,
            *("-l", limit(brief.usd) or "0"),
            *("-o", str(trajectory)),
        ),
        env=_QUIET,
        files={config: _config(brief)} if own else {},
        artifact=trajectory,
    )


ENGINE = Engine(
    "mini",
    AGENT_CLASS,
    prober(
        "mini",
        Login(
            PROVIDER_KEYS,
            maybe=(
                *("$MSWEA_GLOBAL_CONFIG_DIR/.env", "~/.config/mini-swe-agent/.env"),
                *("OPENAI_API_BASE", "OLLAMA_API_BASE"),
            ),
        ),
        # It has no option for its version, and other programs have its name.
        version=("--help",),
        known_by="swe-agent",
    ),
    _launch,
    MiniParser,
    env=(*PROVIDER_KEYS, "MSWEA_GLOBAL_CONFIG_DIR"),
    state=("~/.config/mini-swe-agent", "$MSWEA_GLOBAL_CONFIG_DIR"),
)
