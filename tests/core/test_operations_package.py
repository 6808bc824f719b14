"""The package of operations brings in each kind when it is asked for."""

import pytest

from aq.core import operations


@pytest.mark.parametrize("name", operations.__all__)
def test_every_operation_can_be_had_from_the_package(name: str) -> None:
    assert getattr(operations, name).__name__ == name


def test_the_package_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        operations.Nonsense  # noqa: B018
