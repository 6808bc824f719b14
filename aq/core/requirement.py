"""What a job needs against what a host offers: `os:linux`, `has:docker`, `node>=20`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from aq.core.errors import AqError
from aq.core.value import Value

_NAME = r"[a-z][a-z0-9_.-]{0,63}"
_GRAMMAR = re.compile(
    rf"^(?P<name>{_NAME})(?:(?P<op>>=|<=|==|=|>|<)(?P<version>\d{{1,9}}(?:\.\d{{1,9}}){{0,5}})|:(?P<value>[A-Za-z0-9][A-Za-z0-9_.+-]{{0,127}}))?$"
)


class Requirement(Value):
    """One clause. `text` is as written; `op` is empty unless a version is compared."""

    text: str
    name: str
    value: str = ""
    op: str = ""
    version: tuple[int, ...] = ()


@lru_cache(maxsize=4096)
def parse_requirement(text: str) -> Requirement:
    """Read one clause. Raises AqError with the grammar when it is none."""
    match = _GRAMMAR.fullmatch(text)
    if not match:
        raise AqError(
            f"{text!r} is not a capability", "write os:linux, engine:claude, has:docker or node>=20"
        )
    op = match["op"] or ""
    version = tuple(int(part) for part in match["version"].split(".")) if op else ()
    return Requirement(text, match["name"], match["value"] or "", "==" if op == "=" else op, version)


@lru_cache(maxsize=4096)
def parse_version(text: str) -> tuple[int, ...]:
    """The leading dotted numbers of a version text: `22.3.1-lts` is (22, 3, 1)."""
    match = re.match(r"\d{1,9}(?:\.\d{1,9}){0,5}", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _compare(op: str, offered: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    # `python==3.11` means any 3.11: compare as many numbers as the clause names.
    # An offer whose version cannot be read meets none.
    head = (offered + (0,) * len(wanted))[: len(wanted)]
    return (
        bool(offered)
        and {
            ">=": head >= wanted,
            "<=": head <= wanted,
            "==": head == wanted,
            ">": head > wanted,
            "<": head < wanted,
        }[op]
    )


def satisfied(requirement: Requirement, offers: Iterable[str]) -> bool:
    """Whether offers such as `os:linux`, `docker=27.1.0` or `gpu` meet one clause.

    `has:x` is met by `has:x` and by any version of x; `os:any` by everything.
    """
    if requirement.value == "any":
        return True
    if not requirement.op:
        wanted = requirement.text
        bare = requirement.value if requirement.name == "has" else requirement.name
        plain = requirement.name == "has" or not requirement.value
        return any(
            offer == wanted or (plain and (offer == bare or offer.startswith(f"{bare}="))) for offer in offers
        )
    prefix = f"{requirement.name}="
    return any(
        _compare(requirement.op, parse_version(offer[len(prefix) :]), requirement.version)
        for offer in offers
        if offer.startswith(prefix)
    )


def missing(requirements: Iterable[str], offers: frozenset[str]) -> tuple[str, ...]:
    """The clauses that these offers do not meet, in the order asked."""
    return tuple(
        text for text in requirements if text not in offers and not satisfied(parse_requirement(text), offers)
    )
