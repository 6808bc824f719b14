"""Readers of the engines' output: one small file for each of its forms, and this table of names for
engines that are declared in YAML."""

from collections.abc import Callable, Mapping
from functools import partial

from aq.host.engines.base import Parser
from aq.host.engines.parsers.aider_text import AiderParser
from aq.host.engines.parsers.claude_jsonl import ClaudeParser
from aq.host.engines.parsers.codex_jsonl import CodexParser
from aq.host.engines.parsers.copilot_jsonl import CopilotParser
from aq.host.engines.parsers.gemini_jsonl import GeminiParser
from aq.host.engines.parsers.goose_json import GooseParser
from aq.host.engines.parsers.mini_trajectory import MiniParser
from aq.host.engines.parsers.opencode_jsonl import OpencodeParser
from aq.host.engines.parsers.plain import PlainParser, TextParser

QwenParser = partial(ClaudeParser, api_errors=True, session_totals=True)
PARSERS: Mapping[str, Callable[[], Parser]] = {
    "claude_jsonl": ClaudeParser,
    "codex_jsonl": CodexParser,
    "gemini_jsonl": GeminiParser,
    "copilot_jsonl": CopilotParser,
    "opencode_jsonl": OpencodeParser,
    "qwen_jsonl": QwenParser,
    "goose_json": GooseParser,
    "aider_text": AiderParser,
    "mini_trajectory": MiniParser,
    "text": TextParser,
}

__all__ = ["PARSERS", "PlainParser", "QwenParser"]
