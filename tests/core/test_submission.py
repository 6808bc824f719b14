"""What may be submitted."""

from __future__ import annotations

import pytest

from aq.core.errors import InvalidFileError
from aq.core.submission import checked

CANARY = "ghp_" + "FAKE" * 9


def test_a_valid_file_gives_its_manifest() -> None:
    assert checked(b"---\nengine: shell\n---\ntrue\n", "a.md").engine == "shell"


def test_what_looks_like_a_secret_is_refused_with_its_line() -> None:
    with pytest.raises(InvalidFileError) as caught:
        checked(f"one\nuse {CANARY}\n".encode(), "a.md")
    assert str(caught.value).startswith("a.md:2: this looks like a secret (GitHub token)")
    assert CANARY not in str(caught.value)


def test_a_secret_that_is_allowed_passes() -> None:
    assert checked(f"use {CANARY}\n".encode(), "a.md", allow_secret=True).engine == ""
