"""Linux: a process tree that dies as a whole just before its Nth system call that changes a file below a
folder. Seccomp stops the tree at such calls only, so it runs at almost its own speed."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_SEIZE, _CONT, _LISTEN, _INFO = 0x4206, 7, 0x4208, 0x420E
# Trace forks, vforks, clones, execs and seccomp's word; kill what is traced when we die.
_OPTIONS = 0x2 | 0x4 | 0x8 | 0x10 | 0x80 | 0x100000
_SECCOMP_EVENT, _STOP_EVENT = 7, 128
_WALL = 0x40000000
_NO_NEW_PRIVS, _SET_SECCOMP = 38, 22
_ALLOW, _TRACE = 0x7FFF0000, 0x7FF00000
_CREATES = os.O_CREAT | os.O_TRUNC
_AT_CWD = -100

# Each call's number, and the places of its arguments: a file number, or (folder number, path).
_X86 = {
    1: ("write", (0,)), 18: ("pwrite", (0,)), 77: ("ftruncate", (0,)), 91: ("fchmod", (0,)),
    2: ("open", (None, 0)), 85: ("creat", (None, 0)), 257: ("openat", (0, 1)),
    82: ("rename", (None, 1)), 264: ("renameat", (2, 3)), 316: ("renameat2", (2, 3)),
    86: ("link", (None, 1)), 265: ("linkat", (2, 3)), 88: ("symlink", (None, 1)),
    266: ("symlinkat", (1, 2)), 87: ("unlink", (None, 0)), 263: ("unlinkat", (0, 1)),
    83: ("mkdir", (None, 0)), 258: ("mkdirat", (0, 1)), 84: ("rmdir", (None, 0)),
    76: ("truncate", (None, 0)), 90: ("chmod", (None, 0)), 268: ("fchmodat", (0, 1)),
}  # fmt: skip
_ARM = {
    64: ("write", (0,)), 68: ("pwrite", (0,)), 46: ("ftruncate", (0,)), 52: ("fchmod", (0,)),
    56: ("openat", (0, 1)), 38: ("renameat", (2, 3)), 276: ("renameat2", (2, 3)),
    37: ("linkat", (2, 3)), 36: ("symlinkat", (1, 2)), 35: ("unlinkat", (0, 1)),
    34: ("mkdirat", (0, 1)), 45: ("truncate", (None, 0)), 53: ("fchmodat", (0, 1)),
}  # fmt: skip
_CALLS = {"x86_64": _X86, "aarch64": _ARM}.get(platform.machine(), {})
_FLAGS_AT = {"open": 1, "openat": 2}


def why_not() -> str:
    """Why this machine cannot do it, or nothing."""
    if platform.system() != "Linux" or not _CALLS:
        return "needs Linux on x86_64 or aarch64"
    try:
        return "" if Traced(Path("/"), 0).run(lambda: 0) == 0 else "ptrace does not work here"
    except OSError as error:
        return f"ptrace is not allowed here: {error}"


class _Filter(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("jt", ctypes.c_ubyte),
        ("jf", ctypes.c_ubyte),
        ("k", ctypes.c_uint),
    )


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.POINTER(_Filter)))


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.restype = ctypes.c_long
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    return libc


_LIBC = _libc()


def _ptrace(what: int, pid: int, address: int = 0, data: int = 0) -> int:
    found = int(_LIBC.ptrace(what, pid, address, data))
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return found


def _install_filter() -> None:
    lines = [_Filter(0x20, 0, 0, 0)]
    numbers = sorted(_CALLS)
    for place, number in enumerate(numbers):
        lines.append(_Filter(0x15, len(numbers) - place, 0, number))
    lines += [_Filter(0x06, 0, 0, _ALLOW), _Filter(0x06, 0, 0, _TRACE)]
    program = _Program(len(lines), (_Filter * len(lines))(*lines))
    _LIBC.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _LIBC.prctl(_SET_SECCOMP, 2, ctypes.byref(program), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@dataclass
class Traced:
    """One run of a function in a process of its own. `at` is the call before which all of it dies; 0 lets
    it live. `steps` tells the calls that it got to."""

    root: Path
    at: int
    steps: list[str] = field(default_factory=list)
    killed: bool = False
    _pids: set[int] = field(default_factory=set)

    def run(self, function: Callable[[], int]) -> int:
        """The function's exit code, or minus the signal that ended it."""
        ready, go = os.pipe()
        first = os.fork()
        if not first:
            os.close(go)
            _child(ready, function)
        os.close(ready)
        try:
            _ptrace(_SEIZE, first, 0, _OPTIONS)
        except OSError:
            os.kill(first, signal.SIGKILL)
            os.waitpid(first, 0)
            os.close(go)
            raise
        os.write(go, b"x")
        os.close(go)
        return self._watch(first)

    def _watch(self, first: int) -> int:
        code, self._pids = 0, {first}
        while self._pids:
            try:
                pid, status = os.waitpid(-1, _WALL)
            except ChildProcessError:
                break
            if not os.WIFSTOPPED(status):
                self._pids.discard(pid)
                if pid == first:
                    code = os.waitstatus_to_exitcode(status)
                continue
            self._pids.add(pid)
            try:
                self._stopped(pid, status)
            except OSError:
                # Killed while we looked at it.
                continue
        return code

    def _stopped(self, pid: int, status: int) -> None:
        number, event = os.WSTOPSIG(status), status >> 16
        if event == _SECCOMP_EVENT:
            self._call(pid)
            if self.killed:
                return
        elif event == _STOP_EVENT and number != signal.SIGTRAP:
            _ptrace(_LISTEN, pid)
            return
        elif event == 0:
            _ptrace(_CONT, pid, 0, number)
            return
        _ptrace(_CONT, pid)

    def _call(self, pid: int) -> None:
        step = self._step(pid)
        if not step:
            return
        self.steps.append(step)
        if len(self.steps) == self.at:
            self.killed = True
            for each in self._pids:
                os.kill(each, signal.SIGKILL)

    def _step(self, pid: int) -> str:
        """The call that a process is about to make, if it changes a file below the folder."""
        buffer = ctypes.create_string_buffer(88)
        _ptrace(_INFO, pid, 88, ctypes.addressof(buffer))
        number, *arguments = struct.unpack_from("<7Q", buffer.raw, 24)
        name, places = _CALLS[number]
        if name in _FLAGS_AT and not arguments[_FLAGS_AT[name]] & _CREATES:
            return ""
        path = self._path(pid, [None if at is None else arguments[at] for at in places])
        inside = path == str(self.root) or path.startswith(f"{self.root}/")
        return f"{name} {path[len(str(self.root)) + 1 :]}" if inside else ""

    @staticmethod
    def _path(pid: int, arguments: list[int | None]) -> str:
        folder, *rest = arguments
        if not rest:
            return os.readlink(f"/proc/{pid}/fd/{folder}")
        assert rest[0] is not None
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(rest[0])
            path = memory.read(1024).split(b"\0")[0].decode("utf-8", "replace")
        number = ctypes.c_int(folder if folder is not None else _AT_CWD).value
        base = os.readlink(f"/proc/{pid}/cwd" if number == _AT_CWD else f"/proc/{pid}/fd/{number}")
        return os.path.normpath(os.path.join(base, path))


def _child(ready: int, function: Callable[[], int]) -> None:
    try:
        os.read(ready, 1)
        os.close(ready)
        _install_filter()
        os._exit(function())
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(99)
