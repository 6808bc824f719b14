"""Every bad job file is refused with the exact words: `file:line: what; hint`."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aq.core.errors import InvalidFileError
from aq.core.files.jobfile import JobFile, parse_job
from aq.core.files.parsing import known_keys
from tests.core.badfiles import FILES, VALUES, front
from tests.support.builders import refusal_of


def words(data: bytes) -> str:
    with pytest.raises(InvalidFileError) as caught:
        parse_job(data, "job.md")
    return str(caught.value)


@pytest.mark.attack("S6", "S7", "S9", "S10")
@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_refused_in_exactly_these_words(name: str) -> None:
    data, expected = FILES[name]
    assert words(data) == f"job.md:{expected}"


@pytest.mark.attack("S8", "S13")
@pytest.mark.parametrize("line", VALUES, ids=lambda line: line[:60])
def test_a_bad_value_is_refused_in_exactly_these_words(line: str) -> None:
    assert words(front(line)) == f"job.md:2: {line.split(':')[0]}{VALUES[line]}"


def test_every_key_has_a_bad_value_in_the_table() -> None:
    written = {line.split(":")[0] for line in VALUES}
    assert set(known_keys(JobFile)) - {"blocked_by"} == written


def test_without_a_file_name_the_line_still_stands() -> None:
    with pytest.raises(InvalidFileError, match=r"^line 2: unknown key 'engin'"):
        parse_job(front("engin: shell"))


KEYS = sorted(known_keys(JobFile))
yamlish = st.recursive(
    st.text(max_size=12)
    | st.sampled_from(["5m", "1", "true", "a", "2026-12-01T09:00Z", "node>=2", "9" * 5000, "null"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(st.sampled_from(KEYS), inner), max_size=3).map(
            lambda items: "{" + ", ".join(f"{k}: {v}" for k, v in items) + "}"
        )
    ),
    max_leaves=6,
)
lines = st.tuples(st.sampled_from(KEYS), yamlish).map(lambda pair: f"{pair[0]}: {pair[1]}")


def only_invalid(data: bytes) -> None:
    error = refusal_of(InvalidFileError, lambda: parse_job(data, "job.md"))
    assert error is None or (str(error).startswith("job.md:") and error.line >= 1)


@pytest.mark.attack("S6", "S9")
@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200) | st.binary(max_size=100).map(lambda data: b"---\n" + data + b"\n---\nDo it.\n")
)
def test_any_bytes_are_a_job_or_an_invalid_file(data: bytes) -> None:
    only_invalid(data)


@settings(max_examples=300, deadline=None)
@given(st.lists(lines, max_size=4).map("\n".join))
@example("not-before: 9999-12-31T23:59-05:00")
@example("capabilities: [node>=" + "9" * 5000 + "]")
@example("? ? ? a")
@example("- - - [")
@example("a: |\n  b\n c")
@example("%YAML 1.1\n---")
def test_any_front_matter_is_a_job_or_an_invalid_file(text: str) -> None:
    only_invalid(front(text))
