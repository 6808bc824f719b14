"""The local engine: a model server of the operator (Ollama, llama.cpp, vLLM), driven by a small agent of
ours in a child process."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from aq import __version__
from aq.host.engines.base import Auth, Brief, Engine, Launch, Probe
from aq.host.engines.local_agent.address import KEY, NAMES, base_url
from aq.host.engines.parsers.local import LocalParser

PROBE_SECONDS = 2.0
# Turns by how complex the job says it is, with a label; small models go round in circles beyond that.
TURNS = {"simple": 5, "complex": 20}
DEFAULT_TURNS = 10


def turns_of(brief: Brief) -> int:
    """How often the model may be asked."""
    wanted = next((TURNS[label] for label in brief.labels if label in TURNS), DEFAULT_TURNS)
    return min(wanted, brief.turns) if brief.turns else wanted


def _probe(env: Mapping[str, str]) -> Probe:
    url = base_url(env)
    if not url:
        return Probe()
    from aq.host.engines.local_agent.server import look  # httpx is slow to import and rarely needed

    return Probe(sys.executable, __version__, Auth(look(url, env.get(KEY, ""), PROBE_SECONDS)))


def _launch(brief: Brief) -> Launch:
    limits = {"--tokens": brief.tokens, "--wall": brief.wall, "--model": brief.model}
    # -P: a folder `aq` in the workspace must not be taken for ours.
    argv = [brief.path or sys.executable, "-P", "-m", "aq.host.engines.local_agent"]
    argv += ["--workspace", str(brief.workspace), "--turns", str(turns_of(brief))]
    argv += [f"{name}={value}" for name, value in limits.items() if value]
    argv += [f"--command={line}" for line in brief.commands]
    argv += [name for name, given in (("--yolo", brief.yolo), ("--judged", brief.judged)) if given]
    return Launch(tuple(argv), stdin=brief.prompt)


ENGINE = Engine("local", "agentic-coder", _probe, _launch, LocalParser, env=NAMES, free=True)
