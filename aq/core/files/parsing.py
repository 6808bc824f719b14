"""Shared pieces of the pydantic schemas: types as people write them, and one wording of errors."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from aq.core.errors import AqError, InvalidFileError
from aq.core.files.document import Document, without_nothing
from aq.core.ids import ID_PATTERN, is_id
from aq.core.instants import parse_instant
from aq.core.requirement import parse_requirement
from aq.core.units import parse_count, parse_duration, parse_usd

MAX_WHAT = 300
REF_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$"
_BAD_REF = re.compile(r"\.\.|//|/\.|\.lock(/|$)|[./]$")
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
_WORDS = {
    "missing": "this key is required",
    "int_parsing": "a whole number is expected",
    "float_parsing": "a number is expected",
    "string_type": "text is expected",
    "tuple_type": "a list is expected",
    "dict_type": "keys and values are expected",
    "model_type": "keys and values are expected",
    "model_attributes_type": "keys and values are expected",
}


class Strict(BaseModel):
    """Base of every schema: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=False,
        # The values that validators make of what is written.
        arbitrary_types_allowed=True,
    )


def refuse(what: str, hint: str) -> PydanticCustomError:
    """An error for a validator to raise, with a hint that survives pydantic."""
    return PydanticCustomError("aq", "{what}", {"what": what, "hint": hint})


def _wrap(convert: Callable[[str], Any]) -> Callable[[Any], Any]:
    def validate(value: Any) -> Any:
        if not isinstance(value, str):
            raise refuse("text is expected", "write a single value here")
        try:
            return convert(value)
        except AqError as error:
            raise refuse(error.what, error.hint) from None

    return validate


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise AqError(f"{text!r} is neither true nor false", "write true or false")
    return text == "true"


def _job_id(text: str) -> str:
    if not is_id(text):
        raise AqError(f"{text!r} is not a job id", "use a-z, 0-9, - and _, at most 64, not a device name")
    return text


def _ref(text: str) -> str:
    if not re.fullmatch(REF_PATTERN, text) or _BAD_REF.search(text):
        raise AqError(f"{text!r} is not a branch name", "write a plain name such as main or release/2")
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise AqError(f"{text!r} is not a name", "use letters, digits, dot, dash and underscore")
    return text


def _line(text: str) -> str:
    if "\n" in text or len(text) > 200 or not text.isprintable():
        raise AqError("one line of at most 200 printable characters is expected", "shorten it")
    return text


def _value(text: str) -> str:
    if _line(text).startswith("-"):
        raise AqError(f"{text!r} starts with a dash", "a value may not look like an option")
    return text


def _requirement(text: str) -> str:
    return parse_requirement(text).text


def _glob(text: str) -> str:
    if text.startswith(("/", "~")) or ".." in text.split("/") or "\\" in text:
        raise AqError(f"{text!r} leaves the workspace", "write a path relative to it, with / and without ..")
    return _line(text)


def _absolute(text: str) -> str:
    if not text.startswith("/") and not re.match(r"^[A-Za-z]:[\\/]", text):
        raise AqError(f"{text!r} is not an absolute path", "write the whole path, such as /srv/app")
    return _line(text)


def _env_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", text):
        raise AqError(f"{text!r} is not the name of an environment variable", "write only the name")
    return text


def _count_number(text: str) -> int:
    if not re.fullmatch(r"\d{1,6}", text):
        raise AqError(f"{text!r} is not a whole number", "write 0, 1, 2, …")
    return int(text)


def _many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _text(pattern: str = "", example: str = "") -> WithJsonSchema:
    schema: dict[str, Any] = {"type": "string"}
    if pattern:
        schema["pattern"] = pattern
    if example:
        schema["examples"] = [example]
    return WithJsonSchema(schema)


