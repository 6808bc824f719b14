"""`queue/aq.yaml` as people write it: the schema, with every key's meaning."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat

from aq.core.errors import InvalidFileError
from aq.core.files.document import Document, decode, read_yaml
from aq.core.files.jobfile import JobFile, manifest_of
from aq.core.files.parsing import Duration, Glob, JobId, Many, Number, Strict, Usd, refuse, validate
from aq.core.settings import CADENCES, Budgets, Cadence, RetryBudget, RiskRules, Settings
from aq.core.value import names

# Beyond these the router's sums and the times of ageing are no numbers any more.
LEAST_WEIGHT, MOST_WEIGHT = 0.001, 1000.0


def _share(value: float) -> float:
    if not 0 <= value <= 1:
        raise refuse(f"{value:g} is not a share", "write a number from 0 to 1; 1 is no limit")
    return value


def _some(value: int) -> int:
    if not value:
        raise refuse("0 would end all retries", "write 1 or more: a queue of retries only must go on")
    return value


class CadenceForm(Strict):
    """A preset, and what differs from it."""

    preset: Literal["local", "lan", "forge"] = "lan"
    poll: Duration | None = None
    beat: Duration | None = None
    ttl: Duration | None = None
    grace: Duration | None = None
    patience: Duration | None = None
    push_interval: Duration | None = Field(default=None, alias="push-interval")


class WipForm(Strict):
    """Limits on work in progress."""

    people: Number | None = None
    building: Number | None = None


class LimitForm(Strict):
    """Money per UTC day."""

    usd: Usd
    per: Literal["day"] = "day"


class BudgetsForm(Strict):
    """Money for the fleet and for products."""

    default_usd: Usd = Field(default=1.0, alias="default-usd")
    fleet: LimitForm | None = None
    products: dict[JobId, LimitForm] = Field(default={})


class RetryBudgetForm(Strict):
    """The share of retries among the starts of an hour."""

    ratio: Annotated[FiniteFloat, AfterValidator(_share)] = RetryBudget().ratio
    floor: Annotated[Number, AfterValidator(_some)] = RetryBudget().floor


class TrustForm(Strict):
    """Who must agree."""

    approvers: Number = 0


class RiskPathsForm(Strict):
    """Paths by their risk."""

    high: Many[Glob] = ()
    low: Many[Glob] = ()


class RiskForm(Strict):
    """From where on work is risky."""

    max_files: Number = Field(default=RiskRules().max_files, alias="max-files")
    max_lines: Number = Field(default=RiskRules().max_lines, alias="max-lines")
    paths: RiskPathsForm = RiskPathsForm()


def _cadence(value: Any) -> Any:
    return {"preset": value} if isinstance(value, str) else value


def _weight(value: float) -> float:
    if value and not LEAST_WEIGHT <= abs(value) <= MOST_WEIGHT:
        raise refuse(
            f"{value:g} is not a weight",
            f"write 0, or a number from {LEAST_WEIGHT:g} to {MOST_WEIGHT:g}, with a minus to count against",
        )
    return value


class SettingsFile(Strict):
    """Fleet settings of an aq queue. Everything is optional."""

    cadence: Annotated[
        CadenceForm,
        BeforeValidator(_cadence, json_schema_input_type=Literal["local", "lan", "forge"] | CadenceForm),
    ] = Field(
        default=CadenceForm(),
        description="how often hosts look and speak: local, lan, forge, or a preset with changes",
    )
    defaults: JobFile = Field(
        default_factory=JobFile, description="job keys that apply where a job does not give them"
    )
    weights: dict[
        Literal["affinity", "load", "cost", "health", "starvation", "fit"],
        Annotated[FiniteFloat, AfterValidator(_weight)],
    ] = Field(
        default={},
        description="what counts when the router compares hosts; built in: affinity 1, load 1, cost 0.5, "
        "health 1, starvation 1 (also how fast waiting jobs age), fit 0.5; 0 turns a term off, others are "
        f"{LEAST_WEIGHT:g} to {MOST_WEIGHT:g}, with a minus to count against",
    )
    wip: WipForm = Field(
        default=WipForm(), description="people: jobs that may wait for a person; building: leases at once"
    )
    budgets: BudgetsForm = Field(default=BudgetsForm(), description="money per day, reserved at claim")
    retry_budget: RetryBudgetForm = Field(
        default=RetryBudgetForm(),
        alias="retry-budget",
        description="how many of the runs that begin within an hour may be retries; "
        "`{ratio: 0.2, floor: 10}`, which is built in, is a fifth of them, but always ten",
    )
    trust: TrustForm = Field(
        default=TrustForm(), description="approvers: how many people must approve before ship"
    )
    risk: RiskForm = Field(
        default=RiskForm(),
        description="what counts as risky work: `max-files` (20) and `max-lines` (400), beyond which it is "
        "medium, and beyond five times as much high; `paths: {high: [globs], low: [globs]}`",
    )
    beats: Literal["refs", "branches"] | None = Field(
        default=None,
        description="where hosts write their beats: refs/aq/hosts, or branches where a forge refuses that",
    )


def _cadence_of(form: CadenceForm) -> Cadence:
    preset = CADENCES[form.preset]
    values = {name: getattr(form, name) for name in names(Cadence)}
    return Cadence(
        **{name: getattr(preset, name) if value is None else value for name, value in values.items()}
    )


def parse_settings(data: bytes, file: str = "queue/aq.yaml") -> Settings:
    """Settings from the file's bytes. Raises InvalidFileError as `file:line: what; hint`."""
    try:
        front, lines = read_yaml(decode(data))
        document = Document(front, lines, "")
        form = validate(SettingsFile, document)
        cadence = _cadence_of(form.cadence)
        if min(cadence.poll, cadence.beat) < 0.05 or cadence.ttl < 2 * cadence.beat:
            what, hint = (
                "cadence: ttl must be at least twice beat, and no interval below 50ms",
                "raise ttl or lower beat",
            )
            raise InvalidFileError(what, hint, line=document.line(("cadence",)))
    except InvalidFileError as error:
        raise error.located(file) from None
    limits = form.budgets
    return Settings(
        cadence=cadence,
        defaults=manifest_of(form.defaults),
        weights={str(name): weight for name, weight in form.weights.items()},
        wip_people=form.wip.people,
        wip_building=form.wip.building,
        budgets=Budgets(
            limits.default_usd,
            limits.fleet.usd if limits.fleet else None,
            {name: limit.usd for name, limit in limits.products.items()},
        ),
        approvers=form.trust.approvers,
        beats=form.beats or "",
        retry_budget=RetryBudget(form.retry_budget.ratio, form.retry_budget.floor),
        risk=RiskRules(form.risk.max_files, form.risk.max_lines, form.risk.paths.high, form.risk.paths.low),
    )
