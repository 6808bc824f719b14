"""The engines aq can drive: one small file each, this table in order of preference, and those that the
owner of this machine declares in YAML."""

from aq.core.errors import InvalidFileError
from aq.host.config import HostConfig
from aq.host.engines import (
    aider,
    amp,
    claude,
    codex,
    copilot,
    crush,
    cursor_agent,
    devin,
    gemini,
    goose,
    local,
    mini,
    opencode,
    qwen,
    shell,
)
from aq.host.engines.base import Engine
from aq.host.engines.declared import declared_engines
from aq.host.place import config_path

_ALL = (
    *(claude, codex, gemini, copilot, opencode, cursor_agent, amp, devin, qwen),
    *(goose, crush, aider, mini, local, shell),
)
ENGINES: dict[str, Engine] = {module.ENGINE.name: module.ENGINE for module in _ALL}


def engines(config: HostConfig) -> dict[str, Engine]:
    """The engines that this host may use, the built-in ones first. A broken file declares none."""
    found = {**ENGINES, **declared_engines(config_path().parent / "engines", ENGINES)[0]}
    return {name: engine for name, engine in found.items() if config.may_use(name)}


def engine_problems() -> tuple[InvalidFileError, ...]:
    """What is wrong with the files of declared engines."""
    return declared_engines(config_path().parent / "engines", ENGINES)[1]


__all__ = ["ENGINES", "Engine", "engine_problems", "engines"]
