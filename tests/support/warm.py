"""`aq` as a process of its own, without the half of its time that Python takes to start and to import: a
fork of one that has imported all of it and done nothing else. `python -m tests.support.warm FD` is that one;
it ends with the other end of its socket."""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NoReturn

from aq.__main__ import main

FORKS = sys.platform == "linux"
_ROOT = Path(__file__).parents[2]
_MANY = 1 << 20


def run(
    arguments: list[str], *, cwd: Path, env: dict[str, str], stdin: str | None, timeout: float
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` would with the words of a person: what it wrote, and its exit code, or the number
    of the signal that ended it below zero. Raises TimeoutExpired, and ends it, after so many seconds."""
    with _source(stdin) as given, TemporaryFile() as out, TemporaryFile() as err:
        code = _ask({"arguments": arguments, "cwd": str(cwd), "env": env}, [given, out, err], timeout)
        return subprocess.CompletedProcess(arguments, code, _text(out), _text(err))


@contextmanager
def _source(text: str | None) -> Iterator[IO[bytes]]:
    with open(os.devnull, "rb") if text is None else TemporaryFile() as file:
        if text is not None:
            file.write(text.encode())
            file.seek(0)
        yield file


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


def _ask(request: dict[str, Any], files: list[IO[bytes]], timeout: float) -> int:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs, _LOCK:
            socket.send_fds(_server(), [b"!"], [theirs.fileno()])
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MANY)
        socket.send_fds(ours, [json.dumps(request).encode()], [file.fileno() for file in files])
        pid = int(ours.recv(32))
        ours.settimeout(timeout)
        try:
            return int(ours.recv(32))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(request["arguments"], timeout) from None


_LOCK = threading.Lock()


@cache
def _server() -> socket.socket:
    """The way to the process that is forked: one for all tests of this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    words = [sys.executable, "-m", "tests.support.warm", str(theirs.fileno())]
    # None of the folders of the test that happens to be the first.
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(_ROOT), "HOME": "/"}
    process = subprocess.Popen(words, cwd="/", env=env, pass_fds=[theirs.fileno()], start_new_session=True)
    theirs.close()
    atexit.register(_end, ours, process)
    return ours


def _end(ours: socket.socket, process: subprocess.Popen[bytes]) -> None:
    ours.close()
    process.wait()


def _serve(asks: socket.socket) -> None:
    for module in pkgutil.walk_packages([str(_ROOT / "aq")], "aq."):
        import_module(module.name)
    # Nobody waits for those who wait.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    while True:
        said, fds, _, _ = socket.recv_fds(asks, 1, 1)
        if not said:
            return
        if os.fork() == 0:
            asks.close()
            _wait_for_one(socket.socket(fileno=fds[0]))
        os.close(fds[0])


def _wait_for_one(told: socket.socket) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, fds, _, _ = socket.recv_fds(told, _MANY, 3)
    pid = os.fork()
    if pid == 0:
        told.close()
        _become(fds, **json.loads(request))
    told.send(str(pid).encode())
    _, status = os.waitpid(pid, 0)
    told.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _become(fds: list[int], *, arguments: list[str], cwd: str, env: dict[str, str]) -> NoReturn:
    """The command itself, as `python -m aq` would be."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["aq", *arguments]
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace")  # noqa: SIM115
    sys.exit(main())


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
