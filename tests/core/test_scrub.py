"""Secrets out of whole values, and warnings about secrets in a change."""

from __future__ import annotations

import pytest

from aq.core.lease import Fence
from aq.core.secrecy.scrub import scrub
from aq.core.secrecy.secrets import diff_warnings
from aq.core.settle import Ending, Outcome
from aq.core.value import Value, field
from aq.core.work import Ended
from tests.support.canaries import BY_KIND, KINDS, REFUSED, leaked

KNOWN = "canary-" + "value"


class _Odd(Value):
    text: str
    many: tuple[str, ...] = ()
    more: dict[str, object] = field(default_factory=dict)
    inner: _Odd | None = None
    number: float = 1.5
    kind: type = str


def test_every_text_in_a_value_is_redacted_however_deep() -> None:
    value = _Odd(KNOWN, (KNOWN, "x"), {"a": [KNOWN], KNOWN: 1}, _Odd(f"y {KNOWN}"))
    clean = scrub(value, (KNOWN,))
    mark = "[redacted:environment]"
    assert clean == _Odd(mark, (mark, "x"), {"a": [mark], mark: 1}, _Odd(f"y {mark}"))


def test_names_and_commits_stay_what_they_are() -> None:
    fence = Fence(KNOWN, "ada", "nonce", 3)
    outcome = Outcome(Ending.FAILED, "agent", f"it said {KNOWN}", branch=f"aq/{KNOWN}/3", tip="0" * 40)
    clean = scrub(Ended(fence, outcome), (KNOWN,))
    assert clean.fence == fence
    assert clean.outcome.branch == f"aq/{KNOWN}/3"
    assert clean.outcome.reason == "it said [redacted:environment]"
    assert clean.outcome.ending is Ending.FAILED


@pytest.mark.parametrize("kind", KINDS)
def test_no_shape_gets_into_a_report(kind: str) -> None:
    outcome = Outcome(Ending.FAILED, "agent", f"it said {BY_KIND[kind].example}")
    clean = scrub(Ended(Fence("a", "b", "c", 1), outcome))
    assert not leaked(kind, clean.outcome.reason)


def diff(path: str, *added: str, at: int = 1, removed: tuple[str, ...] = ()) -> str:
    lines = "".join(f"-{line}\n" for line in removed) + "".join(f"+{line}\n" for line in added)
    head = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n"
    return f"{head}@@ -1,{len(removed)} +{at},{len(added)} @@ def x\n{lines}"


@pytest.mark.parametrize("kind", REFUSED)
def test_a_change_is_warned_about_by_place_and_kind_and_never_by_value(kind: str) -> None:
    example = BY_KIND[kind].example.splitlines()
    text = diff("src/a.py", "fine", *example, at=7) + diff("b.py", "fine", "also fine")
    warnings = diff_warnings(text.encode())
    assert warnings[0] == f"src/a.py:8 looks like a secret: {kind}"
    assert not any(leaked(kind, warning) for warning in warnings)
    assert all(warning.startswith("src/a.py:") for warning in warnings)


def test_what_a_change_removes_or_leaves_is_no_warning() -> None:
    secret = BY_KIND["GitHub token"].example
    assert diff_warnings(diff("a", "x", removed=(secret,)).encode()) == ()
    assert diff_warnings(f"{diff('a', 'x')} {secret}\n".encode()) == ()
    assert diff_warnings(b"") == ()


def test_a_line_without_its_count_is_one_line() -> None:
    secret = BY_KIND["GitHub token"].example
    text = f"--- a/x\n+++ b/x\n@@ -4 +5 @@\n-old\n+{secret}\n"
    assert diff_warnings(text.encode()) == ("x:5 looks like a secret: GitHub token",)


def test_an_added_line_cannot_pass_for_the_name_of_a_file() -> None:
    secret = BY_KIND["GitHub token"].example
    (warning,) = diff_warnings(diff("real", "++ b/faked", "@@ -1 +1 @@", secret).encode())
    assert warning.startswith("real:3 ")


def test_a_secret_in_a_file_s_name_is_not_shown() -> None:
    secret = BY_KIND["GitHub token"].example
    (warning,) = diff_warnings(diff(f"x/{secret}", secret).encode())
    assert warning == "x/[redacted:GitHub token]:1 looks like a secret: GitHub token"


def test_many_warnings_are_cut_and_counted() -> None:
    secret = BY_KIND["GitHub token"].example
    warnings = diff_warnings(diff("a", *[secret] * 30).encode())
    assert len(warnings) == 11
    assert warnings[-1] == "and 20 more"
