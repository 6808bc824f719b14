"""The job file as people write it: every key, its form and its meaning. The one schema that the
parser, `aq schema` and the README's table come from. Values come out as a Manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from aq.core.errors import InvalidFileError
from aq.core.files.document import Document, read_document
from aq.core.files.parsing import (
    AbsolutePath,
    Capability,
    Command,
    Count,
    Duration,
    EnvName,
    Flag,
    Glob,
    JobId,
    Line,
    Many,
    Moment,
    Name,
    Number,
    Ref,
    Strict,
    Usd,
    Value,
    refuse,
    validate,
)
from aq.core.manifest import (
    FAILURE_CLASSES,
    Budget,
    Check,
    CheckKind,
    Deps,
    Manifest,
    Priority,
    Retry,
    ReviewPolicy,
)


class DepsForm(Strict):
    """Dependencies by the stage they must reach."""

    shipped: Many[JobId] = ()
    testing: Many[JobId] = ()


class BudgetForm(Strict):
    """Ceilings of one job."""

    usd: Usd | None = None
    tokens: Count | None = None
    wall: Duration | None = None


class RetryForm(Strict):
    """When a failed run is tried again."""

    max: Number = 1
    backoff: Duration = 30
    on: Many[Literal[FAILURE_CLASSES]] = Retry().on  # type: ignore[valid-type]
    infra: Number = 5


class FixForm(Strict):
    """Rounds in which a failed verify goes back to the engine."""

    max: Number = 1


class ReviewForm(Strict):
    """Named reviewers and how many must approve."""

    reviewers: Many[Name]
    approvals: Number = 1

    @model_validator(mode="after")
    def _can_come(self) -> ReviewForm:
        people = len(set(self.reviewers))
        if 0 < people < self.approvals:
            many = "s" if people > 1 else ""
            raise refuse(
                f"{self.approvals} approvals cannot come from {people} reviewer{many}",
                "name more of them, or ask for fewer approvals",
            )
        return self


def _deps(value: Any) -> Any:
    return {"shipped": value} if isinstance(value, (str, list)) else value


def _check(item: Any) -> Check:
    if isinstance(item, str):
        return Check(CheckKind.COMMAND, item)
    if not isinstance(item, dict) or len(item) != 1:
        raise refuse(
            "a check is a command or one `kind: value`",
            "write file_exists, command, test_passes or git_clean",
        )
    ((kind, value),) = item.items()
    if kind not in set(CheckKind):
        raise refuse(f"unknown check {kind!r}", "write file_exists, command, test_passes or git_clean")
    if not isinstance(value, str) or not value:
        raise refuse(f"the check {kind!r} needs a value", f"write `{kind}: …`")
    path = value.replace("\\", "/")
    if kind == CheckKind.FILE_EXISTS and (path.startswith("/") or ".." in path.split("/")):
        raise refuse(f"{value!r} leaves the workspace", "write a path relative to it")
    return Check(CheckKind(kind), value)


def _checks(value: Any) -> Any:
    return tuple(_check(item) for item in (value if isinstance(value, list) else [value]))


def _review(value: Any, check: ValidatorFunctionWrapHandler) -> ReviewPolicy:
    if isinstance(value, str):
        if value not in ("manual", "auto"):
            raise refuse(
                f"{value!r} is no review policy", "write manual, auto or {reviewers: [...], approvals: 1}"
            )
        return ReviewPolicy(value)
    form: ReviewForm = check(value)
    return ReviewPolicy("manual", form.reviewers, form.approvals)


Checks = Annotated[
    tuple[Check, ...], BeforeValidator(_checks, json_schema_input_type=str | list[str | dict[str, str]])
]
Review = Annotated[
    ReviewForm, WrapValidator(_review, json_schema_input_type=Literal["manual", "auto"] | ReviewForm)
]
DepsKey = Annotated[DepsForm, BeforeValidator(_deps, json_schema_input_type=list[str] | DepsForm)]


def _key(default: Any, description: str, key: str | None = None) -> Any:
    return Field(default=default, description=description, alias=key)


class JobFile(Strict):
    """A job for aq: optional front matter over a Markdown prompt."""

    engine: Name | None = _key(None, "the agent CLI to run; `shell` runs the body as a script")
    engine_class: Name | None = _key(
        None,
        "used without `engine`: the first healthy engine of this class that the host offers",
        "engine-class",
    )
    profile: JobId | None = _key(None, "a file of `profiles/`: persona, requirements and defaults")
    repo: Name | None = _key(None, "the target repository, by a name that the host maps to a URL or path")
    cwd: AbsolutePath | None = _key(None, "a folder on the host, instead of `repo`")
    base: Ref | None = _key(None, "the branch the work starts from; default: the repository's own default")
    workspace: Literal["isolated", "in-place"] = _key(
        "isolated", "a clone of the repository, or the folder itself"
    )
    capabilities: Many[Capability] = _key(
        (), "what the host must offer: `os:linux`, `has:docker`, `node>=20`"
    )
    prefers: Many[Capability] = _key((), "what the host should rather offer")
    priority: Priority = _key(
        Priority.MEDIUM, "critical, high, medium or low; critical may take the slot of a running low one"
    )
    deps: DepsKey = Field(
        default=DepsForm(),
        validation_alias=AliasChoices("deps", "depends_on", "blocked_by"),
        description="jobs that must be shipped first; `{testing: [...]}` where that is enough",
    )
    not_before: Moment | None = _key(
        None, "do not start earlier than this time, with its zone: `2026-12-01T09:00Z`", "not-before"
    )
    lock: Line | None = _key(None, "no two jobs with the same lock run at once, on any host")
    timeout: Duration = _key(2 * 3600, "how long the engine may run")
    budget: BudgetForm = _key(BudgetForm(), "ceilings: `{usd: 5, tokens: 2M, wall: 4h}`")
    retry: RetryForm = _key(RetryForm(), "`{max: 1, backoff: 30s, on: [timeout, …], infra: 5}`")
    verify: Checks = _key(
        (),
        "what must pass: a command, a list, or "
        "`[{file_exists: x}, {command: y}, {test_passes: z}, {git_clean: true}]`",
    )
    fix: FixForm = _key(
        FixForm(),
        "rounds in which a failed verify goes back to the engine: `{max: 1}`; for `shell` only when set",
    )
    setup: Command | None = _key(None, "a command that prepares the workspace")
    baseline: Flag = _key(True, "verify the base before the engine starts; for `shell` only when set")
    resume: Flag = _key(False, "continue the engine's session on the same host")
    sandbox: Literal["auto", "required", "off"] = _key("auto", "how the engine is confined")
    on_partition: Literal["continue", "stop"] = _key(
        "continue", "what a run does while its host cannot reach the queue for a whole TTL", "on-partition"
    )
    product: JobId | None = _key(None, "for fairness and budgets")
    every: Duration | None = _key(
        None, "a schedule: stays in the inbox and submits a copy of itself for each period"
    )
    allowed_scope: Many[Glob] = _key((), "the only paths that the work may change", "allowed-scope")
    review_policy: Review = Field(
        default=cast(Any, "manual"),
        validate_default=True,
        description="manual, auto, or `{reviewers: [alice], approvals: 1}`",
        alias="review-policy",
    )
    deliver: Literal["branch", "merge", "pr"] = _key("branch", "how the work reaches the target repository")
    artifacts: Many[Glob] = _key((), "files to keep beside the log")
    idempotency_key: Line | None = _key(None, "the same key and content are one job", "idempotency-key")
    tracker_item: Line | None = _key(None, "an issue tracker's item", "tracker-item")
    model: Value | None = _key(None, "the model that the engine is asked for")
    yolo: Flag = _key(False, "let the engine act without asking")
    env: Many[EnvName] = _key(
        (), "names of environment variables that the job may see, on hosts whose `job-env` lists them"
    )
    labels: Many[Name] = _key((), "free words for filters")
    title: Line | None = _key(None, "a line for the board; default: the file's name")

    @model_validator(mode="before")
    @classmethod
    def _one_name_for_deps(cls, data: Any) -> Any:
        given = data if isinstance(data, dict) else {}
        names = [name for name in ("deps", "depends_on", "blocked_by") if name in given]
        if len(names) > 1:
            raise refuse(f"{' and '.join(names)} mean the same", "keep one of them")
        return data

    @model_validator(mode="after")
    def _one_place(self) -> JobFile:
        if self.repo and self.cwd:
            raise refuse("repo and cwd exclude each other", "keep one of them")
        if self.every is not None and self.every < 60:
            raise refuse("every is shorter than a minute", "write 1m or longer")
        return self


_FORMS: dict[str, Any] = {
    "deps": lambda form: Deps(form.shipped, form.testing),
    "budget": lambda form: Budget(form.usd, form.tokens, form.wall),
    "retry": lambda form: Retry(form.max, form.backoff, form.on, form.infra),
}


def manifest_of(form: JobFile) -> Manifest:
    """The values of a validated file."""
    return manifest_given({name: getattr(form, name) for name in form.model_fields_set})


def manifest_given(forms: Mapping[str, Any]) -> Manifest:
    """A manifest that gives some keys, in the form in which they are written."""
    given: dict[str, Any] = {}
    for name, value in forms.items():
        if name == "fix":
            given["fix_max"] = value.max
        else:
            given[name] = _FORMS[name](value) if name in _FORMS else value
    return Manifest(**given, given=tuple(sorted(given)))


def manifest_from(document: Document) -> Manifest:
    """The manifest of front matter that was read already. Raises InvalidFileError with the line."""
    return manifest_of(validate(JobFile, document))


def parse_job(data: bytes, file: str = "") -> tuple[Manifest, str]:
    """A job file's manifest and body. Raises InvalidFileError as `file:line: what; hint`."""
    try:
        document = read_document(data)
        manifest = manifest_from(document)
        if not document.body.strip():
            raise InvalidFileError("the job has no text", "write the prompt below the front matter", line=1)
    except InvalidFileError as error:
        raise error.located(file) from None
    return manifest, document.body


def written_key(name: str) -> str:
    """How a manifest's field is written in a job file."""
    info = JobFile.model_fields.get(name)
    return (info.alias or name) if info else "fix"
