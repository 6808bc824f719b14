"""The host's own settings (`host.yaml`), outside any repository: what this machine is willing to do."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from aq.core.accepts import EVERYTHING, Accepts
from aq.core.errors import AqError, InvalidFileError
from aq.core.files.document import Document, decode, read_yaml
from aq.core.files.parsing import (
    AbsolutePath,
    Command,
    Duration,
    EnvName,
    JobId,
    Line,
    Many,
    Name,
    Number,
    Strict,
    refuse,
    validate,
)
from aq.core.ids import is_id, slug
from aq.core.manifest import Priority
from aq.core.value import Value, field
from aq.host.place import config_path, config_text


def _slots(value: object) -> object:
    if value == "0":
        raise refuse("slots must be at least 1", "use `aq drain` for a host that takes no work")
    return value


# What a requirement can name.
_PROBE = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


def _probe_name(value: object) -> object:
    if not isinstance(value, str) or not _PROBE.fullmatch(value):
        raise refuse(f"{value!r} is not the name of a probe", "use a-z, 0-9, dot, dash and underscore")
    return value


ProbeName = Annotated[str, BeforeValidator(_probe_name)]


class AcceptsForm(Strict):
    """What this host takes."""

    products: Many[JobId] = ()
    labels: Many[Name] = ()
    priorities: Many[Priority] = ()
    repos: Many[Name] = ()


class HostFile(Strict):
    """Settings of one host. Everything is optional."""

    name: JobId | None = Field(default=None, description="the host's name; default: the machine's")
    slots: Annotated[Number, BeforeValidator(_slots)] = Field(
        default=1, description="how many jobs run at once"
    )
    roots: Many[AbsolutePath] = Field(
        default=(), description="folders that `cwd` must lie under; default: any"
    )
    repos: dict[Name, Line] = Field(default={}, description="target repositories by name: a URL or a path")
    allow: Many[Name] = Field(default=(), description="the only engines that may be used")
    deny: Many[Name] = Field(default=(), description="engines that may not be used")
    offers: Many[Line] = Field(default=(), description="more capabilities, such as has:licence")
    probes: dict[ProbeName, Command] = Field(
        default={},
        description='more to look for, when `aq run` starts: `{license: "test -f /opt/tool/license"}`; a '
        "command that ends with 0 offers `has:license`, or `license=1.2` with the first such version in its "
        "output",
    )
    job_env: Many[EnvName] = Field(
        default=(),
        alias="job-env",
        description="environment variables of `aq run` that a job may ask for with `env`; those that are set "
        "are offered as `cred:NAME`; default: none",
    )
    accepts: AcceptsForm = Field(
        default=AcceptsForm(),
        description="the only jobs that this host takes: `{products: […], labels: […], priorities: […], "
        "repos: […]}`; a job must fit every list given",
    )
    stop_grace: Duration = Field(
        default=10, alias="stop-grace", description="how long a stopped engine may take to end"
    )
    stall: Duration = Field(
        default=900, description="how long an engine may put nothing out before it is shown as stalled"
    )
    no_output: Duration = Field(
        default=3600,
        alias="no-output",
        description="how long an agent may put nothing out before it is stopped",
    )
    commands: Many[Line] = Field(
        default=(), description="command lines that the `local` engine may run for jobs without `yolo`"
    )
    job_commands: Literal["any", "listed", "off"] = Field(
        default="any",
        alias="job-commands",
        description="which command lines of jobs run here (`verify`, `setup`, the shell engine): any, only "
        "those of `commands`, or none",
    )
    trust: Literal["open", "signed"] = Field(
        default="open",
        description="open: whoever can push is obeyed; signed: only commits that a trusted key signed (see "
        "docs/trust.md)",
    )
    signing_key: Line = Field(
        default="",
        alias="signing-key",
        description="the key that a person's commands sign with; default: `trust/person` beside this file",
    )
    host_key: Line = Field(
        default="",
        alias="host-key",
        description="the key that `aq run` signs with; default: `trust/host` beside this file",
    )
    min_disk: Number = Field(default=1, alias="min-disk", description="GiB that must be free before a claim")
    sandbox: Literal["auto", "required", "off"] = Field(
        default="auto",
        description="confine what jobs start: where it works, always, or only for jobs that ask; a job can "
        "only make it stricter",
    )
    sandbox_write: Many[Line] = Field(
        default=(),
        alias="sandbox-write",
        description="more places that a confined job may write to, such as `~/.cache`, or the socket of "
        "docker",
    )


class HostConfig(Value):
    """The values of host.yaml, with the name decided."""

    name: str
    slots: int = 1
    roots: tuple[str, ...] = ()
    repos: dict[str, str] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    probes: dict[str, str] = field(default_factory=dict)
    job_env: tuple[str, ...] = ()
    stop_grace: float = 10.0
    stall: float = 900.0
    no_output: float = 3600.0
    commands: tuple[str, ...] = ()
    min_disk_gib: int = 1
    sandbox: str = "auto"
    sandbox_write: tuple[str, ...] = ()
    accepts: Accepts = EVERYTHING
    job_commands: str = "any"
    trust: str = "open"
    signing_key: str = ""
    host_key: str = ""

    def may_use(self, engine: str) -> bool:
        """Whether the owner of this machine lets an engine run."""
        return engine not in self.deny and (not self.allow or engine in self.allow)

    def may_enter(self, cwd: str) -> bool:
        """Whether `cwd`, resolved, lies under an allowed root."""
        real = Path(cwd).resolve()
        return not self.roots or any(real.is_relative_to(Path(root).resolve()) for root in self.roots)


def load_host_config(name: str = "", slots: int | None = None) -> HostConfig:
    """The host's settings; `name` and `slots` of the command line win. Raises InvalidFileError."""
    form, text = HostFile(), config_text()
    if text is not None:
        try:
            front, lines = read_yaml(decode(text))
            form = validate(HostFile, Document(front, lines, ""))
        except InvalidFileError as error:
            raise error.located(str(config_path())) from None
    chosen = name or form.name or slug(platform.node().split(".")[0] or "host", 40)
    if not is_id(chosen):
        raise AqError(f"{chosen!r} is not a host name", "use a-z, 0-9, - and _, at most 64 characters")
    return HostConfig(
        name=chosen,
        slots=slots or form.slots,
        roots=form.roots,
        repos=dict(form.repos),
        allow=form.allow,
        deny=form.deny,
        offers=form.offers,
        probes=dict(form.probes),
        job_env=form.job_env,
        stop_grace=form.stop_grace,
        stall=form.stall,
        no_output=form.no_output,
        commands=form.commands,
        min_disk_gib=form.min_disk,
        sandbox=form.sandbox,
        sandbox_write=form.sandbox_write,
        accepts=Accepts(
            form.accepts.products,
            form.accepts.labels,
            tuple(map(str, form.accepts.priorities)),
            form.accepts.repos,
        ),
        job_commands=form.job_commands,
        trust=form.trust,
        signing_key=form.signing_key,
        host_key=form.host_key,
    )
