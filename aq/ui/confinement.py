"""What `aq doctor` says of the sandbox: what it tried to get out of it, and what held."""

from __future__ import annotations

from collections.abc import Iterator

from aq.host.config import HostConfig
from aq.host.escape import try_to_escape
from aq.host.sandbox import sandbox, switched_off
from aq.ui.finding import Finding


def sandbox_findings(config: HostConfig) -> Iterator[Finding]:
    """Whether jobs are confined on this machine, tried for real."""
    box = sandbox()
    if not box:
        yield _without(config, box.why)
        return
    trials = try_to_escape(box)
    held = [trial.what for trial in trials if trial.held]
    if held:
        said = ", and host.yaml switches it off" if config.sandbox == "off" else ""
        yield Finding("ok", f"sandbox {box.name} held{said}: {', '.join(held)}")
    for trial in trials:
        if not trial.held:
            yield Finding(
                "BAD",
                f"sandbox {box.name} did not hold: {trial.what}",
                "run no job here that you would not run by hand; tell us the system and its version",
            )
    if not trials:
        yield Finding("BAD", f"sandbox {box.name} could not be tried", "see whether this user may start it")


def _without(config: HostConfig, why: str) -> Finding:
    if config.sandbox == "required":
        return Finding(
            "BAD", f"no sandbox: {why}; host.yaml requires one, so no job is claimed", "make it work"
        )
    if config.sandbox == "off" or switched_off():
        return Finding("ok", "sandbox: off")
    return Finding(
        "note",
        f"no sandbox: {why}; jobs run with all that this user may do",
        "on Linux install bubblewrap and let users make namespaces, or write `sandbox: off` into host.yaml",
    )
