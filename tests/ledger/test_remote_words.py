"""What git's words about a pushed ref mean."""

from __future__ import annotations

import pytest

from aq.ledger.remote import Verdict, classify

WORDS = {
    (" ", "1234567..89abcde"): Verdict.OK,
    ("*", "[new reference]"): Verdict.OK,
    ("=", "[up to date]"): Verdict.UP_TO_DATE,
    ("!", "[rejected] (stale info)"): Verdict.STALE,
    ("!", "[rejected] (fetch first)"): Verdict.LOST,
    ("!", "[remote rejected] (cannot lock ref 'refs/heads/main': is at 1 but expected 2)"): Verdict.LOST,
    ("!", "[remote rejected] (failed to update ref)"): Verdict.LOST,
    ("!", "[rejected] (atomic push failed)"): Verdict.TOGETHER,
    ("!", "[remote rejected] (atomic push failure)"): Verdict.TOGETHER,
    ("!", "[remote rejected] (atomic transaction failed)"): Verdict.TOGETHER,
    ("!", "[remote rejected] (transaction aborted)"): Verdict.TOGETHER,
    ("!", "[remote rejected] (hook declined)"): Verdict.POLICY,
    ("!", "[remote rejected] (pre-receive hook declined)"): Verdict.POLICY,
    ("!", "[remote rejected] (unpacker error)"): Verdict.BROKEN,
    ("!", "[remote failure] (remote failed to report status)"): Verdict.UNKNOWN,
}


@pytest.mark.parametrize(("line", "verdict"), WORDS.items(), ids=[words for _, words in WORDS])
def test_a_line_of_git_has_one_meaning(line: tuple[str, str], verdict: Verdict) -> None:
    assert classify(*line).verdict is verdict
