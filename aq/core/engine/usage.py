"""What a run used, in one normal form whatever the engine's own words for it."""

from __future__ import annotations

import math
from typing import Any

from aq.core.value import Value, names

MOST = 10**15


def counted(value: object) -> int | None:
    """A count that an engine reported; None for anything that cannot be one, such as NaN or -3. An
    absurd one is cut, not unknown: it is over any budget."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(min(value, MOST)) if 0 <= value < math.inf else None


def money(value: object) -> float | None:
    """An amount in usd that an engine reported, by the same rules."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(min(value, MOST)) if 0 <= value < math.inf else None


class Usage(Value):
    """Tokens by kind and money in usd; None is unknown, which is never the same as 0. `input` excludes
    what came from the cache."""

    input: int | None = None
    cached: int | None = None
    output: int | None = None
    reasoning: int | None = None
    usd: float | None = None

    @property
    def tokens(self) -> int | None:
        """All tokens that were processed; None when nothing is known."""
        known = [
            count for count in (self.input, self.cached, self.output, self.reasoning) if count is not None
        ]
        return sum(known) if known else None

    def plus(self, other: Usage) -> Usage:
        """Both together: unknown where both are."""
        return Usage(**{name: _sum(getattr(self, name), getattr(other, name)) for name in _NAMES})

    def less(self, earlier: Usage) -> Usage:
        """What came on top of an earlier total of the same session: some engines report sums over it."""
        return Usage(**{name: _rest(getattr(self, name), getattr(earlier, name)) for name in _NAMES})

    def most(self, other: Usage) -> Usage:
        """The larger of each number."""
        return Usage(**{name: _larger(getattr(self, name), getattr(other, name)) for name in _NAMES})

    def known_over(self, other: Usage) -> Usage:
        """These numbers, and where one is unknown the other's."""
        return Usage(**{name: _first(getattr(self, name), getattr(other, name)) for name in _NAMES})

    def possible(self) -> Usage:
        """The same without the numbers that cannot be."""
        return Usage(
            counted(self.input),
            counted(self.cached),
            counted(self.output),
            counted(self.reasoning),
            money(self.usd),
        )


_NAMES = names(Usage)


def _sum(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other


def _rest(now: Any, before: Any) -> Any:
    return now if now is None or before is None else max(0, now - before)


def _larger(one: Any, other: Any) -> Any:
    return _first(one, other) if one is None or other is None else max(one, other)


def _first(one: Any, other: Any) -> Any:
    return other if one is None else one
