"""Fleet settings (`queue/aq.yaml`) as values. How they are written is in `settingsfile`."""

from __future__ import annotations

from aq.core.errors import AqError
from aq.core.instants import Instant, require_instant
from aq.core.manifest import Manifest
from aq.core.value import Value, field


class Cadence(Value):
    """How often hosts look and speak, in seconds (DESIGN section 5, rule 11)."""

    poll: float
    beat: float
    ttl: float
    grace: float
    patience: float
    push_interval: float


CADENCES = {
    "local": Cadence(1, 10, 120, 10, 3, 0),
    "lan": Cadence(3, 60, 300, 30, 10, 0),
    "forge": Cadence(20, 300, 1200, 60, 60, 10),
}


class Budgets(Value):
    """Spend per UTC day in usd; None is no limit. `default_usd` is reserved for a job without a budget."""

    default_usd: float = 1.0
    fleet_usd: float | None = None
    products: dict[str, float] = field(default_factory=dict)

    def limited(self, product: str) -> bool:
        """Whether any limit binds a job of this product."""
        return self.fleet_usd is not None or product in self.products


class RetryBudget(Value):
    """How many of the runs that begin within an hour may be retries: a share of all of them, and always
    `floor`."""

    ratio: float = 0.2
    floor: int = 10

    def allows(self, retries: int, starts: int) -> bool:
        """Whether so many of the starts may be retries."""
        # A share such as 0.2 of 5 is not exactly 1.
        return retries <= max(self.floor, self.ratio * starts + 1e-6)


class RiskRules(Value):
    """What makes work risky beside what is built in: more files or lines than these, and paths. Those in
    `low` are of no risk for what they are; `high` goes before."""

    max_files: int = 20
    max_lines: int = 400
    high: tuple[str, ...] = ()
    low: tuple[str, ...] = ()


class Settings(Value):
    """Everything in `queue/aq.yaml`. `beats` is refs or branches, or nothing: each clone finds out."""

    cadence: Cadence = CADENCES["lan"]
    defaults: Manifest = field(default_factory=Manifest)
    weights: dict[str, float] = field(default_factory=dict)
    wip_people: int | None = None
    wip_building: int | None = None
    budgets: Budgets = field(default_factory=Budgets)
    approvers: int = 0
    beats: str = ""
    retry_budget: RetryBudget = RetryBudget()
    risk: RiskRules = RiskRules()


class Pause(Value):
    """The content of `queue/PAUSED`. `stop` also stops running engines."""

    by: str = ""
    why: str = ""
    at: Instant | None = None
    stop: bool = False

    def __post_init__(self) -> None:
        require_instant(self.at)

    @property
    def who(self) -> str:
        """The person, for people."""
        return self.by or "someone"

    @property
    def reason(self) -> str:
        """The reason, for people."""
        return self.why or "no reason given"


class Amount(Value):
    """Money in usd: set aside for running jobs, and spent."""

    reserved: float = 0.0
    settled: float = 0.0

    def __post_init__(self) -> None:
        # Infinity stands for a file that nobody can read. What compares with nothing would lift each limit.
        if not (self.reserved >= 0 and self.settled >= 0):
            raise AqError(
                f"{self.reserved} set aside and {self.settled} spent are no amounts in usd",
                "write numbers from 0 on",
            )

    @property
    def total(self) -> float:
        """What counts against a limit, to a millionth: tenths do not add up to whole numbers."""
        return round(self.reserved + self.settled, 6)


class Spend(Value):
    """The content of `queue/spend/<UTC day>.yaml`."""

    fleet: Amount = Amount()
    products: dict[str, Amount] = field(default_factory=dict)

    def of(self, product: str) -> Amount:
        """A product's amount."""
        return self.products.get(product, Amount())

    def moved(self, product: str, reserved: float, settled: float) -> Spend:
        """This spend with both amounts changed, for the fleet and for the product if there is one."""

        def add(amount: Amount) -> Amount:
            # Never below zero: a reservation is returned once, but rounding is not exact.
            return Amount(max(0.0, round(amount.reserved + reserved, 6)), round(amount.settled + settled, 6))

        products = {**self.products, product: add(self.of(product))} if product else self.products
        return Spend(add(self.fleet), products)
