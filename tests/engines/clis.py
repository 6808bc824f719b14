"""The real agent CLIs: where `scripts/engines-ci.sh` put them, and how each is pointed at the stub the way
its user would: by environment variables that the job names, or by its own settings file at home."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Read while the environment is still the user's: every test gets another.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
INSTALLS = Path(os.environ.get("AQ_ENGINES") or _CACHE / "aq" / "engines")
FULL = os.environ.get("AQ_ENGINES_FULL") == "1"

# Made of parts, so that nothing takes it for a real one.
KEY = "-".join(("sk", "stub", "not", "a", "real", "key"))
# What would send an engine elsewhere than to the stub, or with another account.
FOREIGN = (
    "ANTHROPIC",
    "CLAUDE",
    "OPENAI",
    "CODEX",
    "GEMINI",
    "GOOGLE",
    "COPILOT",
    "OPENCODE",
    "GH_",
    "GITHUB_",
)


@dataclass(frozen=True, slots=True)
class Cli:
    """One CLI. `env` and `files` (below the home folder) point it at the stub's URL; `names` are the
    variables that a job must name. `usd` when it reports money; `unattended` names what it needs to run
    commands as well."""

    name: str
    env: Callable[[str], dict[str, str]]
    files: Callable[[str], dict[str, str]] = lambda url: {}
    model: str = "stub-model"
    usd: bool = False

    @property
    def bin(self) -> Path | None:
        """The folder with its command, if it is installed."""
        folders = (INSTALLS / self.name / "node_modules" / ".bin", INSTALLS / self.name / "bin")
        return next((folder for folder in folders if (folder / self.name).exists()), None)

    @property
    def missing(self) -> str:
        """Why it cannot be driven here, or nothing."""
        if self.bin:
            return ""
        return f"{self.name} is not in {INSTALLS} ({platform.machine()}): scripts/engines-ci.sh {self.name}"


def _claude(url: str) -> dict[str, str]:
    # Without the last, it refuses to run commands unasked for the superuser.
    return {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": KEY, "IS_SANDBOX": "1"}


def _codex(url: str) -> dict[str, str]:
    provider = f'{{name = "stub", base_url = "{url}/v1", env_key = "STUB_KEY", wire_api = "responses"}}'
    return {".codex/config.toml": f'model_provider = "stub"\n[model_providers]\nstub = {provider}\n'}


def _gemini(url: str) -> dict[str, str]:
    # With another base URL it guesses a kind of login that it then refuses; its ten tries take minutes.
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "general": {"maxAttempts": 3, "enableAutoUpdate": False},
        "privacy": {"usageStatisticsEnabled": False},
    }
    return {".gemini/settings.json": json.dumps(settings)}


def _opencode(url: str) -> dict[str, str]:
    model = {
        "name": "stub",
        "limit": {"context": 128_000, "output": 8_000},
        "cost": {"input": 3, "output": 15, "cache_read": 0.3},
    }
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "stub",
        "options": {"baseURL": f"{url}/v1", "apiKey": KEY},
        "models": {"stub-model": model},
    }
    settings = {"autoupdate": False, "share": "disabled", "provider": {"stub": provider}}
    return {".config/opencode/opencode.json": json.dumps(settings)}


def _copilot(url: str) -> dict[str, str]:
    return {
        "COPILOT_PROVIDER_BASE_URL": f"{url}/v1",
        "COPILOT_PROVIDER_API_KEY": KEY,
        "COPILOT_MODEL": "stub-model",
        "COPILOT_OFFLINE": "true",
    }


def _openai(base: str) -> Callable[[str], dict[str, str]]:
    return lambda url: {base: f"{url}/v1", "OPENAI_API_KEY": KEY}


CLIS = {
    cli.name: cli
    for cli in (
        Cli("claude", _claude, model="claude-sonnet-4-5", usd=True),
        Cli("codex", lambda url: {"STUB_KEY": KEY}, _codex),
        Cli("opencode", lambda url: {}, _opencode, model="stub/stub-model", usd=True),
        Cli(
            "gemini",
            lambda url: {"GOOGLE_GEMINI_BASE_URL": url, "GEMINI_API_KEY": KEY},
            _gemini,
            model="gemini-2.5-pro",
        ),
        Cli("copilot", _copilot),
        Cli("qwen", _openai("OPENAI_BASE_URL")),
        Cli("aider", _openai("OPENAI_API_BASE"), model="openai/stub-model"),
        Cli(
            "mini",
            lambda url: {
                **_openai("OPENAI_API_BASE")(url),
                "MSWEA_CONFIGURED": "true",
                "MSWEA_COST_TRACKING": "ignore_errors",
            },
            model="openai/stub-model",
        ),
    )
}
# What every run of the suite drives, and what AQ_ENGINES_FULL=1 adds.
ALWAYS = ("claude", "codex", "opencode")
MATRIX = (*ALWAYS, "gemini", "copilot")
ON_DEMAND = ("qwen", "aider", "mini")
