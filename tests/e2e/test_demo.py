"""The demonstration, as anybody would start it: no configuration, no account, under a minute. That it leaves
nothing behind with `--clean` is a step of selftest.sh."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from aq.ui.cli.demo import remove
from tests.support.audit import audit
from tests.support.fleet import wait_until
from tests.support.processes import left_over

LIMIT = 60
STORY = (
    "SIGKILL for",
    "reclaimed the job: epoch 2",
    "ship hello: testing -> shipped",
    "verify_failed",
)


def test_the_demo_tells_the_whole_story_in_under_a_minute_and_its_history_is_legal(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "aq", "demo"],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=3 * LIMIT,
        check=False,
    )
    assert time.monotonic() - started < LIMIT
    assert done.returncode == 0, done.stderr
    for words in STORY:
        assert words in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout
    (root,) = folder.iterdir()
    assert f"cd {root / 'you'}" in done.stdout
    seen = audit(root / "hub.git")
    assert {job: str(stage) for job, stage in seen.stages().items()} == {
        "hello": "shipped",
        "liar": "dead_letter",
        "long-build": "shipped",
        "migrate": "testing",
        "poison": "dead_letter",
    }
    assert seen.jobs["long-build"].record.epoch == 2
    assert not left_over(folder)


def test_a_folder_goes_although_somebody_still_writes_there(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    (root / "hub").mkdir(parents=True)
    writer = "import os\nfor n in range(3000): os.mkdir(str(n))"
    with subprocess.Popen([sys.executable, "-c", writer], cwd=root / "hub", stderr=subprocess.DEVNULL):
        wait_until(lambda: list((root / "hub").iterdir()), what="the first of many folders")
        remove(root)
    assert not root.exists()
