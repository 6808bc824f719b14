"""Google's Gemini CLI."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from aq.core.planning.eligible import AGENT_CLASS
from aq.host.engines.base import Brief, Engine, Launch
from aq.host.engines.launching import option, session_of
from aq.host.engines.looking import Login, prober
from aq.host.engines.parsers.gemini_jsonl import GeminiParser

_OAUTH = ("$GEMINI_CLI_HOME/.gemini/oauth_creds.json", "~/.gemini/oauth_creds.json")


def _settings(brief: Brief) -> str:
    settings: dict[str, Any] = {
        "privacy": {"usageStatisticsEnabled": False},
        # Its own ten tries take four minutes.
        "general": {"enableAutoUpdate": False, "disableAutoUpdate": True, "maxAttempts": 3},
    }
    logged_in = (Path(os.environ.get("GEMINI_CLI_HOME") or Path.home()) / ".gemini/oauth_creds.json").exists()
    if os.environ.get("GEMINI_API_KEY") and not logged_in:
        # With another base URL it guesses a kind of login that it then refuses.
        settings["security"] = {"auth": {"selectedType": "gemini-api-key"}}
    if brief.turns:
        settings["model"] = {"maxSessionTurns": brief.turns}
    return json.dumps(settings)


def _launch(brief: Brief) -> Launch:
    settings = brief.folder / "gemini-settings.json"
    return Launch(
        (
            *(brief.path or "gemini", "-o", "stream-json"),
            *("--approval-mode", "yolo" if brief.yolo else "auto_edit"),
            "--skip-trust",
            *option("-m", brief.model),
            *option("--resume", session_of(brief)),
        ),
        stdin=brief.prompt,
        env={"GEMINI_CLI_SYSTEM_SETTINGS_PATH": str(settings), "GEMINI_TELEMETRY_ENABLED": "false"},
        files={settings: _settings(brief)},
    )


_KEYS = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
ENGINE = Engine(
    "gemini",
    AGENT_CLASS,
    prober("gemini", Login(_KEYS, files=_OAUTH, maybe=("GOOGLE_APPLICATION_CREDENTIALS",))),
    _launch,
    GeminiParser,
    env=(
        *_KEYS,
        *("GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"),
        *("GOOGLE_APPLICATION_CREDENTIALS", "GEMINI_CLI_HOME"),
    ),
    state=("~/.gemini", "$GEMINI_CLI_HOME"),
    resumes=True,
)
