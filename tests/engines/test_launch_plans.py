"""How each engine is started: its arguments with and without yolo, with a model, with a session to go on
with, and with limits; where its prompt goes; and what is written where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from aq.core.value import replace
from aq.host.engines import ENGINES
from aq.host.engines.base import Brief, Launch

PROMPT = "Do it.\n"
AGENTS = [name for name in ENGINES if name not in ("local", "shell")]


@pytest.fixture
def brief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Brief:
    for name in ("GEMINI_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "GEMINI_CLI_HOME"):
        monkeypatch.delenv(name, raising=False)
    folder, workspace = tmp_path / "run", tmp_path / "work"
    folder.mkdir()
    workspace.mkdir()
    prompt = folder / "prompt.md"
    prompt.write_text(PROMPT)
    return Brief("Do it.", prompt, folder, workspace)


def launch(engine: str, brief: Brief, **more: Any) -> Launch:
    return ENGINES[engine].launch(replace(brief, **more))


def argv(engine: str, brief: Brief, **more: Any) -> str:
    """The arguments as one line, with the run's folder as RUN."""
    return " ".join(launch(engine, brief, **more).argv).replace(str(brief.folder), "RUN")


CODEX = "codex exec --json --skip-git-repo-check"
CODEX_QUIET = (
    "-c analytics.enabled=false -c check_for_update_on_startup=false "
    '-c otel.exporter="none" --disable plugins'
)
CONFINED = (
    "--sandbox workspace-write -c sandbox_workspace_write.exclude_slash_tmp=true "
    "-c sandbox_workspace_write.exclude_tmpdir_env_var=true"
)
COPILOT = (
    "--no-ask-user --no-auto-update --no-color --disable-builtin-mcps "
    "--usage-output-file RUN/copilot-usage.json"
)
AIDER = (
    "aider --yes-always --no-auto-commits --no-gitignore --no-pretty --no-stream --no-check-update "
    "--no-analytics --no-show-model-warnings --no-show-release-notes"
)
AIDER_FILES = (
    "--chat-history-file RUN/aider.chat.md --input-history-file RUN/aider.input --message-file RUN/prompt.md"
)
CLAUDE = "claude -p --output-format stream-json --verbose"
CLAUDE_END = "--setting-sources user,project --strict-mcp-config"
MINI_END = "-c mini.yaml -c RUN/mini-prompt.yaml -l 0 -o RUN/mini-trajectory.json"
PLANS = {
    "claude": (
        f"{CLAUDE} --permission-mode acceptEdits {CLAUDE_END}",
        f"{CLAUDE} --dangerously-skip-permissions {CLAUDE_END}",
    ),
    "codex": (
        f"{CODEX} {CONFINED} {CODEX_QUIET} -",
        f"{CODEX} --dangerously-bypass-approvals-and-sandbox {CODEX_QUIET} -",
    ),
    "gemini": (
        "gemini -o stream-json --approval-mode auto_edit --skip-trust",
        "gemini -o stream-json --approval-mode yolo --skip-trust",
    ),
    "copilot": (
        f"copilot --output-format json --allow-tool write {COPILOT}",
        f"copilot --output-format json --yolo {COPILOT}",
    ),
    "opencode": ("opencode run --format json --pure", "opencode run --format json --pure --auto"),
    "qwen": ("qwen -o stream-json --approval-mode auto-edit", "qwen -o stream-json --approval-mode yolo"),
    "aider": (
        f"{AIDER} --no-suggest-shell-commands --edit-format diff {AIDER_FILES}",
        f"{AIDER} --edit-format diff {AIDER_FILES}",
    ),
    "mini": (f"mini -y --exit-immediately {MINI_END}", f"mini -y --exit-immediately {MINI_END}"),
    "devin": (
        "devin -p --prompt-file RUN/prompt.md --permission-mode accept-edits --export RUN/devin-export.json",
        "devin -p --prompt-file RUN/prompt.md --permission-mode dangerous --export RUN/devin-export.json",
    ),
    "cursor-agent": (
        "cursor-agent -p --output-format stream-json --trust --force --sandbox enabled",
        "cursor-agent -p --output-format stream-json --trust --force --sandbox disabled",
    ),
    "amp": ("amp -x --stream-json", "amp -x --stream-json --dangerously-allow-all"),
    "goose": (
        "goose run --no-session --output-format stream-json -i RUN/prompt.md",
        "goose run --no-session --output-format stream-json -i RUN/prompt.md",
    ),
    "crush": ("crush run --quiet --data-dir RUN/crush", "crush run --quiet --data-dir RUN/crush"),
}


def test_every_agent_has_a_plan_here() -> None:
    assert sorted(PLANS) == sorted(AGENTS)


@pytest.mark.parametrize("engine", AGENTS)
def test_the_arguments_with_and_without_yolo(engine: str, brief: Brief) -> None:
    calm, yolo = PLANS[engine]
    assert (argv(engine, brief), argv(engine, brief, yolo=True)) == (calm, yolo)


