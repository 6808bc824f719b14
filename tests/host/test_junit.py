"""Test reports: counted case by case, only those of this check, and nothing in them can do harm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aq.core.record import Suite
from aq.host.junit import MAX_BYTES, MAX_NAMES, Reports, in_words, read_report

PYTEST = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="0" failures="99" skipped="0" tests="1000">
<testcase classname="tests.test_a" name="test_one" time="0.1"/>
<testcase classname="tests.test_a" name="test_two"><failure message="&lt;no&gt;"/></testcase>
<testcase classname="tests.test_a" name="test_three"><error/><failure/></testcase>
<testcase classname="tests.test_b" name="test_four"><skipped/></testcase>
<system-out><![CDATA[<testcase/>]]></system-out>
</testsuite></testsuites>"""

FORMS = {
    "what pytest writes": (PYTEST, Suite(4, 2, 1, ("tests.test_a::test_two", "tests.test_a::test_three"))),
    "a suite without a case": (b"<testsuite tests='3'/>", Suite()),
    "a case without a name": (
        b"<testsuite><testcase><failure/></testcase></testsuite>",
        Suite(1, 1, 0, ("",)),
    ),
    "suites in suites": (
        b"<testsuite><testsuite><testcase name='a'/></testsuite><testcase name='b'/></testsuite>",
        Suite(2),
    ),
    "a failure outside a case": (b"<testsuite><failure/></testsuite>", Suite()),
    "a skipped case that failed": (
        b"<testsuite><testcase name='a'><skipped/><failure/></testcase></testsuite>",
        Suite(1, 1, 0, ("a",)),
    ),
    "a name of many lines": (
        b"<testsuite><testcase name='a&#10;b\tc'><failure/></testcase></testsuite>",
        Suite(1, 1, 0, ("a b c",)),
    ),
}


@pytest.mark.parametrize(("data", "suite"), FORMS.values(), ids=FORMS)
def test_cases_are_counted_and_sums_are_not_believed(data: bytes, suite: Suite) -> None:
    assert read_report(data) == suite


BOMB = b"<!DOCTYPE x [<!ENTITY a '" + b"y" * 1000 + b"'>" + b"]><testsuite>" + b"&a;" * 1000 + b"</testsuite>"
LAUGHS = (
    b"<!DOCTYPE x [<!ENTITY a 'ha'>"
    + b"".join(b"<!ENTITY %c '%b'>" % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><testsuite><testcase name='&j;'/></testsuite>"
)
BAD = {
    "nothing": b"",
    "no xml": b"1..4\nok 1\n",
    "a report that was cut": PYTEST[:-30],
    "another kind": b"<coverage><testcase name='a'/></coverage>",
    "an entity that is long": BOMB,
    "a billion laughs": LAUGHS,
    "a file of this machine": b"<!DOCTYPE x [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><testsuite>&f;</testsuite>",
    "a document type alone": b"<!DOCTYPE testsuite SYSTEM 'http://localhost:1/x.dtd'><testsuite/>",
    "an encoding that nobody knows": b"<?xml version='1.0' encoding='klingon'?><testsuite/>",
    "bytes that are no text": b"\xff\xfe<\x00testsuite",
    "a zero byte": b"<testsuite>\x00</testsuite>",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_is_no_plain_report_counts_nothing(data: bytes) -> None:
    assert read_report(data) is None


def test_a_deep_report_is_read_without_falling() -> None:
    assert read_report(b"<testsuite>" + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</testsuite>") == Suite()


def test_only_the_first_failures_are_named() -> None:
    case = b"<testcase name='%d'><failure/></testcase>"
    found = read_report(b"<testsuite>" + b"".join(case % n for n in range(99)) + b"</testsuite>")
    assert found
    assert (found.failed, found.names) == (99, tuple(str(n) for n in range(MAX_NAMES)))
    assert in_words(found).startswith("99 of 99 tests failed: 0, 1, ")
    assert in_words(found).endswith(", …")


ONE = "<testsuite><testcase name='one'/></testsuite>"
PLACES = {
    "the usual name": ("junit.xml", "", ()),
    "a folder of reports": ("build/test-results/unit/TEST-a.xml", "", ()),
    "an option of the command": ("out/here.xml", "pytest --junitxml=out/here.xml -q", ()),
    "an option with a space": ("out/here.xml", "pytest --junit-xml 'out/here.xml'", ()),
    "an absolute option": ("out/here.xml", "pytest --junitxml {root}/out/here.xml", ()),
    "an artifact": ("odd/place.xml", "", ("odd/*.xml",)),
    "an artifact by a wide pattern": ("odd/deep/place.xml", "", ("odd/**",)),
}


@pytest.mark.parametrize(("name", "command", "artifacts"), PLACES.values(), ids=PLACES)
def test_a_report_is_found_at(tmp_path: Path, name: str, command: str, artifacts: tuple[str, ...]) -> None:
    reports = Reports(tmp_path, command.format(root=tmp_path), artifacts)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(ONE)
    assert reports.collect() == Suite(1)


def test_a_report_that_was_there_before_tells_nothing_of_this_check(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(ONE)
    reports = Reports(tmp_path)
    assert reports.collect() is None
    (tmp_path / "junit.xml").write_text(ONE.replace("one", "two"))
    os.utime(tmp_path / "junit.xml", ns=(1, 1))
    assert reports.collect() == Suite(1)


def test_several_reports_are_one(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    (tmp_path / "reports").mkdir()
    for name in "ab":
        (tmp_path / "reports" / f"{name}.xml").write_text(
            f"<testsuite><testcase name='{name}'><failure/></testcase></testsuite>"
        )
    assert reports.collect() == Suite(2, 2, 0, ("a", "b"))


def test_a_report_is_read_from_no_other_place(tmp_path: Path) -> None:
    root, outside = tmp_path / "work", tmp_path / "outside.xml"
    root.mkdir()
    (tmp_path / "elsewhere").mkdir()
    reports = Reports(root, f"pytest --junitxml={outside} --junitxml=../outside.xml")
    outside.write_text(ONE)
    (tmp_path / "elsewhere" / "a.xml").write_text(ONE)
    (root / "junit.xml").symlink_to(outside)
    (root / "reports").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(root / "report.xml")
    (root / "test-results.xml").write_bytes(b" " * (MAX_BYTES + 1))
    assert reports.collect() is None
