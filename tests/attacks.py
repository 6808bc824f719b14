"""The attacks that aq is tested against, and the tests that carry their mark. `SECURITY.md` is made from
this; no test lives here."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

TESTS = Path(__file__).parent

# The attack, and what holds all the same.
ATTACKS: Mapping[str, tuple[str, str]] = {
    "S1": (
        "whoever can push submits commands",
        "with `trust: signed` only what a trusted key submitted is run; `job-commands` rules the lines",
    ),
    "S2": (
        "a job asks for an engine, a folder or a repository that this host does not give",
        "the host's own settings decide; it refuses, and says which clause",
    ),
    "S3": (
        "a lease, a stage, a ship or an approval is forged",
        "the job is out of play and nothing ships; `trust: signed` sees well formed forgeries as well",
    ),
    "S4": (
        "the keys that count are changed",
        "a host pins the first; later ones come link by link from an admin of those before",
    ),
    "S6": (
        "a job file is huge, binary or no text",
        "it is refused with file and line; other jobs go on",
    ),
    "S7": (
        "a job file hides keys behind duplicates, a byte order mark or an unclosed fence",
        "it is refused with file and line, never read as a file without keys",
    ),
    "S8": (
        "a value means something else to YAML than to a person",
        "every scalar is text until the schema types it",
    ),
    "S9": (
        "a front matter is a bomb: nesting, aliases, merge keys, thousands of values",
        "it is refused before the YAML loader sees it",
    ),
    "S10": ("a YAML tag builds an object", "tags are refused"),
    "S11": (
        "a file name is a path, an option, a device or differs by case only",
        "it is no job; what stands beside it goes on",
    ),
    "S12": (
        "a link, a gitlink or an executable lies in the queue or in the work",
        "only regular files are read, by their blob; a link is recorded as a link and never followed",
    ),
    "S13": (
        "a URL, a branch or a session is an option of git or of an engine",
        "it is refused where it is read",
    ),
    "S14": (
        "a repository plants hooks, filters, attributes or settings",
        "nothing planted runs in the runner's git, and every change is seen",
    ),
    "S15": (
        "an agent changes its own guards, or hides what it changed",
        "guards are out of scope unless named; ignored and nested files are seen",
    ),
    "S16": (
        "a repository or a variable redirects an engine",
        "the runner's own settings and endpoint are what the engine gets",
    ),
    "S17": (
        "a prompt tells the agent to do harm",
        "it cannot pose as the runner's words or options; a sandboxed run writes only where it works",
    ),
    "S18": (
        "a child reads secrets from its environment or from files",
        "it gets an allow-list; keys and other runs are hidden in the sandbox",
    ),
    "S19": (
        "a secret gets into a log, a record, a commit or an answer",
        "it is replaced before it is written; a job file that holds one is refused",
    ),
    "S20": (
        "a title, a message or a log holds what a terminal obeys",
        "it is shown as text",
    ),
    "S24": (
        "a run folder holds planted links, or is open to other users",
        "files are written by replacing, folders are closed to others, links lead nowhere",
    ),
}


def marked_tests() -> dict[str, list[tuple[str, str]]]:
    """For each attack the tests with its mark: the file below `tests`, and the test's name."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text("utf-8")
        if "mark.attack" not in text:
            continue
        for name, attack in _marks(ast.parse(text)):
            found[attack].append((path.relative_to(TESTS).as_posix(), name))
    return found


def _marks(module: ast.Module) -> Iterator[tuple[str, str]]:
    for node in module.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.attack":
                yield from ((node.name, str(ast.literal_eval(argument))) for argument in decorator.args)


def threat_rows() -> list[list[str]]:
    """The rows of the threat table: number, attack, what holds, and the tests that show it."""
    tests = marked_tests()
    return [
        [attack, what, holds, "<br>".join(_linked(*test) for test in tests[attack])]
        for attack, (what, holds) in ATTACKS.items()
    ]


def _linked(path: str, name: str) -> str:
    return f"[{name.removeprefix('test_').replace('_', ' ')}](tests/{path})"
