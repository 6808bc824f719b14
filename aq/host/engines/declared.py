"""Engines that the owner of this machine declares: `engines/NAME.yaml` beside host.yaml, one file each."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from aq.core.errors import InvalidFileError
from aq.core.files.document import Document, decode, read_yaml
from aq.core.files.parsing import Command, EnvName, Flag, Line, Many, Name, Number, Strict, refuse, validate
from aq.core.planning.eligible import AGENT_CLASS
from aq.host.engines.base import Auth, Brief, Engine, Launch
from aq.host.engines.launching import prompt_argument, session_of
from aq.host.engines.looking import VERSION, Login, prober
from aq.host.engines.parsers import PARSERS
from aq.host.engines.parsers.plain import ExitCodes

MAX_FILE = 64 * 1024
MAX_FILES = 100
PLACEHOLDERS = ("model", "prompt", "prompt_file", "session", "workspace", "folder")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_Parser = Literal[
    "claude_jsonl",
    "codex_jsonl",
    "gemini_jsonl",
    "copilot_jsonl",
    "opencode_jsonl",
    "qwen_jsonl",
    "goose_json",
    "aider_text",
    "mini_trajectory",
    "text",
]
_Meaning = Literal[
    "ok",
    "auth",
    "quota",
    "rate_limit",
    "overloaded",
    "context",
    "network",
    "budget",
    "denied",
    "agent",
    "crash",
    "unknown",
]


def _argument(value: Any) -> str:
    if not isinstance(value, str):
        raise refuse("an argument must be text", 'put it in quotes, such as "{model}"')
    for name in _PLACEHOLDER.findall(value):
        if name not in PLACEHOLDERS:
            known = " ".join(f"{{{known}}}" for known in PLACEHOLDERS)
            raise refuse(f"{{{name}}} is no placeholder", f"the placeholders are {known}")
    return value


def _pattern(value: Any) -> str:
    try:
        re.compile(value)
    except (re.error, TypeError, RecursionError, OverflowError) as error:
        raise refuse(f"not a regular expression: {error}", r"write one such as \d+\.\d+\.\d+") from None
    return str(value)


Argument = Annotated[str, BeforeValidator(_argument)]


class AuthForm(Strict):
    """What proves credentials."""

    env_any: Many[EnvName] = Field(default=(), alias="env-any")
    file_any: Many[Line] = Field(default=(), alias="file-any")
    command: Many[Command] = ()


class EngineFile(Strict):
    """One engine. Only `argv` is required."""

    prompt: Literal["stdin", "file", "arg"] = Field(
        default="stdin", description="how it gets the prompt: on standard input, as a file, as an argument"
    )
    argv: Many[Argument] = Field(
        description="program and arguments; {model} {prompt_file} {prompt} {session} {workspace} {folder} "
        "are filled in, and an argument without a value is left out together with the option before it"
    )
    parser: _Parser = Field(default="text", description="how its output is read; text: the exit code decides")
    kind: Name = Field(default=AGENT_CLASS, alias="class", description="its engine-class")
    env: Many[EnvName] = Field(default=(), description="variables of this machine that it may see")
    set: dict[EnvName, Line] = Field(default={}, description="variables that are set for it")
    yolo: Many[Argument] = Field(default=(), description="arguments added for jobs with `yolo: true`")
    resume: Many[Argument] = Field(default=(), description="arguments added to go on with {session}")
    version: Many[Command] = Field(default=("--version",), description="arguments that print its version")
    version_pattern: Annotated[str, BeforeValidator(_pattern)] = Field(
        default=VERSION.pattern, alias="version-pattern", description="what of that is the version"
    )
    auth: AuthForm | None = Field(
        default=None, description="env-any, file-any, command: what proves credentials; default: unknown"
    )
    exit_map: dict[Number, _Meaning] = Field(
        default={}, alias="exit-map", description="exit codes that mean a failure class, or ok"
    )
    state: Many[Line] = Field(default=(), description="its own folders, which a sandbox leaves writable")
    free: Flag = Field(default=False, description="whether it costs nothing")

    @field_validator("argv", mode="after")
    @classmethod
    def _has_the_prompt(cls, argv: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not argv or _PLACEHOLDER.search(argv[0]) or not argv[0].strip():
            raise refuse("there is no program", "write it first, such as [mytool, run]")
        used = {name for argument in argv for name in _PLACEHOLDER.findall(argument)}
        wanted = {"file": "prompt_file", "arg": "prompt"}.get(info.data.get("prompt", ""))
        if wanted and wanted not in used:
            raise refuse(f"{{{wanted}}} is missing", f"say with {{{wanted}}} where the prompt goes")
        if "prompt" in used and wanted != "prompt":
            raise refuse("{prompt} stands in argv", "write `prompt: arg` for that")
        return argv


def fill(template: tuple[str, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    """The arguments with their placeholders filled in, in one pass: what is filled in is never read
    again. An argument that lacks a value is left out, and so is the option that it belongs to."""
    argv: list[str] = []
    for argument in template:
        names = _PLACEHOLDER.findall(argument)
        if all(values.get(name) for name in names):
            argv.append(_PLACEHOLDER.sub(lambda match: values[match[1]], argument))
        elif len(argv) > 1 and argv[-1].startswith("-") and argv[-1].strip("-") and argument[0] == "{":
            argv.pop()
    return tuple(argv)


def _launch(form: EngineFile, brief: Brief) -> Launch:
    values = {
        "model": brief.model,
        "prompt_file": str(brief.prompt),
        "session": session_of(brief),
        "workspace": str(brief.workspace),
        "folder": str(brief.folder),
        "prompt": prompt_argument(brief) if form.prompt == "arg" else "",
    }
    template = (*form.argv, *(form.yolo if brief.yolo else ()))
    if values["session"]:
        template = (*template, *form.resume)
    argv = fill(template, values)
    return Launch(
        (brief.path or _program(argv[0]), *argv[1:]),
        stdin=brief.prompt if form.prompt == "stdin" else None,
        env=form.set,
    )


def _program(name: str) -> str:
    return os.path.expanduser(name)


def _login(form: EngineFile) -> Login:
    if form.auth is None:
        return Login(otherwise=Auth.UNKNOWN)
    program, *rest = form.auth.command or ("",)
    own = program in ("", form.argv[0])
    return Login(
        env=form.auth.env_any,
        files=form.auth.file_any,
        command=tuple(rest) if form.auth.command else (),
        program="" if own else _program(program),
    )


def _engine(name: str, form: EngineFile) -> Engine:
    look = prober(
        _program(form.argv[0]), _login(form), form.version, pattern=re.compile(form.version_pattern)
    )
    parser = PARSERS[form.parser]
    resumes = bool(form.resume) or any("{session}" in argument for argument in form.argv)
    return Engine(
        name,
        form.kind,
        look,
        partial(_launch, form),
        partial(ExitCodes, parser, form.exit_map) if form.exit_map else parser,
        env=form.env,
        state=form.state,
        resumes=resumes,
        free=form.free,
    )


def _read(path: Path, taken: Collection[str]) -> Engine:
    name = path.stem
    if not _NAME.fullmatch(name):
        raise InvalidFileError(
            f"{name!r} is not a name for an engine", "use a-z, 0-9, - and _, a letter first", line=1
        )
    if name in taken:
        raise InvalidFileError(f"there is an engine {name} already", "give the file another name", line=1)
    try:
        if not path.is_file():
            raise InvalidFileError("this is no file", "write the engine's keys in a file", line=1)
        data = path.read_bytes()
    except OSError as error:
        raise InvalidFileError(f"cannot be read: {error.strerror}", "check its permissions", line=1) from None
    front, lines = read_yaml(decode(data, MAX_FILE))
    return _engine(name, validate(EngineFile, Document(front, lines, "")))


def declared_engines(
    folder: Path, taken: Collection[str]
) -> tuple[dict[str, Engine], tuple[InvalidFileError, ...]]:
    """The engines of the files in a folder, and what is wrong with the files that declare none."""
    found: dict[str, Engine] = {}
    wrong: list[InvalidFileError] = []
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    except OSError:
        return found, ()
    for path in paths[:MAX_FILES]:
        try:
            engine = _read(path, {*taken, *found})
        except InvalidFileError as error:
            wrong.append(error.located(str(path)))
        else:
            found[engine.name] = engine
    return found, tuple(wrong)
