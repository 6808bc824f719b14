"""How risky a change is, by what it touches and how large it is. Pure matching of recorded facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from aq.core.globs import matches
from aq.core.record import Changes, Record
from aq.core.scope import guard_of
from aq.core.settings import RiskRules
from aq.core.value import Value

# How many times over a limit is high.
_FAR = 5
_NAMED = 3
# Names of files, casefolded, that decide what code is brought in from elsewhere.
_DEPENDENCIES = frozenset(
    {
        ".npmrc",
        ".yarnrc.yml",
        "build.gradle",
        "build.gradle.kts",
        "build.sbt",
        "bun.lock",
        "bun.lockb",
        "cabal.project",
        "cargo.lock",
        "cargo.toml",
        "composer.json",
        "composer.lock",
        "deno.json",
        "deno.lock",
        "directory.packages.props",
        "environment.yml",
        "flake.lock",
        "flake.nix",
        "gemfile",
        "gemfile.lock",
        "go.mod",
        "go.sum",
        "go.work",
        "mix.exs",
        "mix.lock",
        "npm-shrinkwrap.json",
        "nuget.config",
        "package-lock.json",
        "package.json",
        "package.resolved",
        "package.swift",
        "packages.config",
        "packages.lock.json",
        "pdm.lock",
        "pipfile",
        "pipfile.lock",
        "pnpm-lock.yaml",
        "pnpm-workspace.yaml",
        "podfile",
        "podfile.lock",
        "poetry.lock",
        "pom.xml",
        "pubspec.lock",
        "pubspec.yaml",
        "pyproject.toml",
        "settings.gradle",
        "settings.gradle.kts",
        "setup.cfg",
        "setup.py",
        "stack.yaml",
        "uv.lock",
        "yarn.lock",
    }
)
_DEPENDENCY_PATTERNS = (
    "requirements*.txt",
    "requirements*.in",
    "requirements/**",
    "constraints*.txt",
    "gradle/wrapper/**",
    "vendor/**",
    "*.csproj",
    "*.fsproj",
    "*.gemspec",
    "*.cabal",
)
_BUILDING = frozenset(
    {
        "cmakelists.txt",
        "justfile",
        "makefile",
        "noxfile.py",
        "pytest.ini",
        "rakefile",
        "taskfile.yml",
        "tox.ini",
    }
)
_BUILDING_PATTERNS = (
    "dockerfile*",
    "*.dockerfile",
    "containerfile*",
    "docker-compose*",
    "compose.yaml",
    "compose.yml",
    "*.tf",
)
_DATA_PATTERNS = ("**/migrations/**", "**/migrate/**", "alembic/**", "*.sql")


class Level(StrEnum):
    """How risky. Only `low` may be shipped without a person."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


_RANK = {level: rank for rank, level in enumerate(Level)}


class Risk(Value):
    """The class of a change, and everything that raises it above low, the worst first."""

    level: Level
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.level} ({'; '.join(self.reasons)})" if self.reasons else str(self.level)


def risk_of(
    changes: Changes | None, outside: Sequence[str], warnings: Sequence[str], rules: RiskRules
) -> Risk:
    """The risk of a run's work. What nobody could see is high."""
    found = sorted(_findings(changes, outside, warnings, rules), key=lambda one: -_RANK[one[0]])
    return Risk(found[0][0] if found else Level.LOW, tuple(reason for _, reason in found))


def risk_now(record: Record, rules: RiskRules) -> Risk:
    """The risk of the work that a job would be shipped with, by the rules of now."""
    work = record.work
    if work is None:
        return risk_of(None, (), (), rules)
    return risk_of(work.changes if work.tip == record.tip else None, work.outside, work.warnings, rules)


def few(texts: Sequence[str]) -> str:
    """The first ones, and how many more there are."""
    rest = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return f"{', '.join(texts[:_NAMED])}{rest}"


def _findings(
    changes: Changes | None, outside: Sequence[str], warnings: Sequence[str], rules: RiskRules
) -> Iterator[tuple[Level, str]]:
    if outside:
        yield Level.HIGH, f"outside its scope: {few(outside)}"
    if changes is None:
        yield Level.HIGH, "nobody could tell what it changed"
    else:
        yield from _by_path(changes, rules)
        yield from _by_size(changes, rules)
    if warnings:
        yield Level.MEDIUM, f"worth a look: {few(warnings)}"


def _by_path(changes: Changes, rules: RiskRules) -> Iterator[tuple[Level, str]]:
    if changes.more:
        yield Level.HIGH, f"{changes.more} changed paths are not in the record"
    kinds: dict[tuple[Level, str], list[str]] = {}
    for path in changes.paths:
        kind = _kind_of(path, rules)
        if kind:
            kinds.setdefault(kind, []).append(path)
    yield from ((level, f"{what}: {few(paths)}") for (level, what), paths in kinds.items())
    if changes.odd:
        yield Level.MEDIUM, f"no plain text: {few(changes.odd)}"


def _kind_of(path: str, rules: RiskRules) -> tuple[Level, str] | None:
    """What kind of risky path this is. Letters count alike: not every disk tells them apart."""
    folded = path.casefold()
    name = folded.rpartition("/")[2]
    if any(matches(pattern.casefold(), folded) for pattern in rules.high):
        return Level.HIGH, "risky by the queue's settings"
    if any(matches(pattern, path) for pattern in rules.low):
        return None
    if guard_of(path):
        return Level.HIGH, "steers agents, checks or checkouts"
    if name in _DEPENDENCIES or any(matches(pattern, folded) for pattern in _DEPENDENCY_PATTERNS):
        return Level.MEDIUM, "dependencies"
    if name in _BUILDING or any(matches(pattern, folded) for pattern in _BUILDING_PATTERNS):
        return Level.MEDIUM, "how it is built and checked"
    if any(matches(pattern, folded) for pattern in _DATA_PATTERNS):
        return Level.MEDIUM, "changes stored data"
    return None


def _by_size(changes: Changes, rules: RiskRules) -> Iterator[tuple[Level, str]]:
    lines = changes.added + changes.removed
    for count, limit, what in ((changes.files, rules.max_files, "files"), (lines, rules.max_lines, "lines")):
        if count > limit:
            level = Level.HIGH if count > _FAR * limit else Level.MEDIUM
            yield level, f"{count} {what}, more than {limit}"
