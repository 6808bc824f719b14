"""`profiles/<name>.md` as people write it: the persona in the body, requirements and defaults above it."""

from __future__ import annotations

from typing import Any, Literal, cast

from pydantic import Field

from aq.core.errors import InvalidFileError
from aq.core.files.document import read_document
from aq.core.files.jobfile import BudgetForm, Checks, RetryForm, Review, manifest_given
from aq.core.files.parsing import Capability, Glob, JobId, Line, Many, Name, Strict, Value, validate
from aq.core.profile import ProfileFile

# A profile's key, and the key of a job that it is the default of.
_AS = {"default_verify": "verify"}
_OWN = ("name", "extends", "description")


class ProfileForm(Strict):
    """A profile for aq: front matter over a persona."""

    name: JobId | None = Field(default=None, description="the profile's name: that of its file")
    description: Line | None = Field(default=None, description="one line for people")
    extends: JobId | None = Field(
        default=None, description="another profile: what this one does not give is taken from it"
    )
    capabilities: Many[Capability] = Field(
        default=(), description="what the host must offer, besides what the job asks for"
    )
    engine_class: Name | None = Field(
        default=None, alias="engine-class", description="the class of engine, where the job names no engine"
    )
    prefers_engine: Many[Name] = Field(
        default=(), alias="prefers-engine", description="engines of that class, the best liked first"
    )
    model: Value | None = Field(default=None, description="the model that the engine is asked for")
    default_verify: Checks = Field(
        default=(), alias="default-verify", description="what must pass, where the job has no `verify`"
    )
    allowed_scope: Many[Glob] = Field(
        default=(), alias="allowed-scope", description="the only paths that the work may change"
    )
    review_policy: Review = Field(
        default=cast(Any, "manual"),
        validate_default=True,
        alias="review-policy",
        description="manual, auto, or named reviewers",
    )
    budget: BudgetForm = Field(default=BudgetForm(), description="ceilings of one job")
    retry: RetryForm = Field(default=RetryForm(), description="when a failed run is tried again")
    sandbox: Literal["auto", "required", "off"] | None = Field(
        default=None, description="how the engine is confined"
    )


def parse_profile(data: bytes, name: str = "", file: str = "") -> ProfileFile:
    """What a profile file says. Raises InvalidFileError as `file:line: what; hint`."""
    try:
        document = read_document(data)
        form = validate(ProfileForm, document)
        if form.name and name and form.name != name:
            raise InvalidFileError(
                f"name: the file is called {name}.md, not {form.name}.md",
                "leave `name` out, or rename the file",
                line=document.line(("name",)),
            )
    except InvalidFileError as error:
        raise error.located(file) from None
    given = {_AS.get(key, key): getattr(form, key) for key in form.model_fields_set if key not in _OWN}
    return ProfileFile(document.body.strip(), manifest_given(given), form.extends or "")
