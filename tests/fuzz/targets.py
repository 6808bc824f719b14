"""The readers under test. A target takes bytes and raises only when the reader broke its promise: a value,
or an error of ours that a person can read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from aq.core.codec import decode_as
from aq.core.encoding import encode
from aq.core.engine.classify import classify
from aq.core.engine.gather import Gatherer
from aq.core.errors import AqError
from aq.core.event import parse, render
from aq.core.files.jobfile import parse_job
from aq.core.files.profilefile import parse_profile
from aq.core.files.settingsfile import parse_settings
from aq.core.fleet import Beat
from aq.core.globs import matches
from aq.core.instants import parse_instant
from aq.core.lease import Lease
from aq.core.record import CheckResult, Note, Record, Round, Run, Suite, Verdict
from aq.core.requirement import parse_requirement, satisfied
from aq.core.settings import Amount, Pause, Spend
from aq.core.units import parse_count, parse_duration
from aq.host.engines import ENGINES
from aq.host.junit import read_report
from tests.core.badfiles import FILES

Target = Callable[[bytes], None]
_AT = "2026-11-21T10:00:00Z"
_CHECKS = (CheckResult("pytest -q", False, "1 failed", 2.5, Suite(3, 1, 0, ("test_a",))),)
_ROUNDS = (Round(1, _AT, _CHECKS, "aq/a/1-fix1", "ab" * 20, 0.5, 100),)
_RECORD = Record(
    since=_AT,
    queued=_AT,
    epoch=1,
    attempts=1,
    verdict=Verdict(1, "passed", _AT, "b", _CHECKS),
    hold=Note("alice", _AT, "wait"),
    runs=(Run(1, "b", "nonce", "shell", _AT, 1, rounds=_ROUNDS, outside=("x",)),),
)
OWN_FILES = (Record, Lease, Beat, Pause, Spend)


def jobfile(data: bytes) -> None:
    """A dropped file."""
    _ours(lambda: parse_job(data))


def settings(data: bytes) -> None:
    """`queue/aq.yaml`."""
    _ours(lambda: parse_settings(data))


def profile(data: bytes) -> None:
    """A profile."""
    _ours(lambda: parse_profile(data, "x"))


def own_files(data: bytes) -> None:
    """Records, leases, beats and the rest: what is read is written as something that reads the same."""
    for kind in OWN_FILES:
        try:
            value = decode_as(kind, data, "x")
        except AqError:
            continue
        assert decode_as(kind, encode(value), "x") == value


def message(data: bytes) -> None:
    """A commit message: an event that is read keeps who, what and where when it is written again."""
    event = parse(data.decode("utf-8", "replace"))
    if event is None:
        return
    again = parse(render(event))
    assert again is not None
    assert (again.op, again.source, again.target) == (event.op, event.source, event.target)


def words(data: bytes) -> None:
    """The small grammars: requirements, durations, counts, times, path patterns."""
    text = data.decode("utf-8", "replace")
    first, _, second = text.partition("\n")
    for read in (parse_duration, parse_count, parse_instant):
        _ours(lambda read=read: read(first))  # type: ignore[misc]
    matches(first, second)
    try:
        requirement = parse_requirement(first)
    except AqError:
        return
    assert satisfied(requirement, second.split()) in (True, False)
    assert satisfied(requirement, ()) is (requirement.value == "any")


def engine_output(data: bytes) -> None:
    """What an engine prints: any lines, and any end, are a verdict."""
    lines = data.decode("utf-8", "replace").split("\n")
    for name, engine in ENGINES.items():
        parser, gatherer = engine.parser(), Gatherer("", None)
        for line in lines:
            for event in parser.line(line, stderr=False):
                gatherer.add(event)
        for event in parser.end(0, ""):
            gatherer.add(event)
        assert classify(gatherer.report(0, ()), changed=False, engine=name)


def junit(data: bytes) -> None:
    """A test report."""
    read_report(data)


def _ours(read: Callable[[], object]) -> None:
    with suppress(AqError):
        read()


TARGETS: Mapping[str, Target] = {
    target.__name__.replace("_", "-"): target
    for target in (jobfile, settings, profile, own_files, message, words, engine_output, junit)
}


def seeds() -> Iterable[bytes]:
    """Where to begin: every bad job file that has a test, and one good line of each kind."""
    yield from (data[:4096] for data, _ in FILES.values())
    yield b"---\nengine: shell\nbudget: {usd: 5, tokens: 2M}\nretry: {max: 2}\n---\nDo it.\n"
    yield b"cadence: {preset: lan, poll: 3s}\nbudgets: {fleet: {usd: 50, per: day}}\nweights: {load: 2}\n"
    yield b"claim a on b (attempt 1)\n\nAq-Job: a\nAq-Op: claim\nAq-From: inbox\nAq-To: building\n"
    yield encode(_RECORD)
    yield encode(Lease("a", "b", "boot", "nonce", 1, 1, "shell", 300.0, _AT, "pin"))
    yield encode(Pause("alice", "lunch", _AT, stop=True))
    yield encode(Spend(Amount(1.5, 2.0), {"billing": Amount(1.0, 0.5)}))
    yield b"node>=20\nnode=22.1 os:linux"
    yield b'{"type":"result","subtype":"success","usage":{"input_tokens":1},"total_cost_usd":0.1}\n'
    yield b"<testsuite tests='1'><testcase name='a'><failure/></testcase></testsuite>"
