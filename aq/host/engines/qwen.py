"""Qwen Code."""

from __future__ import annotations

import json
import os
import re

from aq.core.planning.eligible import AGENT_CLASS
from aq.host.engines.base import Brief, Engine, Launch
from aq.host.engines.launching import option, session_of
from aq.host.engines.looking import Login, prober
from aq.host.engines.parsers import QwenParser

_SETTINGS = {
    "privacy": {"usageStatisticsEnabled": False},
    "general": {"enableAutoUpdate": False, "disableAutoUpdate": True},
}
_LOOPBACK = re.compile(r"^https?://(?:127\.|localhost\b|\[::1\])")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


def _launch(brief: Brief) -> Launch:
    settings = brief.folder / "qwen-settings.json"
    env = {"QWEN_CODE_SYSTEM_SETTINGS_PATH": str(settings)}
    if _LOOPBACK.match(os.environ.get("OPENAI_BASE_URL", "")):
        # It sends even this to a proxy, whatever NO_PROXY says.
        env |= dict.fromkeys(_PROXIES, "")
    return Launch(
        (
            *(brief.path or "qwen", "-o", "stream-json"),
            *("--approval-mode", "yolo" if brief.yolo else "auto-edit"),
            *(("--auth-type", "openai") if os.environ.get("OPENAI_API_KEY") else ()),
            *option("-m", brief.model),
            *option("--max-session-turns", brief.turns),
            *option("--resume", session_of(brief)),
        ),
        stdin=brief.prompt,
        env=env,
        files={settings: json.dumps(_SETTINGS)},
    )


_KEYS = ("OPENAI_API_KEY", "DASHSCOPE_API_KEY", "BAILIAN_CODING_PLAN_API_KEY")
ENGINE = Engine(
    "qwen",
    AGENT_CLASS,
    prober(
        "qwen",
        Login(_KEYS, files=("$QWEN_HOME/oauth_creds.json", "~/.qwen/oauth_creds.json")),
    ),
    _launch,
    QwenParser,
    env=(*_KEYS, "QWEN_HOME"),
    state=("~/.qwen", "$QWEN_HOME"),
    resumes=True,
)
