"""GitHub Copilot CLI."""

from __future__ import annotations

from aq.core.planning.eligible import AGENT_CLASS
from aq.host.engines.base import Auth, Brief, Engine, Launch
from aq.host.engines.launching import option, session_of
from aq.host.engines.looking import Login, prober
from aq.host.engines.parsers.copilot_jsonl import CopilotParser


def _launch(brief: Brief) -> Launch:
    usage = brief.folder / "copilot-usage.json"
    return Launch(
        (
            *(brief.path or "copilot", "--output-format", "json"),
            *(("--yolo",) if brief.yolo else ("--allow-tool", "write")),
            *("--no-ask-user", "--no-auto-update", "--no-color", "--disable-builtin-mcps"),
            *option("--model", brief.model),
            *option("--resume", session_of(brief)),
            *("--usage-output-file", str(usage)),
        ),
        stdin=brief.prompt,
        artifact=usage,
    )


_KEYS = ("COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN", "COPILOT_PROVIDER_API_KEY")
ENGINE = Engine(
    "copilot",
    AGENT_CLASS,
    # Its login may be in the keychain or come from `gh`.
    prober("copilot", Login((*_KEYS, "COPILOT_PROVIDER_BASE_URL"), otherwise=Auth.UNKNOWN)),
    _launch,
    CopilotParser,
    env=(*_KEYS, "COPILOT_HOME"),
    state=("~/.copilot", "~/.cache/copilot", "$COPILOT_HOME"),
    resumes=True,
)
