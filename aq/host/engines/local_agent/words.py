"""What the model is told about its work, besides the prompt."""

from __future__ import annotations

import json

from aq.host.engines.local_agent.tools import schemas

SYSTEM = (
    "You are a coding agent. You work alone in one folder, the workspace; nobody answers questions. "
    "Use the tools to read and change files; paths are relative to the workspace, with /. "
    "Read a file before you replace it: write_file takes the whole new content. "
    "When the work is done, answer with a short summary and call no tool."
)
HINT = "Call a tool with valid arguments, or answer with a short summary when the work is done."


def in_words() -> str:
    """The tools, for a model whose server knows nothing of them."""
    lines = [json.dumps(tool["function"], ensure_ascii=False) for tool in schemas()]
    return (
        "To use a tool, answer with nothing but one JSON object such as "
        '{"name": "read_file", "arguments": {"path": "README.md"}}. The tools:\n' + "\n".join(lines)
    )
