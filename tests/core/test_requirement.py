"""Requirements against offers: the grammar, and what meets what."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aq.core.errors import AqError
from aq.core.requirement import Requirement, missing, parse_requirement, parse_version, satisfied
from tests.support.builders import refusal_of

PARSED = {
    "gpu": Requirement("gpu", "gpu"),
    "os:linux": Requirement("os:linux", "os", "linux"),
    "has:docker": Requirement("has:docker", "has", "docker"),
    "host:Mac-2.local": Requirement("host:Mac-2.local", "host", "Mac-2.local"),
    "node>=20": Requirement("node>=20", "node", "", ">=", (20,)),
    "python=3.11": Requirement("python=3.11", "python", "", "==", (3, 11)),
    "python==3.11.7": Requirement("python==3.11.7", "python", "", "==", (3, 11, 7)),
    "a.b-c_d<1": Requirement("a.b-c_d<1", "a.b-c_d", "", "<", (1,)),
}


@pytest.mark.parametrize("text", PARSED)
def test_a_clause_is_read_as(text: str) -> None:
    assert parse_requirement(text) == PARSED[text]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "OS:linux",
        "os:",
        "os: linux",
        ":linux",
        "node>",
        "node>=x",
        "node>=1.",
        "node=>1",
        "1a",
        "a b",
        "os:linux\n",
        "a>=1.2.3.4.5.6.7",
        "a>=" + "9" * 10,
        "a:-x",
    ],
)
def test_what_is_no_clause_is_refused_with_the_grammar(text: str) -> None:
    with pytest.raises(
        AqError, match="is not a capability; write os:linux, engine:claude, has:docker or node>=20"
    ):
        parse_requirement(text)


@pytest.mark.parametrize(
    ("text", "version"),
    [("22.3.1-lts", (22, 3, 1)), ("3", (3,)), ("v3", ()), ("", ()), ("1.2.3.4.5.6.7.8", (1, 2, 3, 4, 5, 6))],
)
def test_a_version_is_its_leading_numbers(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


MEETS = [
    ("os:linux", "os:linux", True),
    ("os:linux", "os:macos", False),
    ("os:any", "", True),
    ("has:docker", "has:docker", True),
    ("has:docker", "docker=27.1", True),
    ("has:docker", "docker", True),
    ("has:docker", "docker-compose=2", False),
    ("has:docker", "", False),
    ("gpu", "gpu", True),
    ("gpu", "gpu=2", True),
    ("gpu", "gpu:2", False),
    ("engine:claude", "claude=1.0", False),
    ("node>=20", "node=20", True),
    ("node>=20", "node=20.0.1", True),
    ("node>=20", "node=22.3.1-lts", True),
    ("node>=20", "node=18.19", False),
    ("node>=20.0", "node=20", True),
    ("node>=20.1", "node=20", False),
    ("node<=20", "node=20.9", True),
    ("node<=20", "node=21", False),
    ("node>20", "node=20.9", False),
    ("node>20", "node=21", True),
    ("node<20", "node=19.9", True),
    ("node<20", "node=20", False),
    ("python==3.11", "python=3.11.7", True),
    ("python=3.11", "python=3.12", False),
    ("python==3.11.0", "python=3.11", True),
    ("node<20", "node=unknown", False),
    ("node>=0", "node=unknown", False),
    ("node>=20", "nodejs=22", False),
    ("node>=20", "node", False),
]


@pytest.mark.parametrize(("clause", "offer", "meets"), MEETS, ids=lambda value: str(value) or "nothing")
def test_an_offer_meets_a_clause_or_not(clause: str, offer: str, meets: bool) -> None:
    offers = frozenset({offer, "os:plan9"} - {""})
    assert satisfied(parse_requirement(clause), offers) is meets
    assert missing((clause,), offers) == (() if meets else (clause,))


def test_missing_keeps_the_order_asked() -> None:
    assert missing(("gpu", "os:linux", "node>=20"), frozenset({"os:linux"})) == ("gpu", "node>=20")


names = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True)
versions = st.lists(st.integers(0, 99), min_size=1, max_size=4)


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=30) | st.from_regex(r"[a-z]{1,3}[:<>=]{1,2}[a-z0-9.]{0,5}", fullmatch=True))
def test_any_text_is_a_clause_that_keeps_its_text_or_an_error_of_ours(text: str) -> None:
    error = refusal_of(AqError, lambda: parse_requirement(text))
    assert "is not a capability" in str(error) if error else parse_requirement(text).text == text


@settings(deadline=None, max_examples=200)
@given(names, versions, versions)
def test_each_version_is_below_equal_or_above_and_nothing_else(
    name: str, offered: list[int], wanted: list[int]
) -> None:
    def meets(op: str) -> bool:
        clause = parse_requirement(f"{name}{op}{'.'.join(map(str, wanted))}")
        return satisfied(clause, [f"{name}={'.'.join(map(str, offered))}"])

    assert [meets("<"), meets("=="), meets(">")].count(True) == 1
    assert meets(">=") == (meets(">") or meets("=="))
    assert meets("<=") == (meets("<") or meets("=="))
