"""Engines that the owner of a machine declares in YAML."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aq.core.engine.classify import classify
from aq.core.engine.events import Finished
from aq.core.value import replace
from aq.host.config import HostConfig
from aq.host.engines import ENGINES, engine_problems, engines
from aq.host.engines.base import Auth, Brief, Engine
from aq.host.engines.declared import PLACEHOLDERS, fill
from aq.host.engines.parsers import PARSERS
from aq.host.probe import probe_engines, probe_offers
from tests.support.gathering import gather

CONFIG = HostConfig("ada")
TOOL = """#!/bin/sh
case "$1" in
--version) echo "mytool v1.2.3-rc1 (build 7)" ;;
whoami) exit "${WHOAMI:-0}" ;;
esac
"""
WHOLE = """
argv: [mytool, run, --model, "{model}", --file, "{prompt_file}", "--out={folder}/x"]
prompt: file
parser: claude_jsonl
class: reviewer
env: [MYTOOL_TOKEN]
set: {MYTOOL_QUIET: "1"}
yolo: [--yes]
resume: [--continue, "{session}"]
version-pattern: v(\\S+)
auth: {env-any: [MYTOOL_TOKEN], file-any: [~/.mytool/login], command: [mytool, whoami]}
exit-map: {3: quota, 4: ok}
state: [~/.mytool]
free: true
"""


@pytest.fixture
def folder(hermetic_home: Path) -> Path:
    made = hermetic_home / "engines"
    made.mkdir()
    return made


@pytest.fixture
def brief(tmp_path: Path) -> Brief:
    prompt = tmp_path / "prompt.md"
    prompt.write_text("Do it.")
    return Brief("Do it.", prompt, tmp_path / "run", tmp_path / "work")


@pytest.fixture
def mytool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tool = tmp_path / "bin" / "mytool"
    tool.parent.mkdir()
    tool.write_text(TOOL)
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    monkeypatch.delenv("WHOAMI", raising=False)
    return tool


def declared(folder: Path, text: str, name: str = "mytool") -> Engine:
    (folder / f"{name}.yaml").write_text(text)
    assert [str(problem) for problem in engine_problems()] == []
    return engines(CONFIG)[name]


def test_every_key_of_a_file_counts(folder: Path, brief: Brief) -> None:
    engine = declared(folder, WHOLE)
    assert (engine.name, engine.kind, engine.env, engine.state) == (
        "mytool",
        "reviewer",
        ("MYTOOL_TOKEN",),
        ("~/.mytool",),
    )
    assert engine.resumes
    assert engine.free
    made = engine.launch(replace(brief, model="m", yolo=True, session="s-1", path="/opt/mytool"))
    assert made.argv == (
        *("/opt/mytool", "run", "--model", "m", "--file", str(brief.prompt)),
        *(f"--out={brief.folder}/x", "--yes", "--continue", "s-1"),
    )
    assert made.stdin is None
    assert made.env == {"MYTOOL_QUIET": "1"}


def test_ten_lines_are_enough_and_one_is_too(folder: Path, brief: Brief) -> None:
    engine = declared(folder, "argv: [mytool]\n")
    assert (engine.kind, engine.resumes, engine.verdict) == ("agentic-coder", False, True)
    made = engine.launch(brief)
    assert (made.argv, made.stdin) == (("mytool",), brief.prompt)


def test_the_prompt_may_be_an_argument_that_is_never_an_option(folder: Path, brief: Brief) -> None:
    engine = declared(folder, 'argv: [mytool, "{prompt}"]\nprompt: arg\n')
    brief.prompt.write_text("--yes {model} \x00 $(id)")
    made = engine.launch(replace(brief, model="m"))
    assert made.argv == ("mytool", " --yes {model}  $(id)")
    assert made.stdin is None


FILLED = {
    "what is there": (("a", "{model}"), {"model": "m"}, ("a", "m")),
    "inside an argument": (("a", "--model={model}"), {"model": "m"}, ("a", "--model=m")),
    "nothing, with its option": (("a", "--model", "{model}", "b"), {}, ("a", "b")),
    "nothing, inside an argument": (("a", "--x", "--model={model}"), {}, ("a", "--x")),
    "nothing, without an option": (("a", "run", "{model}"), {}, ("a", "run")),
    "nothing, after a dash": (("a", "-", "{model}"), {}, ("a", "-")),
    "nothing, after two dashes": (("a", "--", "{model}"), {}, ("a", "--")),
    "nothing, after the program": (("-a", "{model}"), {}, ("-a",)),
    "two in one": (("a", "{model}:{session}"), {"model": "m", "session": "s"}, ("a", "m:s")),
    "two in one, one of them missing": (("a", "{model}:{session}"), {"model": "m"}, ("a",)),
    "what looks like one is never read again": (
        ("a", "{model}"),
        {"model": "{session}", "session": "x"},
        ("a", "{session}"),
    ),
    "what format strings could do": (("a", "{0.__class__}", "{}", "{model!r}"), {}, None),
    "JSON": (("a", '{"a": {"b": 1}}'), {}, None),
}


@pytest.mark.parametrize(("template", "values", "argv"), FILLED.values(), ids=FILLED)
def test_only_known_placeholders_are_filled_in(
    template: tuple[str, ...], values: dict[str, str], argv: tuple[str, ...] | None
) -> None:
    assert fill(template, values) == (argv or template)


BAD = {
    "an unknown key": (
        "argv: [a]\nparse: text\n",
        "2: unknown key 'parse'; did you mean 'parser'?",
    ),
    "no argv": ("prompt: stdin\n", "1: argv: this key is required; see the table of keys in the README"),
    "no program": ("argv: []\n", "1: argv: there is no program; write it first, such as [mytool, run]"),
    "a placeholder as program": (
        'argv: ["{model}"]\n',
        "1: argv: there is no program; write it first, such as [mytool, run]",
    ),
    "an unknown placeholder": (
        'argv: [a, "{modle}"]\n',
        (
            "1: argv.1: {modle} is no placeholder; the placeholders are {model} {prompt} {prompt_file} "
            "{session} {workspace} {folder}"
        ),
    ),
    "a placeholder without quotes": (
        "argv:\n  - a\n  - {model}\n",
        '3: argv.1: an argument must be text; put it in quotes, such as "{model}"',
    ),
    "a prompt as a file that is nowhere": (
        "prompt: file\nargv: [a]\n",
        "2: argv: {prompt_file} is missing; say with {prompt_file} where the prompt goes",
    ),
    "a prompt as an argument that is nowhere": (
        "prompt: arg\nargv: [a]\n",
        "2: argv: {prompt} is missing; say with {prompt} where the prompt goes",
    ),
    "a prompt in argv without a word": (
        'argv: [a, "{prompt}"]\n',
        "1: argv: {prompt} stands in argv; write `prompt: arg` for that",
    ),
    "an unknown parser": (
        "argv: [a]\nparser: xml\n",
        (
            "2: parser: 'xml' is not known; write one of 'claude_jsonl', 'codex_jsonl', 'gemini_jsonl', "
            "'copilot_jsonl', 'opencode_jsonl', 'qwen_jsonl', 'goose_json', 'aider_text', "
            "'mini_trajectory' or 'text'"
        ),
    ),
    "an unknown class of failure": (
        "argv: [a]\nexit-map: {3: tired}\n",
        (
            "2: exit-map.3: 'tired' is not known; write one of 'ok', 'auth', 'quota', 'rate_limit', "
            "'overloaded', 'context', 'network', 'budget', 'denied', 'agent', 'crash' or 'unknown'"
        ),
    ),
    "a value for a variable to pass on": (
        "argv: [a]\nenv: [TOKEN=x]\n",
        "2: env.0: 'TOKEN=x' is not the name of an environment variable; write only the name",
    ),
    "a pattern that is none": (
        "argv: [a]\nversion-pattern: '('\n",
        (
            "2: version-pattern: not a regular expression: missing ), unterminated subpattern at position 0; "
            "write one such as \\d+\\.\\d+\\.\\d+"
        ),
    ),
    "an unknown key of auth": (
        "argv: [a]\nauth: {env: [A]}\n",
        "2: unknown key 'auth.env'; did you mean 'env-any'?",
    ),
    "a shell string": (
        "argv: [a]\nyolo: {a: b}\n",
        "2: yolo: a list is expected; see the table of keys in the README",
    ),
    "no YAML": ("argv: [\n", "2: not YAML: did not find expected node content; check quotes, colons and"),
    "a list": ("- a\n", "1: keys and values are expected here; write lines like `engine: shell`"),
    "too long": ("# " + "x" * 70_000, "1: the file has 70002 bytes; the limit is 65536"),
}


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=BAD)
def test_what_is_wrong_with_a_file_is_told_by_its_line(folder: Path, text: str, words: str) -> None:
    (folder / "bad.yaml").write_text(text)
    (problem,) = engine_problems()
    assert str(problem).startswith(f"{folder / 'bad.yaml'}:{words}")


NAMES = {
    "a built-in engine's": ("claude.yaml", "there is an engine claude already"),
    "the shell's": ("shell.yml", "there is an engine shell already"),
    "capitals": ("MyTool.yaml", "'MyTool' is not a name for an engine"),
    "a dot in front": (".hidden.yaml", "'.hidden' is not a name for an engine"),
    "a space": ("my tool.yaml", "'my tool' is not a name for an engine"),
    "a number in front": ("7up.yaml", "'7up' is not a name for an engine"),
}


@pytest.mark.parametrize(("file", "words"), NAMES.values(), ids=NAMES)
def test_an_engine_is_named_by_its_file(folder: Path, file: str, words: str) -> None:
    (folder / file).write_text("argv: [a]\n")
    (problem,) = engine_problems()
    assert words in str(problem)
    assert set(engines(CONFIG)) == set(ENGINES)


def test_a_broken_file_stops_no_other(folder: Path) -> None:
    (folder / "a.yaml").write_text("argv: 7: 8\n")
    (folder / "b.yaml").mkdir()
    (folder / "c.yaml").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "d.yaml")
    (folder / "good.yaml").write_text("argv: [a]\n")
    (folder / "good.yml").write_text("argv: [b]\n")
    (folder / "notes.txt").write_text("not ours")
    assert set(engines(CONFIG)) == {*ENGINES, "good"}
    assert [Path(problem.file).name for problem in engine_problems()] == [
        *("a.yaml", "b.yaml", "c.yaml", "d.yaml"),
        "good.yml",
    ]


def test_without_a_folder_there_are_none(hermetic_home: Path) -> None:
    assert engines(CONFIG) == ENGINES
    assert engine_problems() == ()


def test_a_declared_engine_may_be_denied_too(folder: Path) -> None:
    declared(folder, "argv: [mytool]\n")
    assert "mytool" not in engines(HostConfig("ada", deny=("mytool",)))
    assert set(engines(HostConfig("ada", allow=("mytool",)))) == {"mytool"}


def test_it_is_offered_with_its_version_and_class(folder: Path, mytool: Path) -> None:
    declared(folder, WHOLE)
    assert probe_engines(CONFIG)["mytool"] == "reviewer"
    assert {"engine:mytool", "mytool=1.2.3-rc1"} <= probe_offers(CONFIG)


AUTHS = {
    "nothing is said about it": ("", {}, Auth.UNKNOWN),
    "a variable": ("auth: {env-any: [A, B]}", {"B": "x"}, Auth.YES),
    "no variable": ("auth: {env-any: [A, B]}", {}, Auth.NO),
    "an empty variable": ("auth: {env-any: [A]}", {"A": ""}, Auth.NO),
    "a file": ("auth: {file-any: [~/.here]}", {}, Auth.YES),
    "a file under a variable": ("auth: {file-any: [$SOME/.here]}", {}, Auth.YES),
    "no file": ("auth: {file-any: [~/.nowhere, $NONE/.here]}", {}, Auth.NO),
    "a command": ("auth: {command: [mytool, whoami]}", {}, Auth.YES),
    "a command that says no": ("auth: {command: [mytool, whoami]}", {"WHOAMI": "1"}, Auth.NO),
    "another program": ("auth: {command: ['true']}", {}, Auth.YES),
    "another program that says no": ("auth: {command: ['false']}", {}, Auth.NO),
    "another program that is not here": ("auth: {command: [nowhere-at-all, x]}", {}, Auth.UNKNOWN),
}


@pytest.mark.parametrize(("text", "env", "auth"), AUTHS.values(), ids=AUTHS)
def test_whether_it_has_credentials(
    folder: Path, mytool: Path, hermetic_home: Path, text: str, env: dict[str, str], auth: Auth
) -> None:
    (hermetic_home / ".here").write_text("")
    engine = declared(folder, f"argv: [mytool]\n{text}\n")
    probe = engine.probe({**os.environ, "SOME": str(hermetic_home), **env})
    assert (probe.path, probe.version, probe.auth) == (str(mytool), "1.2.3-rc1", auth)


def test_a_program_may_be_given_by_its_path(folder: Path, mytool: Path, hermetic_home: Path) -> None:
    (hermetic_home / "tools").symlink_to(mytool.parent)
    engine = declared(folder, "argv: [~/tools/mytool]\n")
    assert engine.probe(os.environ).path == str(hermetic_home / "tools" / "mytool")


EXITS = {0: "", 3: "quota", 4: "", 5: "agent", 6: "denied", -9: "crash"}


@pytest.mark.parametrize(("code", "failure"), EXITS.items())
def test_an_exit_code_means_what_the_file_says(folder: Path, code: int, failure: str) -> None:
    engine = declared(folder, "argv: [mytool]\nexit-map: {3: quota, 4: ok, 6: denied}\n")
    parser = engine.parser()
    said = [*parser.line("All done.", stderr=False), *parser.end(code, "")]
    report = gather(said, code)
    assert classify(report, changed=True, engine="mytool").failure == failure
    if code >= 0:
        assert isinstance(said[-1], Finished)
        assert report.text == "All done."


def test_every_parser_can_be_named(folder: Path) -> None:
    for number, name in enumerate(PARSERS):
        engine = declared(folder, f"argv: [a]\nparser: {name}\n", f"e{number}")
        assert list(engine.parser().line("noise", stderr=False)) == []


def test_the_placeholders_are_all_filled_in(folder: Path, brief: Brief) -> None:
    every = ", ".join(f'"{{{name}}}"' for name in PLACEHOLDERS)
    made = declared(folder, f"argv: [mytool, {every}]\nprompt: arg\n").launch(
        replace(brief, model="m", session="s")
    )
    assert made.argv == (
        *("mytool", "m", "Do it.", str(brief.prompt), "s"),
        *(str(brief.workspace), str(brief.folder)),
    )
