"""`scripts/engines-ci.sh`: what it cannot install never fails a build, and what is there stays as it is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "engines-ci.sh"
# Installs a command that answers `--version`, and writes down that it was asked.
_NPM = """#!/bin/sh
echo "$@" >> "$ASKED"
bin="$3/node_modules/.bin"
mkdir -p "$bin"
printf '#!/bin/sh\\nexit {code}\\n' > "$bin/qwen"
chmod +x "$bin/qwen"
"""

Install = Callable[..., list[str]]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """The script with an npm of ours: its lines, and it must always end well."""
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("AQ_ENGINES", str(tmp_path / "engines"))
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))

    def run(*names: str, npm: str = _NPM.format(code=0)) -> list[str]:
        (tools / "npm").write_text(npm)
        (tools / "npm").chmod(0o755)
        done = subprocess.run(["bash", str(SCRIPT), *names], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.splitlines()

    return run


def test_an_engine_is_installed_once_at_its_pinned_version(install: Install, tmp_path: Path) -> None:
    assert install("qwen")[0].startswith("engines: qwen 0.15.10 installed in")
    assert install("qwen") == ["engines: qwen is there"]
    assert "@qwen-code/qwen-code@0.15.10" in (tmp_path / "asked").read_text()
    assert len((tmp_path / "asked").read_text().splitlines()) == 1
    assert (tmp_path / "engines" / "qwen" / "node_modules" / ".bin" / "qwen").exists()


@pytest.mark.parametrize(
    "npm",
    [
        pytest.param("#!/bin/sh\necho 'npm error no such version' >&2\nexit 1\n", id="it cannot be fetched"),
        pytest.param(_NPM.format(code=1), id="its binary does not run here"),
    ],
)
def test_what_cannot_be_installed_is_told_and_not_there(install: Install, tmp_path: Path, npm: str) -> None:
    install("qwen")
    (tmp_path / "engines" / "qwen" / ".pinned").write_text("an older one\n")
    assert "could not be installed, its tests will be skipped" in install("qwen", npm=npm)[0]
    assert not (tmp_path / "engines" / "qwen").exists()


def test_an_engine_that_it_does_not_know_is_told(install: Install) -> None:
    assert install("nosuch") == ["engines: no engine nosuch is known here"]
