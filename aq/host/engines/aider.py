"""aider. It has no mode that asks: what it may do does not depend on `yolo`, but for shell commands."""

from __future__ import annotations

from aq.core.planning.eligible import AGENT_CLASS
from aq.host.engines.base import Brief, Engine, Launch
from aq.host.engines.launching import option
from aq.host.engines.looking import PROVIDER_KEYS, Login, prober
from aq.host.engines.parsers.aider_text import AiderParser

_PLAIN = ("--yes-always", "--no-auto-commits", "--no-gitignore", "--no-pretty", "--no-stream")
_QUIET = ("--no-check-update", "--no-analytics", "--no-show-model-warnings", "--no-show-release-notes")


def _launch(brief: Brief) -> Launch:
    folder = brief.folder
    return Launch(
        (
            *(brief.path or "aider", *_PLAIN, *_QUIET),
            *(() if brief.yolo else ("--no-suggest-shell-commands",)),
            *("--edit-format", "diff"),
            *option("--model", brief.model),
            # Its histories would otherwise lie in the workspace, as if they were work.
            *("--chat-history-file", str(folder / "aider.chat.md")),
            *("--input-history-file", str(folder / "aider.input")),
            *("--message-file", str(brief.prompt)),
        ),
        env={"AIDER_ANALYTICS": "false", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )


ENGINE = Engine(
    "aider",
    AGENT_CLASS,
    prober(
        "aider",
        Login(PROVIDER_KEYS, maybe=("~/.aider.conf.yml", "~/.env", "OPENAI_API_BASE", "OLLAMA_API_BASE")),
    ),
    _launch,
    AiderParser,
    env=PROVIDER_KEYS,
    state=("~/.aider", "~/.cache/litellm"),
)
