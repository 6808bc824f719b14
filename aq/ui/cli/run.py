"""`aq run`: this machine's loop in the foreground."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

from aq.core.errors import EXIT_NEGATIVE, EXIT_OK, TryLaterError
from aq.ui.cli.drain import DRAIN_SIGNAL
from aq.ui.out import is_terminal, tell
from aq.wiring import open_runner, require_host_key

if TYPE_CHECKING:
    from aq.runner.runner import Runner

_FORCED = 130


def run_host(
    once: bool = typer.Option(
        False, "--once", help="Claim what fits once, finish it, and end; exit code 1 when there was nothing."
    ),
    until_idle: bool = typer.Option(
        False, "--until-idle", help="End when nothing is left that this host could do."
    ),
    slots: int = typer.Option(None, "--slots", min=1, max=256, help="How many jobs run at once."),
    host: str = typer.Option("", "--host", help="This host's name in the fleet."),
    wake: bool = typer.Option(
        False, "--wake", help="Take work at once, although this host rests after runs that went bad."
    ),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Say nothing but errors."),
) -> int:
    """First Ctrl-C: finish what runs. Second, or a terminal that closes: stop the engines, keep their work,
    release the jobs, and end with 130."""
    from aq.runner import breaker

    say = _silence if quiet else _say
    with open_runner(Path.cwd(), host, slots, say) as runner:
        signals = _Signals(runner, say)
        signals.obey()
        if wake:
            breaker.wake(runner)
        many = "s" if runner.me.slots > 1 else ""
        engines = ", ".join(runner.me.engines) or "none"
        say(f"host {runner.me.host}: {runner.me.slots} slot{many}, engines: {engines}")
        _start(runner, say, patient=not (once or until_idle))
        code = _loop(runner, once=once, until_idle=until_idle)
        return _FORCED if signals.count > 1 else code


def _start(runner: Runner, say: Callable[[str], None], *, patient: bool) -> None:
    """Wait for the remote as long as it takes: a host that boots before its network is no error. A run
    that is to end by itself says at once that it cannot begin. Raises TryLaterError."""
    said = False
    while not runner.stopping:
        try:
            runner.start()
            require_host_key(runner)
            if said:
                say("the remote answers again")
            return
        except TryLaterError as error:
            if not patient:
                raise
            if not said:
                say(f"{error.what}; trying again")
            said = True
            runner.bench.take_reports(5.0)


def _loop(runner: Runner, *, once: bool, until_idle: bool) -> int:
    worked = False
    while not runner.done:
        runner.tick()
        worked = worked or bool(runner.held)
        if once and runner.confirmed_at is not None and (worked or runner.idle):
            runner.draining = True
            if not runner.held and not runner.pending:
                break
        if until_idle and runner.confirmed_at is not None and not runner.runnable():
            break
    runner.stopping = True
    runner.farewell()
    return EXIT_NEGATIVE if once and not worked else EXIT_OK


class _Signals:
    """Ctrl-C and its kin: how many there were, and what each asks of the runner."""

    def __init__(self, runner: Runner, say: Callable[[str], None]) -> None:
        self.runner, self.say, self.count = runner, say, 0
        self._on_terminal = is_terminal(sys.stderr)

    def obey(self) -> None:
        """From now on."""
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGTERM, self._interrupt)
        if DRAIN_SIGNAL != signal.SIGTERM:
            signal.signal(DRAIN_SIGNAL, self._finish)
        hangup = getattr(signal, "SIGHUP", None)
        # `nohup` says that nobody is to mind it.
        if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
            signal.signal(hangup, self._hang_up)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.count += 1
        if self.count == 1:
            self.say("finishing what runs; once more to stop it" if self.runner.held else "stopping")
        elif self.count == 2:
            self.say("stopping the engines; their work is kept")
        else:
            sys.exit(_FORCED)
        self.runner.stop()

    def _finish(self, number: int, frame: FrameType | None) -> None:
        if self.count == 0:
            self._interrupt(number, frame)

    def _hang_up(self, number: int, frame: FrameType | None) -> None:
        if self._on_terminal:
            # It is gone: what is written to it is an error.
            sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        while self.count < 2:
            self._interrupt(number, frame)


def _say(line: str) -> None:
    tell(line, time.strftime("%H:%M:%S"), "dim")


def _silence(line: str) -> None:
    del line
