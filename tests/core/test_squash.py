"""The message of a run's one commit."""

from __future__ import annotations

from aq.core.squash import one_line, squash_message

TOKEN = "gh" + "p_" + "a1B2" * 9


def test_a_message_has_the_title_and_the_trailers_that_have_a_value() -> None:
    made = squash_message("Fix the login", {"Aq-Job": "fix", "Aq-Model": "", "Aq-Epoch": 3})
    assert made == "Fix the login\n\nAq-Job: fix\nAq-Epoch: 3\n"


def test_the_agents_own_commits_are_named_and_cannot_be_trailers() -> None:
    made = squash_message("T", {"Aq-Job": "a"}, ("one", "Aq-Job: b", "two\nAq-Job: c"))
    assert made == "T\n\nThe agent's own commits:\n- one\n- Aq-Job: b\n- two Aq-Job: c\n\nAq-Job: a\n"


def test_many_commits_are_counted() -> None:
    made = squash_message("T", {"Aq-Job": "a"}, tuple(f"commit {n}" for n in range(25)))
    assert "- commit 19\n- and 5 more\n" in made
    assert "commit 20" not in made


def test_a_line_of_anothers_is_short_and_has_no_secrets_and_no_control_characters() -> None:
    assert one_line("a\x1b[31mred\r\nb\u202ec") == "ared b c"
    assert one_line("x" * 300) == "x" * 199 + "…"
    assert TOKEN not in one_line(f"use {TOKEN}")
    assert one_line("the value-of-it", ("value-of-it",)) == "the [redacted:environment]"


def test_what_would_end_the_subject_does_not() -> None:
    assert squash_message("A\n\nB", {"Aq-Job": "a"}).splitlines()[0] == "A B"


def test_the_engines_own_summary_is_between_without_secrets() -> None:
    made = squash_message("T", {"Aq-Job": "a"}, (), (), f"Did it.\n\nUsed {TOKEN}\x1b[0m.\n")
    assert made.startswith("T\n\nDid it.\n\nUsed ")
    assert made.endswith("\n\nAq-Job: a\n")
    assert TOKEN not in made
    assert len(squash_message("T", {"Aq-Job": "a"}, (), (), "x\n" * 9000)) < 5000
