"""JUnit reports that a check writes: how many tests ran, failed and were skipped, and which failed. The
files are an agent's: bounded, without document types or entities, and reached by no link."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.parsers import expat

from aq.core.event import one_line
from aq.core.record import Suite
from aq.host.found import find_files, read_regular

MAX_BYTES = 4 * 1024 * 1024
MAX_FILES = 100
MAX_NAMES = 10
_MAX_NAME = 160
# Where test runners and their users put reports.
COMMON = (
    "junit.xml",
    "report.xml",
    "test-report.xml",
    "test-results.xml",
    "junit/*.xml",
    "reports/*.xml",
    "test-reports/*.xml",
    "test-results/*.xml",
    "build/test-results/**/*.xml",
    "target/surefire-reports/*.xml",
)
_OPTION = re.compile(r"--(?:junit-?xml|junitfile|output-junit)(?:=|\s+)[\"']?([^\s\"']+)")
_Stamp = tuple[int, int, int]


class Reports:
    """The reports of one check: those that it wrote. What was there before and did not change tells of
    an earlier check, or came with the repository."""

    def __init__(self, root: Path, command: str = "", artifacts: Sequence[str] = ()) -> None:
        named = [name for name in _OPTION.findall(command) if ".." not in name.split("/")]
        inside = [name.removeprefix(f"{root}/") for name in named]
        wanted = [name for name in artifacts if name.endswith((".xml", "*")) and not name.startswith("!")]
        self._root = root
        self._patterns = (*COMMON, *(name for name in inside if not name.startswith("/")), *wanted)
        self._before = self._stamps()

    def _stamps(self) -> dict[str, _Stamp]:
        found = (name for name in find_files(self._root, self._patterns) if name.endswith(".xml"))
        stamps = {}
        for name in found:
            try:
                facts = (self._root / name).lstat()
            except OSError:
                continue
            stamps[name] = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
        return stamps

    def collect(self) -> Suite | None:
        """What the reports that were written since say together; None without any."""
        fresh = [name for name, stamp in self._stamps().items() if self._before.get(name) != stamp]
        suites = []
        for name in fresh[:MAX_FILES]:
            data = read_regular(self._root / name, MAX_BYTES)
            suite = read_report(data) if data else None
            if suite:
                suites.append(suite)
        return _sum(suites) if suites else None


def _sum(suites: Iterable[Suite]) -> Suite:
    total = Suite()
    for one in suites:
        total = Suite(
            total.total + one.total,
            total.failed + one.failed,
            total.skipped + one.skipped,
            (*total.names, *one.names)[:MAX_NAMES],
        )
    return total


class _Reader:
    """Counts test cases. What a report says of its own sums is not believed."""

    def __init__(self) -> None:
        self.root = self._case = ""
        self._state = ""
        self.suite = Suite()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.root = self.root or tag
        if tag == "testcase":
            self._case = "::".join(filter(None, (attributes.get("classname"), attributes.get("name"))))
            self._state = "passed"
        elif self._state and tag in ("failure", "error"):
            self._state = "failed"
        elif self._state == "passed" and tag == "skipped":
            self._state = "skipped"

    def end(self, tag: str) -> None:
        if tag != "testcase" or not self._state:
            return
        failed, old = self._state == "failed", self.suite
        names = (*old.names, one_line(self._case, _MAX_NAME))[:MAX_NAMES] if failed else old.names
        skipped = old.skipped + (self._state == "skipped")
        self.suite = Suite(old.total + 1, old.failed + failed, skipped, names)
        self._state = ""


def _refuse(*_: Any) -> None:
    raise ValueError("a test report has no document type")


def read_report(data: bytes) -> Suite | None:
    """What one report says; None for anything that is no JUnit report."""
    reader, parser = _Reader(), expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    # Without a document type there are no entities: nothing grows, nothing is fetched.
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError):
        return None
    return reader.suite if reader.root in ("testsuites", "testsuite") else None


def in_words(suite: Suite) -> str:
    """`2 of 40 tests failed (3 skipped): a::b, c::d`."""
    more = ", …" if suite.failed > len(suite.names) else ""
    skipped = f" ({suite.skipped} skipped)" if suite.skipped else ""
    return f"{suite.failed} of {suite.total} tests failed{skipped}: {', '.join(suite.names)}{more}"
