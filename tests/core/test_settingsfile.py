"""queue/aq.yaml: what it means, and the exact words for what is wrong in it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aq.core.errors import InvalidFileError
from aq.core.files.parsing import known_keys
from aq.core.files.settingsfile import SettingsFile, parse_settings
from aq.core.manifest import Manifest
from aq.core.planning.plan import plan
from aq.core.record import Record
from aq.core.settings import CADENCES, Amount, Budgets, Cadence, RetryBudget, RiskRules, Settings, Spend
from aq.core.value import names
from tests.support.builders import NOW, beat, job, refusal_of, snapshot

DESIGN_FILE = b"""
cadence: lan               # local | lan | forge
defaults: {profile: developer, timeout: 2h}
weights: {affinity: 2}
wip: {people: 10, building: 40}
budgets: {default-usd: 1, fleet: {usd: 50, per: day}, products: {billing: {usd: 10, per: day}}}
trust: {approvers: 1}
"""
TABLE = "see the table of keys in the README"
WHOLE = "write 0, 1, 2, …"
WEIGHT = "write 0, or a number from 0.001 to 1000, with a minus to count against"


def test_the_design_s_own_example_means_this() -> None:
    assert parse_settings(DESIGN_FILE) == Settings(
        cadence=Cadence(3, 60, 300, 30, 10, 0),
        defaults=Manifest(profile="developer", timeout=7200, given=("profile", "timeout")),
        weights={"affinity": 2.0},
        wip_people=10,
        wip_building=40,
        budgets=Budgets(1.0, 50.0, {"billing": 10.0}),
        approvers=1,
    )


def test_what_is_risky_is_said_by_size_and_by_paths() -> None:
    text = b"risk: {max-files: 3, max-lines: 0, paths: {high: [billing/**], low: docs/**}}\n"
    assert parse_settings(text).risk == RiskRules(3, 0, ("billing/**",), ("docs/**",))


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"cadence:\nwip: {}\n"])
def test_everything_is_optional(data: bytes) -> None:
    assert parse_settings(data) == Settings()


def test_the_keys_are_these() -> None:
    assert sorted(known_keys(SettingsFile)) == [
        "beats",
        "budgets",
        "cadence",
        "defaults",
        "retry-budget",
        "risk",
        "trust",
        "weights",
        "wip",
    ]


def test_the_presets_are_those_of_the_design() -> None:
    assert {name: tuple(getattr(c, f) for f in names(Cadence)) for name, c in CADENCES.items()} == {
        "local": (1, 10, 120, 10, 3, 0),
        "lan": (3, 60, 300, 30, 10, 0),
        "forge": (20, 300, 1200, 60, 60, 10),
    }
    for name in CADENCES:
        assert parse_settings(f"cadence: {name}".encode()).cadence == CADENCES[name]


def test_a_preset_with_changes_keeps_the_rest() -> None:
    cadence = b"cadence: {preset: local, poll: 200ms, ttl: 30s, grace: 0s, patience: 1s, push-interval: 2s}"
    made = parse_settings(cadence + b"\nbeats: branches")
    assert (made.cadence, made.beats) == (Cadence(0.2, 10, 30, 0, 1, 2), "branches")


def test_the_budget_of_retries() -> None:
    assert parse_settings(b"retry-budget: {ratio: 0, floor: 1}").retry_budget == RetryBudget(0.0, 1)
    assert parse_settings(b"retry-budget: {ratio: 1}").retry_budget == RetryBudget(1.0, 10)


BAD = {
    "retry-budget: {ratio: 1.5}": "1: retry-budget.ratio: 1.5 is not a share; "
    "write a number from 0 to 1; 1 is no limit",
    "retry-budget: {ratio: .nan}": f"1: retry-budget.ratio: a number is expected; {TABLE}",
    "retry-budget: {floor: 0}": "1: retry-budget.floor: 0 would end all retries; "
    "write 1 or more: a queue of retries only must go on",
    "retry-budget: {floor: -1}": f"1: retry-budget.floor: '-1' is not a whole number; {WHOLE}",
    "cadence: fast": "1: cadence.preset: 'fast' is not known; write one of 'local', 'lan' or 'forge'",
    "cadence: {poll: 1}": (
        "1: cadence.poll: '1' is not a duration; write a number and a unit: 90s, 45m, 2h or 1d"
    ),
    "cadence: {pol: 1s}": "1: unknown key 'cadence.pol'; did you mean 'poll'?",
    "cadence: [lan]": f"1: cadence: keys and values are expected; {TABLE}",
    "\ncadence: {beat: 60s, ttl: 100s}": (
        "2: cadence: ttl must be at least twice beat, and no interval below 50ms; raise ttl or lower beat"
    ),
    "cadence: {poll: 10ms}": (
        "1: cadence: ttl must be at least twice beat, and no interval below 50ms; raise ttl or lower beat"
    ),
    "defaults: {timeoutt: 1h}": "1: unknown key 'defaults.timeoutt'; did you mean 'timeout'?",
    "defaults: deps and depends_on": f"1: defaults: keys and values are expected; {TABLE}",
    "wip: {people: 1}\ndefaults:\n  deps: a\n  depends_on: b": (
        "2: defaults: deps and depends_on mean the same; keep one of them"
    ),
    "weights: {speed: 2}": (
        "1: weights.speed: 'speed' is not known; write one of 'affinity', 'load', 'cost', 'health', "
        "'starvation' or 'fit'"
    ),
    "weights: {load: much}": f"1: weights.load: a number is expected; {TABLE}",
    "weights: {load: nan}": f"1: weights.load: Input should be a finite number; {TABLE}",
    "weights: {cost: 1,\n load: 1.7e308}": f"2: weights.load: 1.7e+308 is not a weight; {WEIGHT}",
    "weights: {load: -1001}": f"1: weights.load: -1001 is not a weight; {WEIGHT}",
    "weights: {starvation: 5e-324}": f"1: weights.starvation: 4.94066e-324 is not a weight; {WEIGHT}",
    "weights: [1]": f"1: weights: keys and values are expected; {TABLE}",
    "wip: {people: many}": f"1: wip.people: 'many' is not a whole number; {WHOLE}",
    "wip: {building: -1}": f"1: wip.building: '-1' is not a whole number; {WHOLE}",
    "budgets: 5": f"1: budgets: keys and values are expected; {TABLE}",
    "budgets: {fleet: 5}": f"1: budgets.fleet: keys and values are expected; {TABLE}",
    "budgets: {fleet: {per: day}}": f"1: budgets.fleet.usd: this key is required; {TABLE}",
    "budgets: {fleet: {usd: 5, per: week}}": "1: budgets.fleet.per: 'week' is not known; write one of 'day'",
    "budgets: {default_usd: 1}": "1: unknown key 'budgets.default_usd'; did you mean 'default-usd'?",
    "budgets:\n  products:\n    billing: {usdd: 1}": (
        "3: unknown key 'budgets.products.billing.usdd'; did you mean 'usd'?"
    ),
    "budgets: {products: {Big One: {usd: 1}}}": (
        "1: budgets.products.Big One: 'Big One' is not a job id; use a-z, 0-9, - and _, at most 64, "
        "not a device name"
    ),
    "trust: {approvers: two}": f"1: trust.approvers: 'two' is not a whole number; {WHOLE}",
    "beats: tags": "1: beats: 'tags' is not known; write one of 'refs' or 'branches'",
    "wipp: {}": "1: unknown key 'wipp'; did you mean 'wip'?",
    "a: 1\na: 2": "2: duplicate key 'a'; first given on line 1",
    "- cadence": "1: keys and values are expected here; write lines like `engine: shell`",
    "cadence: &a lan": "1: YAML anchors and aliases are not allowed; write the value out",
    "---\nbeats: refs\n---\nbeats: refs": "3: more than one YAML document; keep only one",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: text.strip()[:50])
def test_a_bad_file_is_refused_in_exactly_these_words(text: str) -> None:
    with pytest.raises(InvalidFileError) as caught:
        parse_settings(text.encode())
    assert str(caught.value) == f"queue/aq.yaml:{BAD[text]}"


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=120)
    | st.lists(
        st.tuples(st.sampled_from(sorted(known_keys(SettingsFile))), st.text(max_size=20)), max_size=3
    ).map(lambda pairs: "\n".join(f"{k}: {v}" for k, v in pairs).encode())
)
def test_any_bytes_are_settings_or_an_invalid_file(data: bytes) -> None:
    error = refusal_of(InvalidFileError, lambda: parse_settings(data))
    assert error is None or (str(error).startswith("queue/aq.yaml:") and error.line >= 1)


@pytest.mark.parametrize("weight", ["0", "0.001", "1000", "-1000"])
def test_with_any_weight_that_a_file_may_name_the_sums_are_numbers(weight: str) -> None:
    names = ("affinity", "load", "cost", "health", "starvation", "fit")
    given = ", ".join(f"{name}: {weight}" for name in names)
    made = parse_settings(f"weights: {{{given}}}".encode())
    assert made.weights == dict.fromkeys(names, float(weight))
    waiting = job("a", record=Record(queued=NOW))
    planned = plan(snapshot([waiting], settings=made), {name: beat(name) for name in ("m1", "m2")}, NOW)
    assert [one.job for one in planned.assignments] == ["a"]


def test_a_limit_binds_the_fleet_or_a_product() -> None:
    assert not Budgets().limited("billing")
    assert Budgets(fleet_usd=1).limited("")
    assert Budgets(products={"billing": 1}).limited("billing")
    assert not Budgets(products={"billing": 1}).limited("search")


def test_spend_moves_for_the_fleet_and_the_product_and_never_below_zero() -> None:
    spend = Spend().moved("billing", 0.3, 0.0).moved("", 0.1, 0.2)
    assert spend == Spend(Amount(0.4, 0.2), {"billing": Amount(0.3, 0.0)})
    assert spend.of("billing").total == 0.3
    assert spend.moved("billing", -5, 0.1) == Spend(Amount(0.0, 0.3), {"billing": Amount(0.0, 0.1)})
