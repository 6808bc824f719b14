"""Valid job files, and the manifest that each means. The key list is the one of the design."""

from __future__ import annotations

from typing import Any

import pytest

from aq.core.files.jobfile import JobFile, parse_job, written_key
from aq.core.files.parsing import known_keys
from aq.core.manifest import KEYS, Budget, Check, CheckKind, Deps, Manifest, Priority, Retry, ReviewPolicy
from aq.core.value import names
from tests.core.badfiles import front

# DESIGN section 6, in its order.
DESIGN_KEYS = [
    *("engine", "engine-class", "profile", "repo", "cwd", "base", "workspace", "capabilities", "prefers"),
    *("priority", "deps", "not-before", "lock", "timeout", "budget", "retry", "verify", "fix", "setup"),
    *("baseline", "resume", "sandbox", "on-partition", "product", "every", "allowed-scope", "review-policy"),
    *("deliver", "artifacts", "idempotency-key", "tracker-item", "model", "yolo", "env", "labels", "title"),
]
ALIASES = ["depends_on", "blocked_by"]

DESIGN_FILE = """---
engine: claude
engine-class: agentic-coder
profile: backend-engineer
repo: billing
base: main
workspace: isolated
capabilities: [os:any, node>=20, has:docker]
prefers: [host:mac-2]
priority: high
deps: [schema-x7k2]
not-before: 2026-12-01T09:00Z
lock: billing-db
timeout: 45m
budget: {usd: 5, tokens: 2M, wall: 4h}
retry: {max: 2, backoff: 5m, on: [timeout, verify_failed, crash], infra: 5}
verify: pytest -q
fix: {max: 1}
setup: pip install -e .
baseline: true
resume: true
sandbox: auto
on-partition: continue
product: billing
every: 24h
allowed-scope: ["src/**", "tests/**"]
review-policy: manual
deliver: branch
artifacts: [coverage.xml, screenshots/**]
idempotency-key: nomgap-ux-2
tracker-item: ITEM-789
model: …
yolo: false
env: [NAMES]
labels: [ui]
title: …
---
The prompt.
"""


def command(text: str) -> Check:
    return Check(CheckKind.COMMAND, text)


def test_the_schema_has_the_keys_of_the_design_and_no_more() -> None:
    assert sorted(known_keys(JobFile)) == sorted(DESIGN_KEYS + ALIASES)


def test_the_design_s_own_example_is_valid_and_gives_every_key_but_cwd() -> None:
    manifest, body = parse_job(DESIGN_FILE.encode())
    assert body == "The prompt."
    assert set(manifest.given) == set(KEYS) - {"cwd"}
    assert manifest.over(Manifest()) is manifest
    assert manifest == Manifest(
        engine="claude",
        engine_class="agentic-coder",
        profile="backend-engineer",
        repo="billing",
        base="main",
        capabilities=("os:any", "node>=20", "has:docker"),
        prefers=("host:mac-2",),
        priority=Priority.HIGH,
        deps=Deps(("schema-x7k2",)),
        not_before="2026-12-01T09:00:00Z",
        lock="billing-db",
        timeout=2700,
        budget=Budget(5, 2_000_000, 14400),
        retry=Retry(2, 300, ("timeout", "verify_failed", "crash"), 5),
        verify=(command("pytest -q"),),
        setup="pip install -e .",
        resume=True,
        sandbox="auto",
        product="billing",
        every=86400,
        allowed_scope=("src/**", "tests/**"),
        artifacts=("coverage.xml", "screenshots/**"),
        idempotency_key="nomgap-ux-2",
        tracker_item="ITEM-789",
        model="…",
        env=("NAMES",),
        labels=("ui",),
        title="…",
        given=manifest.given,
    )


def test_every_field_of_a_manifest_can_be_written_and_has_its_written_name() -> None:
    assert sorted(written_key(name) for name in KEYS) == sorted(DESIGN_KEYS)
    assert set(names(Manifest)) == {*KEYS, "prefers_engine", "given"}


GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    "no keys": ("", {}),
    "a comment": ("# nothing yet", {}),
    "a phase-0 file": (
        "engine: claude\ncwd: /srv/app\nyolo: true\nlock: app\ntimeout: 30m\nverify: make test",
        {
            "engine": "claude",
            "cwd": "/srv/app",
            "yolo": True,
            "lock": "app",
            "timeout": 1800,
            "verify": (command("make test"),),
        },
    ),
    "a Windows cwd": ("cwd: 'C:\\src\\app'", {"cwd": "C:\\src\\app"}),
    "a key without a value is not given": ("engine:\nlock: ~\ntitle: null", {}),
    "a quoted null is text": ("lock: 'null'", {"lock": "null"}),
    "one value where a list may stand": (
        "capabilities: os:linux\nlabels: ui\nenv: A_1\nartifacts: x",
        {"capabilities": ("os:linux",), "labels": ("ui",), "env": ("A_1",), "artifacts": ("x",)},
    ),
    "depends_on": ("depends_on: [a, b]", {"deps": Deps(("a", "b"))}),
    "blocked_by as one word": ("blocked_by: a", {"deps": Deps(("a",))}),
    "deps by stage": ("deps: {shipped: a, testing: [b, c]}", {"deps": Deps(("a",), ("b", "c"))}),
    "a number stays an id": ("deps: [012]", {"deps": Deps(("012",))}),
    "no is text": ("labels: [no, off, y, 1.0]", {"labels": ("no", "off", "y", "1.0")}),
    "a leading zero stays text": ("lock: 012", {"lock": "012"}),
    "sixty-based numbers stay text": ("lock: 1:30", {"lock": "1:30"}),
    "a date stays text": ("title: 2026-12-01", {"title": "2026-12-01"}),
    "a number stays text": ("title: 1e3", {"title": "1e3"}),
    "a time with an offset": ("not-before: 2026-12-01T09:00+02:00", {"not_before": "2026-12-01T07:00:00Z"}),
    "a verify list": ("verify: [make, make test]", {"verify": (command("make"), command("make test"))}),
    "one check as a mapping": (
        "verify: {file_exists: out/x}",
        {"verify": (Check(CheckKind.FILE_EXISTS, "out/x"),)},
    ),
    "every kind of check": (
        "verify: [{file_exists: x}, {command: y}, {test_passes: z}, {git_clean: true}, w]",
        {
            "verify": (
                Check(CheckKind.FILE_EXISTS, "x"),
                command("y"),
                Check(CheckKind.TEST_PASSES, "z"),
                Check(CheckKind.GIT_CLEAN, "true"),
                command("w"),
            )
        },
    ),
    "a script as a block": ("setup: |\n  make\n  make test", {"setup": "make\nmake test\n"}),
    "fix": ("fix: {max: 3}", {"fix_max": 3}),
    "part of a budget": ("budget: {tokens: 500k}", {"budget": Budget(tokens=500_000)}),
    "part of a retry": ("retry: {max: 0}", {"retry": Retry(max=0)}),
    "review auto": ("review-policy: auto", {"review_policy": ReviewPolicy("auto")}),
    "review manual": ("review-policy: manual", {"review_policy": ReviewPolicy("manual")}),
    "reviewers": (
        "review-policy: {reviewers: [alice, bob], approvals: 2}",
        {"review_policy": ReviewPolicy("manual", ("alice", "bob"), 2)},
    ),
    "one reviewer": (
        "review-policy: {reviewers: alice}",
        {"review_policy": ReviewPolicy("manual", ("alice",), 1)},
    ),
    "no approvals is not auto": (
        "review-policy: {reviewers: [alice], approvals: 0}",
        {"review_policy": ReviewPolicy("manual", ("alice",), 0)},
    ),
    "a reviewer named auto is not auto": (
        "review-policy: {reviewers: [auto], approvals: 0}",
        {"review_policy": ReviewPolicy("manual", ("auto",), 0)},
    ),
    "every of one minute": ("every: 1m", {"every": 60}),
    "in place": ("workspace: in-place", {"workspace": "in-place"}),
    "stop on partition": ("on-partition: stop", {"on_partition": "stop"}),
    "no baseline": ("baseline: false", {"baseline": False}),
}


@pytest.mark.attack("S8")
@pytest.mark.parametrize("name", GOOD)
def test_a_good_file_means_exactly_this(name: str) -> None:
    text, expected = GOOD[name]
    manifest, body = parse_job(front(text))
    assert body == "Do it."
    assert manifest == Manifest(**expected, given=tuple(sorted(expected)))


BODIES = {
    "no front matter": (b"Fix the login.\n", "Fix the login."),
    "a rule further down is no fence": (
        b"Fix it.\n\n---\nengine: shell\n---\n",
        "Fix it.\n\n---\nengine: shell\n---",
    ),
    "Windows line ends": (b"---\r\nengine: shell\r\n---\r\nA\r\nB\r\n", "A\nB"),
    "a rule in the body": (b"---\nengine: shell\n---\nA\n---\nB\n", "A\n---\nB"),
    "a fence with trailing blanks": (b"---  \nengine: shell\n---\t\nA\n", "A"),
    "an empty front matter": (b"---\n---\nA\n", "A"),
    "four dashes are no fence": (b"----\nA\n", "----\nA"),
    "blank lines around the body": (b"---\nengine: shell\n---\n\n\nA\n\n", "A"),
    "umlauts and emoji": ("Grüße 🙂\n".encode(), "Grüße 🙂"),
    "exactly 1 MiB": (b"x" * 1_048_576, "x" * 1_048_576),
    "a tab": (b"a\tb", "a\tb"),
    "a body that YAML could not read": (b"---\nengine: shell\n---\n{{{ &a *b !!x\n", "{{{ &a *b !!x"),
}


@pytest.mark.parametrize("name", BODIES)
def test_the_body_is_what_stands_below_the_front_matter(name: str) -> None:
    data, expected = BODIES[name]
    assert parse_job(data)[1] == expected


def test_front_matter_of_exactly_64_kib_is_read() -> None:
    text = "#" + "x" * (65_536 - len("#\nengine: shell\n")) + "\nengine: shell"
    assert len(text.encode()) == 65_535
    assert parse_job(front(text))[0].engine == "shell"


def test_what_a_file_does_not_give_comes_from_the_defaults() -> None:
    defaults, _ = parse_job(front("timeout: 1h\nlock: shared\npriority: low"))
    manifest, _ = parse_job(front("lock: own"))
    merged = manifest.over(defaults)
    assert (merged.timeout, merged.lock, merged.priority) == (3600, "own", Priority.LOW)
    assert merged.given == ("lock",)


def test_the_json_schema_knows_every_key_and_its_words() -> None:
    schema = JobFile.model_json_schema()
    assert set(schema["properties"]) == set(DESIGN_KEYS)
    assert schema["additionalProperties"] is False
    assert all(entry["description"] for entry in schema["properties"].values())
