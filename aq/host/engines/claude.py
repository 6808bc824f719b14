"""Claude Code."""

from __future__ import annotations

import json

from aq.core.planning.eligible import AGENT_CLASS
from aq.host.engines.base import Auth, Brief, Engine, Launch
from aq.host.engines.launching import limit, option, session_of
from aq.host.engines.looking import Login, prober
from aq.host.engines.parsers.claude_jsonl import ClaudeParser

_QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    # Its own ten retries take three minutes, even when the key is wrong.
    "CLAUDE_CODE_MAX_RETRIES": "2",
}


def _judge(code: int, said: str) -> Auth:
    try:
        logged_in = json.loads(said[said.index("{") : said.rindex("}") + 1]).get("loggedIn")
    except (ValueError, RecursionError, AttributeError):
        # A version without this command says nothing about it.
        return Auth.YES if code == 0 else Auth.UNKNOWN
    return Auth.YES if logged_in is True else Auth.NO


def _launch(brief: Brief) -> Launch:
    mode = ("--dangerously-skip-permissions",) if brief.yolo else ("--permission-mode", "acceptEdits")
    return Launch(
        (
            brief.path or "claude",
            "-p",
            *("--output-format", "stream-json", "--verbose"),
            *mode,
            *option("--model", brief.model),
            *option("--max-turns", brief.turns),
            *option("--max-budget-usd", limit(brief.usd)),
            *option("--resume", session_of(brief)),
            # A job's repository may hold settings with hooks: its shared ones count, personal ones do not.
            *("--setting-sources", "user,project", "--strict-mcp-config"),
        ),
        stdin=brief.prompt,
        # As root it refuses to skip permissions, unless it is in a sandbox.
        env={**_QUIET, "IS_SANDBOX": "1"} if brief.yolo and brief.sandboxed else _QUIET,
    )


_KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
_CLOUDS = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX")
ENGINE = Engine(
    "claude",
    AGENT_CLASS,
    prober("claude", Login(_KEYS, command=("auth", "status"), judge=_judge, maybe=_CLOUDS)),
    _launch,
    ClaudeParser,
    # The owner may say so of the whole machine, such as of a container.
    env=(*_KEYS, *_CLOUDS, "CLAUDE_CONFIG_DIR", "IS_SANDBOX"),
    state=("~/.claude", "~/.claude.json", "$CLAUDE_CONFIG_DIR"),
    resumes=True,
)
