"""The engines aq can drive: one small file each, and this table."""

from aq.host.engines import shell
from aq.host.engines.base import Engine

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (shell.ENGINE,)}

__all__ = ["ENGINES", "Engine"]
