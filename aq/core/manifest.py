"""What a job file asks for, as values. How people write it is in `jobfile`; nothing here parses."""

from __future__ import annotations

from enum import StrEnum

from aq.core.instants import Instant
from aq.core.value import Value, names, replace


class Priority(StrEnum):
    """How urgent a job is."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


PRIORITY_RANK = {priority: rank for rank, priority in enumerate(Priority)}


class CheckKind(StrEnum):
    """What a verify step looks at."""

    COMMAND = "command"
    FILE_EXISTS = "file_exists"
    TEST_PASSES = "test_passes"
    GIT_CLEAN = "git_clean"


class Check(Value):
    """One verify step: a command line, a path, or `true` for git_clean."""

    kind: CheckKind
    value: str


class Deps(Value):
    """Jobs that must have got as far as `shipped`, or only as far as `testing`."""

    shipped: tuple[str, ...] = ()
    testing: tuple[str, ...] = ()


class Budget(Value):
    """Ceilings for one job; None is no ceiling. `wall` is in seconds."""

    usd: float | None = None
    tokens: int | None = None
    wall: float | None = None


FAILURE_CLASSES = (
    "timeout",
    "verify_failed",
    "crash",
    "agent",
    "budget",
    "denied",
    "context",
    "overloaded",
    "network",
    "unknown",
)
RETRIED_BY_DEFAULT = ("timeout", "verify_failed", "crash", "agent", "overloaded", "network", "unknown")


class Retry(Value):
    """How often a failed job runs again. `backoff` is in seconds and doubles with each attempt."""

    max: int = 1
    backoff: float = 30
    on: tuple[str, ...] = RETRIED_BY_DEFAULT
    infra: int = 5


class ReviewPolicy(Value):
    """Who accepts the work: `manual` waits for a person, `auto` ships when every gate is green."""

    mode: str = "manual"
    reviewers: tuple[str, ...] = ()
    approvals: int = 0

    @property
    def by_hosts(self) -> bool:
        """Whether the hosts ship the work, without a person."""
        return self.mode == "auto"


class Manifest(Value):
    """Every key of a job file with its built-in default. `given` names the keys that were set."""

    engine: str = ""
    engine_class: str = ""
    profile: str = ""
    repo: str = ""
    cwd: str = ""
    base: str = ""
    workspace: str = "isolated"
    capabilities: tuple[str, ...] = ()
    prefers: tuple[str, ...] = ()
    priority: Priority = Priority.MEDIUM
    deps: Deps = Deps()
    not_before: Instant | None = None
    lock: str = ""
    timeout: float = 2 * 3600
    budget: Budget = Budget()
    retry: Retry = Retry()
    verify: tuple[Check, ...] = ()
    fix_max: int = 1
    setup: str = ""
    baseline: bool = True
    resume: bool = False
    sandbox: str = ""
    on_partition: str = "continue"
    product: str = ""
    every: float | None = None
    allowed_scope: tuple[str, ...] = ()
    review_policy: ReviewPolicy = ReviewPolicy()
    deliver: str = "branch"
    artifacts: tuple[str, ...] = ()
    idempotency_key: str = ""
    tracker_item: str = ""
    model: str = ""
    yolo: bool = False
    env: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    title: str = ""
    prefers_engine: tuple[str, ...] = ()
    given: tuple[str, ...] = ()

    def over(self, defaults: Manifest) -> Manifest:
        """This manifest, with what it does not give taken from `defaults`."""
        wanted = [name for name in defaults.given if not self.settles(name)]
        if not wanted:
            return self
        return replace(self, **{name: getattr(defaults, name) for name in wanted})

    def settles(self, name: str) -> bool:
        """Whether what this manifest gives decides a key: itself, or one that stands for it. Who asks for
        a class of engines does not get the default engine."""
        return any(key in self.given for key in _DECIDED_BY.get(name, (name,)))


_DECIDED_BY = {
    "engine": ("engine", "engine_class"),
    "engine_class": ("engine", "engine_class"),
    "repo": ("repo", "cwd"),
    "cwd": ("repo", "cwd"),
}
# `prefers_engine` is a profile's to say, `given` nobody's.
KEYS = tuple(name for name in names(Manifest) if name not in ("given", "prefers_engine"))
