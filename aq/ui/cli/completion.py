"""`aq completion`."""

from __future__ import annotations

import os

import typer

from aq.core.errors import UsageError
from aq.ui.out import say

_SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")


def completion(
    shell: str = typer.Argument("", help="bash, zsh, fish or powershell; default: yours."),
) -> None:
    """Print the script; `eval "$(aq completion bash)"` in ~/.bashrc."""
    from typer._completion_shared import get_completion_script

    name = shell or os.path.basename(os.environ.get("SHELL", ""))
    if name not in _SHELLS:
        raise UsageError(
            f"no completion for {name or 'an unknown shell'}", f"name one of {', '.join(_SHELLS)}"
        )
    say(get_completion_script(prog_name="aq", complete_var="_AQ_COMPLETE", shell=name))
