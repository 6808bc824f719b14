"""What a run changed, and which of it lies outside the job's `allowed-scope`. Pure text matching."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from aq.core.globs import matches
from aq.core.record import Changes
from aq.core.squash import one_line
from aq.core.value import Value

# What steers an agent, a check or a checkout: a run that changes these changes its own guards.
_GUARDS = frozenset(
    {
        ".aider.conf.yml",
        ".amp",
        ".appveyor.yml",
        ".buildkite",
        ".circleci",
        ".claude",
        ".clinerules",
        ".codex",
        ".continue",
        ".crush.json",
        ".cursor",
        ".cursorrules",
        ".devcontainer",
        ".devin",
        ".drone.yml",
        ".envrc",
        ".forgejo",
        ".gemini",
        ".goosehints",
        ".husky",
        ".kiro",
        ".mcp.json",
        ".opencode",
        ".pre-commit-config.yaml",
        ".qwen",
        ".roo",
        ".travis.yml",
        ".vscode",
        ".windsurfrules",
        ".woodpecker",
        ".woodpecker.yml",
        "agents.md",
        "agents.override.md",
        "appveyor.yml",
        "azure-pipelines.yml",
        "bitbucket-pipelines.yml",
        "claude.local.md",
        "claude.md",
        "crush.json",
        "crush.md",
        "gemini.md",
        "jenkinsfile",
        "opencode.json",
        "opencode.jsonc",
        "qwen.md",
    }
)
_LITTER = (
    ".aider.chat.history.md",
    ".aider.input.history",
    ".aider.llm.history",
    ".aider.tags.cache.v*/**",
    ".crush/**",
)
# Tools keep these out of git by rules of their own.
_OUTPUT = (
    "__pycache__/",
    "*.pyc",
    "*.egg-info/",
    "node_modules/",
    ".coverage",
    ".hypothesis/",
    ".mypy_cache/",
    ".nox/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".tox/",
    ".venv/",
)


MAX_PATHS = 100
_MAX_ODD = 20


class Kind(StrEnum):
    """What happened to a path. `ignored`: there, but hidden from git by rules that the base does not
    have; `output`: hidden by the base's own rules; `refused`: it cannot be recorded."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"
    RENAMED = "renamed"
    MODE = "mode"
    IGNORED = "ignored"
    OUTPUT = "output"
    REFUSED = "refused"


class Change(Value):
    """One path that is not as it was. A folder ends in a slash and stands for all that is in it.
    `source` is where a renamed file was, `mode` what git has for it now (`120000` is a link), `why`
    the reason of a refusal. Lines are None for what has none."""

    path: str
    kind: Kind
    source: str = ""
    mode: str = ""
    added: int | None = None
    removed: int | None = None
    why: str = ""


class Totals(Value):
    """The size of a change: files that the commit changes, and their lines."""

    files: int = 0
    added: int = 0
    removed: int = 0


def totals(changes: Iterable[Change]) -> Totals:
    """The sum of what a commit holds."""
    held = _held(changes)
    return Totals(
        len(held), sum(change.added or 0 for change in held), sum(change.removed or 0 for change in held)
    )


def _held(changes: Iterable[Change]) -> list[Change]:
    return [change for change in changes if change.kind not in (Kind.IGNORED, Kind.OUTPUT, Kind.REFUSED)]


def recorded(changes: Iterable[Change], known: tuple[str, ...] = ()) -> Changes:
    """What a record says of a commit. A path that cannot be shown as it is is only counted: whoever judges
    by paths must not be misled by half of one."""
    held = _held(changes)
    size = totals(held)
    paths = [path for change in held for path in (change.source, change.path) if path]
    shown = tuple(path for path in paths[:MAX_PATHS] if path.isprintable() and one_line(path, known) == path)
    odd = [one_line(f"{change.path}: {what}", known) for change in held if (what := _odd(change))]
    rest = (f"and {len(odd) - _MAX_ODD} more",) if len(odd) > _MAX_ODD else ()
    return Changes(
        size.files, size.added, size.removed, shown, len(paths) - len(shown), (*odd[:_MAX_ODD], *rest)
    )


def _odd(change: Change) -> str:
    if change.mode == "120000":
        return "a link"
    if change.mode == "160000":
        return "a commit of another repository"
    if change.mode == "100755" and change.kind in (Kind.ADDED, Kind.MODE):
        return "executable"
    return "not text" if change.added is None else ""


def outside(changes: Iterable[Change], allowed: Sequence[str]) -> tuple[str, ...]:
    """The changed paths that the job may not change: those that no pattern of `allowed-scope` matches,
    and guards of the repository unless a pattern names them. Build output is nobody's work."""
    found: dict[str, None] = {}
    for change in changes:
        if change.kind is not Kind.OUTPUT:
            paths = (change.source, change.path) if change.source else (change.path,)
            found.update((path, None) for path in paths if not within(path, allowed))
    return tuple(found)


def within(path: str, allowed: Sequence[str]) -> bool:
    """Whether a path may be changed. Patterns are read as in a .gitignore: the last one that matches
    decides, `!` takes back, and before the first one that gives, everything but a guard is given."""
    guard = guard_of(path)
    verdict = not guard and all(pattern.startswith("!") for pattern in allowed[:1])
    for pattern in allowed:
        taken_back = pattern.startswith("!")
        text = pattern.removeprefix("!")
        if matches(text, path) and (taken_back or not guard or _names(text, guard)):
            verdict = not taken_back
    return verdict


def guard_of(path: str) -> str:
    """The part of a path that makes it a guard of the repository, casefolded, or nothing."""
    for part in path.casefold().split("/"):
        if part in _GUARDS or (part.startswith(".git") and part != ".gitkeep"):
            return part
    return ""


def _names(pattern: str, guard: str) -> bool:
    return guard in pattern.casefold().split("/")


def is_litter(path: str) -> bool:
    """Whether an engine leaves such a file behind for itself."""
    return any(matches(pattern, path) for pattern in _LITTER)


def is_output(path: str) -> bool:
    """Whether tools make such a path again and again, in any repository."""
    return any(matches(pattern, path) for pattern in _OUTPUT)
