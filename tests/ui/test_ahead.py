"""What a forked child answers is what would be answered here; whatever befalls it, there is an answer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from aq.core.errors import AqError
from aq.ui.ahead import Ahead

forks = pytest.mark.skipif(
    not hasattr(os, "fork") or sys.platform == "darwin", reason="this platform does not fork"
)


def in_a_process(body: str) -> str:
    """What a single-threaded process prints. The test runner's own threads keep `Ahead` from forking."""
    done = subprocess.run(
        [sys.executable, "-c", f"import os\nfrom aq.ui.ahead import Ahead\nhome = os.getpid()\n{body}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@forks
def test_the_child_answers() -> None:
    assert (
        in_a_process("print(Ahead(lambda: lambda q: (os.getpid() != home, q * 2)).ask(21))") == "(True, 42)"
    )


@pytest.mark.parametrize(
    "fate",
    ["os._exit(9)", "os.kill(os.getpid(), 9)", "raise_()"],
    ids=["it ends", "it is killed", "it cannot get ready"],
)
def test_when_the_child_fails_the_answer_is_made_here(fate: str) -> None:
    body = f"""
def raise_(): raise RuntimeError('lost')
def ready():
    if os.getpid() != home: {fate}
    return lambda q: (os.getpid() == home, q)
print(Ahead(ready).ask(1))"""
    assert in_a_process(body) == "(True, 1)"


def test_an_error_of_the_answer_is_raised_here() -> None:
    def ready() -> Callable[[int], int]:
        def answer(_: int) -> int:
            raise AqError("no", "why not")

        return answer

    with pytest.raises(AqError, match="no"):
        Ahead(ready).ask(1)


@forks
def test_a_child_that_is_never_asked_ends_with_its_parent() -> None:
    read, write = os.pipe()
    # The child inherits the writing end: end of file comes when parent and child are both gone.
    subprocess.run(
        [sys.executable, "-c", "from aq.ui.ahead import Ahead\nAhead(lambda: lambda q: q)"],
        pass_fds=[write],
        check=True,
        timeout=60,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == ""
