"""The package of operations brings in each kind when it is asked for."""

import pytest

from aq.core import operations


@pytest.mark.parametrize("name", operations.__all__)
def test_every_operation_can_be_had_from_the_package(name: str) -> None:
    assert getattr(operations, name).__name__ == name


def test_the_package_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        operations.Nonsense  # noqa: B018


def test_an_operation_is_found_by_its_name_and_nothing_else_is() -> None:
    assert operations.kind_of("Claim") is operations.Claim
    for name in ("Operation", "Any", "import_module", "Nothing"):
        with pytest.raises(KeyError):
            operations.kind_of(name)