MODELS = {
    "claude": "--model m/1",
    "codex": "-m m/1",
    "gemini": "-m m/1",
    "copilot": "--model m/1",
    "opencode": "-m m/1",
    "qwen": "-m m/1",
    "aider": "--model m/1",
    "mini": "-m m/1",
    "devin": "--model m/1",
    "cursor-agent": "--model m/1",
    "crush": "--model m/1",
}


@pytest.mark.parametrize("engine", AGENTS)
def test_a_model_is_passed_on_where_it_is_ours_to_choose(engine: str, brief: Brief) -> None:
    made = argv(engine, brief, model="m/1")
    if engine in MODELS:
        assert f" {MODELS[engine]} " in f"{made} "
        assert made.replace(f" {MODELS[engine]}", "") == PLANS[engine][0]
    else:
        assert made == PLANS[engine][0]


def test_goose_takes_its_model_and_its_mode_from_the_environment(brief: Brief) -> None:
    assert launch("goose", brief, model="m").env == {"GOOSE_MODE": "smart_approve", "GOOSE_MODEL": "m"}
    assert launch("goose", brief, yolo=True).env == {"GOOSE_MODE": "auto"}


SESSIONS = {
    "claude": "--resume s-1",
    "codex": "resume s-1",
    "gemini": "--resume s-1",
    "copilot": "--resume s-1",
    "opencode": "--session s-1",
    "qwen": "--resume s-1",
    "devin": "--resume s-1",
    "cursor-agent": "--resume s-1",
    "amp": "threads continue s-1",
}


@pytest.mark.parametrize("engine", AGENTS)
def test_a_session_goes_on_where_the_engine_can(engine: str, brief: Brief) -> None:
    made = argv(engine, brief, session="s-1")
    assert ENGINES[engine].resumes == (engine in SESSIONS)
    if engine in SESSIONS:
        assert f" {SESSIONS[engine]} " in f"{made} "
        assert made.replace(f" {SESSIONS[engine]}", "") == PLANS[engine][0]
    else:
        assert made == PLANS[engine][0]


def test_codex_reads_the_prompt_of_a_resumed_thread_from_standard_input(brief: Brief) -> None:
    assert launch("codex", brief, session="s-1").argv[-3:] == ("resume", "s-1", "-")


EVIL = ["--dangerously-skip-permissions", "-c", "a b", "a\nb", "", "$(x)", "../x", "é", "x" * 200]


@pytest.mark.attack("S13")
@pytest.mark.parametrize("engine", AGENTS)
@pytest.mark.parametrize("session", EVIL)
def test_a_session_that_could_be_an_option_is_not_passed_on(engine: str, session: str, brief: Brief) -> None:
    assert argv(engine, brief, session=session) == PLANS[engine][0]


LIMITS = {
    "claude": "--max-turns 7 --max-budget-usd 1.5",
    "qwen": "--max-session-turns 7",
    "goose": "--max-turns 7",
}


@pytest.mark.parametrize("engine", LIMITS)
def test_limits_are_passed_on_where_the_engine_has_them(engine: str, brief: Brief) -> None:
    assert LIMITS[engine] in argv(engine, brief, turns=7, usd=1.5)


def test_the_limits_of_mini_and_gemini_are_in_their_files(brief: Brief) -> None:
    made = launch("mini", brief, turns=7, usd=0.25)
    assert "-l 0.25" in " ".join(made.argv)
    assert yaml.safe_load(*made.files.values()) == {"run": {"task": PROMPT}, "agent": {"step_limit": 7}}
    settings = json.loads(*launch("gemini", brief, turns=7).files.values())
    assert settings["model"] == {"maxSessionTurns": 7}


ON_STDIN = {"claude", "codex", "gemini", "copilot", "opencode", "qwen", "cursor-agent", "amp", "crush"}


@pytest.mark.attack("S17")
@pytest.mark.parametrize("engine", AGENTS)
def test_the_prompt_is_never_an_argument(engine: str, brief: Brief) -> None:
    brief.prompt.write_text("canary " * 10)
    made = launch(engine, brief, yolo=True, model="m", session="s-1")
    assert not any("canary" in argument for argument in made.argv)
    assert made.stdin == (brief.prompt if engine in ON_STDIN else None)
    named = any(argument == str(brief.prompt) for argument in made.argv)
    written = any("canary" in text for text in made.files.values())
    assert (made.stdin is not None) + named + written == 1


@pytest.mark.parametrize("engine", AGENTS)
def test_nothing_is_written_but_in_the_runs_folder(engine: str, brief: Brief) -> None:
    made = launch(engine, brief, yolo=True, turns=3, usd=1, session="s-1")
    places = [*made.files, *([made.artifact] if made.artifact else [])]
    assert all(place.parent == brief.folder for place in places)
    assert not list(brief.workspace.iterdir())


