"""What the launch plans of several engines share. What an engine or a job said never becomes an option."""

from __future__ import annotations

import re

from aq.host.engines.base import Brief

# One argument may have 128 KiB on Linux; a longer prompt is named instead of handed over.
MAX_ARGUMENT = 100_000
_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def option(name: str, value: object) -> tuple[str, ...]:
    """An option with its value, or nothing when there is none."""
    return () if value is None or value == "" else (name, str(value))


def session_of(brief: Brief) -> str:
    """The session to go on with. It was an engine's word once: only what cannot be an option."""
    return brief.session if _SESSION.fullmatch(brief.session) else ""


def limit(amount: float | None) -> str:
    """An amount of money as an option's value, or nothing."""
    return "" if amount is None else f"{amount:.4f}".rstrip("0").rstrip(".")


def prompt_argument(brief: Brief) -> str:
    """The prompt for engines that read it neither from standard input nor from a file."""
    said = brief.prompt.read_text("utf-8").replace("\x00", "")
    if len(said.encode()) > MAX_ARGUMENT:
        said = f"Do what the file {brief.prompt} says. Read all of it first."
    return f" {said}" if said.startswith("-") else said