Flag = Annotated[bool, BeforeValidator(_wrap(_flag)), WithJsonSchema({"type": "boolean"})]
Duration = Annotated[
    float, BeforeValidator(_wrap(parse_duration)), _text(r"^\d+(\.\d+)?(ms|s|m|h|d)$", "45m")
]
Count = Annotated[
    int,
    BeforeValidator(_wrap(parse_count)),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["2M"]}),
]
Number = Annotated[
    int, BeforeValidator(_wrap(_count_number)), WithJsonSchema({"type": "integer", "minimum": 0})
]
Usd = Annotated[float, BeforeValidator(_wrap(parse_usd)), WithJsonSchema({"type": "number", "minimum": 0})]
JobId = Annotated[str, BeforeValidator(_wrap(_job_id)), _text(ID_PATTERN, "fix-login")]
Ref = Annotated[str, BeforeValidator(_wrap(_ref)), _text(REF_PATTERN, "main")]
Name = Annotated[str, BeforeValidator(_wrap(_name)), _text(_NAME.pattern)]
Line = Annotated[str, BeforeValidator(_wrap(_line)), _text()]
Value = Annotated[str, BeforeValidator(_wrap(_value)), _text(r"^[^-]")]
Moment = Annotated[str, BeforeValidator(_wrap(parse_instant)), _text(example="2026-12-01T09:00Z")]
Capability = Annotated[str, BeforeValidator(_wrap(_requirement)), _text(example="node>=20")]
Glob = Annotated[str, BeforeValidator(_wrap(_glob)), _text(example="src/**")]
AbsolutePath = Annotated[str, BeforeValidator(_wrap(_absolute)), _text()]
EnvName = Annotated[str, BeforeValidator(_wrap(_env_name)), _text()]
Command = Annotated[str, BeforeValidator(_wrap(str)), _text()]

Item = TypeVar("Item")
Many = Annotated[tuple[Item, ...], BeforeValidator(_many)]
Model = TypeVar("Model", bound=BaseModel)


def known_keys(model: type[BaseModel]) -> dict[str, str]:
    """The keys a person may write for a model, each with its field's name."""
    keys: dict[str, str] = {}
    for name, info in model.model_fields.items():
        choices = getattr(info.validation_alias, "choices", None) or [
            info.validation_alias or info.alias or name
        ]
        keys.update({str(choice): name for choice in choices})
    return keys


def _model_at(model: type[BaseModel], path: tuple[str | int, ...]) -> type[BaseModel]:
    for part in path:
        field = known_keys(model).get(str(part))
        annotation = model.model_fields[field].annotation if field else None
        for candidate in (annotation, *getattr(annotation, "__args__", ())):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
                break
    return model


def _explain(error: ErrorDetails, model: type[BaseModel]) -> tuple[str, str]:
    path = error["loc"]
    key = ".".join(str(part) for part in path if part != "[key]")
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(
            str(path[-1]), known_keys(_model_at(model, path[:-1])), n=1, cutoff=0.6
        )
        return f"unknown key {key!r}", f"did you mean {near[0]!r}?" if near else "`aq schema` lists the keys"
    if kind == "aq":
        return f"{key}: {context['what']}" if key else str(context["what"]), str(context["hint"])
    if kind in ("literal_error", "enum"):
        return f"{key}: {str(error['input'])[:60]!r} is not known", f"write one of {context['expected']}"
    return f"{key}: {_WORDS.get(kind, error['msg'])}", "see the table of keys in the README"


def validate(model: type[Model], document: Document) -> Model:
    """A model from strict text values. Raises InvalidFileError for the first thing wrong, by line."""
    try:
        return model.model_validate(without_nothing(document.front))
    except ValidationError as error:
        problems = [(document.line(_known_path(e["loc"], document)), e) for e in error.errors()]
        # On one line a misspelt key explains the others, such as a key that is missing.
        line, first = min(problems, key=lambda pair: (pair[0], pair[1]["type"] != "extra_forbidden"))
        what, hint = _explain(first, model)
        what = what if len(what) <= MAX_WHAT else f"{what[: MAX_WHAT - 1]}…"
        raise InvalidFileError(what, hint, line=line) from None


def _known_path(loc: tuple[str | int, ...], document: Document) -> tuple[str | int, ...]:
    # pydantic adds the names of union members to a location; keep only what the file has.
    path: tuple[str | int, ...] = ()
    for part in loc:
        if (*path, part) in document.lines:
            path = (*path, part)
    return path