@pytest.mark.parametrize("engine", AGENTS)
def test_the_program_that_was_found_is_the_one_that_runs(engine: str, brief: Brief) -> None:
    assert launch(engine, brief, path="/opt/x").argv[0] == "/opt/x"


@pytest.mark.attack("S16")
@pytest.mark.parametrize("engine", AGENTS)
def test_no_engine_is_redirected_by_a_variable_that_the_job_does_not_name(engine: str) -> None:
    assert not [name for name in ENGINES[engine].env if name.endswith(("_BASE_URL", "_API_BASE", "_URL"))]


def test_an_odd_prompt_reaches_mini_as_it_is(brief: Brief) -> None:
    said = '# "x": {y}\n\t\U0001f600 \x7f \x85 \u2028 é \\u0041\n---\n- a: b\n'
    brief.prompt.write_text(said, encoding="utf-8", newline="\n")
    assert yaml.safe_load(*launch("mini", brief).files.values())["run"]["task"] == said


@pytest.mark.attack("S16")
def test_mini_does_not_take_the_workspaces_configuration_for_its_own(brief: Brief) -> None:
    (brief.workspace / "mini.yaml").write_text("agent: {}\n")
    brief.prompt.write_text("- do it")
    made = launch("mini", brief)
    assert made.argv[-4:] == ("-l", "0", "-o", str(brief.folder / "mini-trajectory.json"))
    assert made.argv[3:5] == ("-t", " - do it")
    assert "-c" not in made.argv
    brief.prompt.write_text("x" * 200_000)
    assert str(brief.prompt) in launch("mini", brief).argv[4]


QUIET = {
    "claude": {
        "CLAUDE_CODE_MAX_RETRIES": "2",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    },
    "opencode": {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"},
    "aider": {"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    "mini": {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "MSWEA_CONFIGURED": "true"},
    "gemini": {"GEMINI_TELEMETRY_ENABLED": "false"},
}


@pytest.mark.parametrize("engine", QUIET)
def test_it_is_told_to_be_quiet_and_not_to_try_for_ever(engine: str, brief: Brief) -> None:
    assert QUIET[engine].items() <= launch(engine, brief).env.items()


def test_no_engine_nests_a_sandbox_of_its_own_in_ours(brief: Brief) -> None:
    for engine in ("codex", "cursor-agent"):
        assert argv(engine, brief, sandboxed=True) == PLANS[engine][1]
    for engine in AGENTS:
        if engine not in ("codex", "cursor-agent"):
            assert argv(engine, brief, sandboxed=True) == PLANS[engine][0]


@pytest.mark.parametrize(
    ("yolo", "sandboxed", "said"), [(True, True, "1"), (True, False, None), (False, True, None)]
)
def test_claude_is_told_of_our_sandbox_where_it_would_else_refuse_the_superuser(
    brief: Brief, yolo: bool, sandboxed: bool, said: str | None
) -> None:
    assert launch("claude", brief, yolo=yolo, sandboxed=sandboxed).env.get("IS_SANDBOX") == said


def test_opencode_may_not_use_a_shell_without_yolo(brief: Brief) -> None:
    allowed = json.loads(launch("opencode", brief).env["OPENCODE_PERMISSION"])
    assert allowed == {"edit": "allow", "bash": "deny", "webfetch": "deny", "external_directory": "deny"}
    assert "OPENCODE_PERMISSION" not in launch("opencode", brief, yolo=True).env


def test_gemini_uses_a_key_only_when_there_is_one_and_no_login(
    brief: Brief, monkeypatch: pytest.MonkeyPatch, hermetic_home: Path
) -> None:
    def security() -> object:
        made = launch("gemini", brief)
        (path,) = made.files
        assert made.env["GEMINI_CLI_SYSTEM_SETTINGS_PATH"] == str(path)
        settings = json.loads(made.files[path])
        assert settings["privacy"] == {"usageStatisticsEnabled": False}
        assert settings["general"]["maxAttempts"] == 3
        return settings.get("security")

    assert security() is None
    monkeypatch.setenv("GEMINI_API_KEY", "can" + "ary")
    assert security() == {"auth": {"selectedType": "gemini-api-key"}}
    (hermetic_home / ".gemini").mkdir()
    (hermetic_home / ".gemini" / "oauth_creds.json").write_text("{}")
    assert security() is None


def test_qwen_takes_a_key_when_there_is_one_and_goes_to_this_machine_without_a_proxy(
    brief: Brief, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "HTTP_PROXY" not in launch("qwen", brief).env
    monkeypatch.setenv("OPENAI_API_KEY", "can" + "ary")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    made = launch("qwen", brief)
    assert "--auth-type openai" in " ".join(made.argv)
    assert made.env["HTTP_PROXY"] == made.env["https_proxy"] == ""
    assert json.loads(*made.files.values())["privacy"] == {"usageStatisticsEnabled": False}
    assert not any("ary" in text for text in (*made.argv, *made.env.values(), *made.files.values()))
