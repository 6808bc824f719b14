"""Small text values: units, instants, ids, secrets and errors."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aq.core.errors import AqError, DiskFullError, FrozenError, InvalidFileError, TryLaterError, UsageError
from aq.core.ids import MAX_ID, is_id, keyed_id, slug, suffixed
from aq.core.instants import day, instant, later, latest_slot, parse_instant, require_instant, unix
from aq.core.secrecy.secrets import find_secret, redact
from aq.core.units import duration_text, parse_count, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("45m", 2700),
        ("2h", 7200),
        ("1d", 86400),
        ("200ms", 0.2),
        ("1.5h", 5400),
        ("0s", 0),
        ("366d", 31622400),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5 m", "-5m", "5M", "1:30", "5m\n", "1e3s", ".5h", "9" * 16 + "s"]
)
def test_what_is_no_duration_says_how_to_write_one(text: str) -> None:
    with pytest.raises(AqError, match=re.escape(f"{text!r} is not a duration; write a number and a unit")):
        parse_duration(text)


def test_a_duration_longer_than_a_year_is_refused() -> None:
    with pytest.raises(AqError, match="longer than 366 days"):
        parse_duration("367d")


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("12", 12), ("500k", 500_000), ("2M", 2_000_000), ("1.5m", 1_500_000), ("3K", 3_000)],
)
def test_a_count_may_be_short(text: str, number: int) -> None:
    assert parse_count(text) == number


@pytest.mark.parametrize("text", ["", "k", "2G", "-1", "1,000", "5\n", "9" * 16])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(AqError, match="is not a count"):
        parse_count(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"),
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (61, "1m01s"),
        (3599, "59m59s"),
        (3600, "1h"),
        (7500, "2h05m"),
        (172799, "47h59m"),
        (172800, "2d"),
        (900000, "10d"),
    ],
)
def test_a_duration_shows_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_instants_are_utc_and_sort_as_they_read() -> None:
    assert instant(0) == "1970-01-01T00:00:00Z"
    assert instant(1.9) == "1970-01-01T00:00:01Z"
    assert day("2026-11-21T10:00:00Z") == "2026-11-21"
    assert later("2026-12-31T23:59:59Z", 1) == "2027-01-01T00:00:00Z"


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 4_000_000_000), st.integers(0, 4_000_000_000))
def test_instants_come_back_and_keep_their_order(first: int, second: int) -> None:
    assert unix(instant(first)) == first
    assert (instant(first) < instant(second)) == (first < second)


@pytest.mark.parametrize("good", ["2026-02-28T23:59:59Z", None])
def test_an_instant_that_exists_is_accepted(good: str | None) -> None:
    require_instant(good, None)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-1-1T00:00:00Z",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00Z\n",
    ],
)
def test_an_instant_that_does_not_exist_is_refused(bad: str) -> None:
    with pytest.raises(AqError, match="is not a time; write it as 2026-12-01T09:00:00Z"):
        require_instant("2026-01-01T00:00:00Z", bad)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-01T09:00Z", "2026-12-01T09:00:00Z"),
        ("2026-12-01T09:00:30.5+02:00", "2026-12-01T07:00:30Z"),
        ("2026-12-01 09:00-05:00", "2026-12-01T14:00:00Z"),
        ("0500-01-01T00:00Z", "0500-01-01T00:00:00Z"),
    ],
)
def test_people_write_times_with_a_zone(text: str, expected: str) -> None:
    assert parse_instant(text) == expected
    require_instant(expected)


@pytest.mark.parametrize(
    "text", ["", "soon", "2026-13-01T00:00Z", "0001-01-01T00:00+02:00", "9999-12-31T23:59-05:00"]
)
def test_what_is_no_time_in_utc_is_refused_without_a_crash(text: str) -> None:
    with pytest.raises(AqError, match="is not a time"):
        parse_instant(text)


@pytest.mark.parametrize(
    ("now", "every", "slot"),
    [
        ("2026-11-21T10:17:31Z", 3600, "2026-11-21T10:00:00Z"),
        ("2026-11-21T10:00:00Z", 3600, "2026-11-21T10:00:00Z"),
        ("2026-11-21T09:59:59Z", 3600, "2026-11-21T09:00:00Z"),
        ("2026-11-21T10:17:31Z", 90, "2026-11-21T10:16:30Z"),
        ("2026-11-21T10:17:31Z", 86400, "2026-11-21T00:00:00Z"),
    ],
)
def test_a_slot_is_the_last_multiple_of_its_period(now: str, every: int, slot: str) -> None:
    assert latest_slot(now, every) == slot


@pytest.mark.attack("S11")
@pytest.mark.parametrize("name", ["a", "fix-login", "a_b", "0", "a" * 64, "com", "com10", "console"])
def test_an_id_is_safe_as_a_path_a_ref_and_an_option(name: str) -> None:
    assert is_id(name)


@pytest.mark.attack("S11")
@pytest.mark.parametrize(
    "name",
    [
        "",
        "-a",
        "a-",
        "_a",
        "A",
        "a.b",
        "a b",
        "a/b",
        "..",
        "a" * 65,
        "ä",
        "con",
        "nul",
        "com1",
        "lpt9",
        "aux",
        "a\n",
    ],
)
def test_what_is_no_id(name: str) -> None:
    assert not is_id(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fix Login!", "fix-login"),
        ("CON", "con-job"),
        ("", "job"),
        ("日本", "job"),
        ("Grüße", "grue"),
        ("--x--", "x"),
        ("../../etc", "etc"),
        ("a.b.md", "a-b-md"),
    ],
)
def test_a_slug_is_made_from_any_text(text: str, expected: str) -> None:
    assert slug(text) == expected


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=100), st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=1, max_size=20))
def test_every_slug_is_an_id_with_or_without_a_suffix(text: str, suffix: str) -> None:
    assert is_id(slug(text))
    assert is_id(suffixed(text, suffix))
    assert suffixed(text, suffix).endswith(f"-{suffix}")
    assert is_id(keyed_id(text, suffix))


def test_a_key_gives_the_same_id_on_every_host_and_another_key_another() -> None:
    assert keyed_id("Fix login", "k1") == keyed_id("fix-login", "k1") == "fix-login-nk47d24ppuzy"
    assert keyed_id("fix-login", "k2") != keyed_id("fix-login", "k1")
    assert len(keyed_id("x" * 200, "k")) == MAX_ID


@pytest.mark.parametrize(
    "prose",
    [
        "",
        "the task-based desk-top",
        "sk-learn",
        "AKIA is a prefix",
        "eyJ is how they start",
        "risk-assessment-of-the-thing-is-due",
    ],
)
def test_prose_is_no_secret(prose: str) -> None:
    assert find_secret(prose) is None
    assert redact(prose) == prose


def test_known_values_are_redacted_the_longest_first_and_an_empty_one_is_none() -> None:
    assert (
        redact("x canary-22 y canary-2 z", ("", "canary-2", "canary-22"))
        == "x [redacted:environment] y [redacted:environment] z"
    )


def test_a_full_disk_is_for_later_and_names_its_place() -> None:
    error = DiskFullError("/queue")
    assert str(error).startswith("no space is left on the disk of /queue; make room there")
    assert error.exit_code == TryLaterError.exit_code
    assert isinstance(error, OSError), "what may fail for any reason of the disk treats it alike"


def test_an_error_says_what_happened_and_what_to_do() -> None:
    assert str(AqError("it broke")) == "it broke"
    assert str(AqError("it broke", "fix it")) == "it broke; fix it"
    assert [error("x").exit_code for error in (AqError, UsageError, FrozenError, TryLaterError)] == [
        1,
        2,
        4,
        75,
    ]


def test_an_invalid_file_names_file_and_line() -> None:
    error = InvalidFileError("no", "yes", line=3)
    assert str(error) == "line 3: no; yes"
    assert str(error.located("a.md")) == "a.md:3: no; yes"
