"""OpenAI's Codex CLI."""

from __future__ import annotations

from aq.core.planning.eligible import AGENT_CLASS
from aq.host.engines.base import Brief, Engine, Launch
from aq.host.engines.launching import option, session_of
from aq.host.engines.looking import Login, prober
from aq.host.engines.parsers.codex_jsonl import CodexParser

_QUIET = (
    *("-c", "analytics.enabled=false"),
    *("-c", "check_for_update_on_startup=false"),
    *("-c", 'otel.exporter="none"'),
    *("--disable", "plugins"),
)
# Its sandbox leaves the temporary folders of the whole machine writable unless told otherwise.
_CONFINED = (
    *("--sandbox", "workspace-write"),
    *("-c", "sandbox_workspace_write.exclude_slash_tmp=true"),
    *("-c", "sandbox_workspace_write.exclude_tmpdir_env_var=true"),
)


def _launch(brief: Brief) -> Launch:
    # Inside our sandbox its own cannot be set up.
    free = brief.yolo or brief.sandboxed
    session = session_of(brief)
    return Launch(
        (
            *(brief.path or "codex", "exec", "--json", "--skip-git-repo-check"),
            *(("--dangerously-bypass-approvals-and-sandbox",) if free else _CONFINED),
            *option("-m", brief.model),
            *_QUIET,
            *(("resume", session) if session else ()),
            "-",
        ),
        stdin=brief.prompt,
    )


_KEYS = ("CODEX_API_KEY", "OPENAI_API_KEY")
ENGINE = Engine(
    "codex",
    AGENT_CLASS,
    prober(
        "codex",
        Login(
            _KEYS,
            command=("login", "status"),
            # A provider of the user's own has its key elsewhere.
            maybe=("$CODEX_HOME/config.toml", "~/.codex/config.toml"),
        ),
    ),
    _launch,
    CodexParser,
    env=(*_KEYS, "CODEX_HOME"),
    state=("~/.codex", "$CODEX_HOME"),
    resumes=True,
)
