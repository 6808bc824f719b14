"""What a child may see of this machine's environment: an allow-list, and what is asked for by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aq.core.variables import always

# Names that change what an engine, git, node or python does because aq itself was started by one of
# them: never passed on, whoever asks.
DROPPED = frozenset(
    {
        "CLAUDECODE",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_SSE_PORT",
        "GEMINI_CLI",
        "QWEN_CODE",
        "CODEX_THREAD_ID",
        "OPENCODE",
        "COPILOT_ALLOW_ALL",
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "NODE_OPTIONS",
        "PYTHONPATH",
        "VIRTUAL_ENV",
    }
)
_DROPPED_PREFIX = "CODEX_SANDBOX"
# A child is nobody's terminal.
_FIXED = {"TERM": "dumb", "NO_COLOR": "1", "CI": "true", "GIT_TERMINAL_PROMPT": "0"}


def child_environment(
    host: Mapping[str, str], asked: Iterable[str], own: Mapping[str, str]
) -> dict[str, str]:
    """The environment of a child: what every child sees of the `host`'s, what is `asked` for by name,
    and the run's `own` variables, which win."""
    names = [*filter(always, host), *asked]
    seen = {name: host[name] for name in names if name in host and not is_dropped(name)}
    return {**seen, **_FIXED, **own}


def is_dropped(name: str) -> bool:
    """Whether a name is never passed on."""
    return name in DROPPED or name.startswith(_DROPPED_PREFIX)
