"""`aq review`: everything that waits for a person, and on a terminal one key to decide each."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import typer

from aq.core.change import Refusal
from aq.core.errors import AqError
from aq.core.gates import BEFORE_TESTING, Gate
from aq.core.instants import instant
from aq.core.operations import Approve, Operation, Promote, Reject, Ship
from aq.ui.cli.common import asked, complete_jobs, here, perform, report
from aq.ui.out import is_terminal, put, say, say_json, style, tell_error
from aq.ui.packet import Packet, packet_lines, packet_of, packets, path_lines
from aq.wiring import Queue

_KEYS = "s ship  a approve  p promote  r reject  d paths  n next  q quit"
_NOTHING = "Nothing waits for a person."


def review(
    jobs: list[str] = typer.Argument(
        None, help="Only these jobs; without any, all that wait.", autocompletion=complete_jobs
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show the work that waits for a person: its size, checks, cost, risk and gates."""
    names = jobs or []
    with here(fetch=True) as queue:
        found = _waiting(queue, names)
        if as_json:
            say_json({"waiting": [packet.as_json() for packet in found]})
        elif not found:
            say(_NOTHING)
        elif _at_a_terminal():
            _Desk(queue).judge([packet.job for packet in found])
        else:
            for packet in found:
                say("\n".join([*packet_lines(packet), ""]))


def _waiting(queue: Queue, names: list[str]) -> list[Packet]:
    snapshot = queue.ledger.snapshot()
    found = packets(snapshot, instant(time.time()), names)
    waiting = {packet.job for packet in found}
    for name in names:
        job = snapshot.find(name)
        if job is None:
            raise AqError(f"there is no job {name}", "`aq status --all` lists the jobs")
        if name not in waiting:
            raise AqError(
                f"{name} is in {job.stage} and waits for nobody", f"`aq show {name}` tells its story"
            )
    return found


def _at_a_terminal() -> bool:
    return is_terminal(sys.stdin) and is_terminal(sys.stdout) and os.environ.get("TERM") != "dumb"


class _Desk:
    """One packet after the other. Each decision is pushed at once: whoever leaves loses none."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._keys: dict[str, Callable[[Packet], Operation | None]] = {
            "s": self._ship,
            "a": lambda packet: Approve(**self._about(packet)),
            "p": self._promote,
            "r": self._reject,
        }

    def judge(self, names: list[str]) -> None:
        """Every job that still waits when its turn comes, until there is none or the person leaves."""
        for place, name in enumerate(names, 1):
            while packet := self._packet(name):
                say("\n".join(packet_lines(packet)))
                key = self._key(packet, f"[{place}/{len(names)}] {_KEYS} ")
                if key == "q":
                    return
                if key == "n":
                    break
                self._decide(packet, key)
        say(style("That was all.", "green"))

    def _packet(self, name: str) -> Packet | None:
        """The job as the queue has it now, if it still waits."""
        snapshot = self.queue.ledger.snapshot()
        job = snapshot.find(name)
        if job is None or job.problem or not job.waits_for_person:
            return None
        return packet_of(job, snapshot.settings, instant(time.time()))

    def _key(self, packet: Packet, prompt: str) -> str:
        """The key that was pressed, once it is one that means something."""
        while True:
            put(prompt)
            try:
                key = typer.getchar().lower()
            except EOFError:
                key = "q"
            say(key if key.isprintable() else "")
            if key == "d":
                say("\n".join(path_lines(packet)))
            elif key in self._keys or key in ("n", "q"):
                return key

    def _decide(self, packet: Packet, key: str) -> None:
        try:
            operation = self._keys[key](packet)
            if operation is None:
                say("nothing was done: that takes a reason")
                return
            done = perform(self.queue, operation)
            report(done)
        except AqError as error:
            tell_error(error)
            done = Refusal(error.what)
        if isinstance(done, Refusal):
            self.queue.ledger.fetch()

    def _about(self, packet: Packet) -> dict[str, Any]:
        """Who asks, and about which work: that on the screen, and no later one."""
        return {**asked(self.queue.who.name), "job": packet.job, "epoch": packet.epoch}

    def _ship(self, packet: Packet) -> Operation | None:
        reason = _reason(packet.gates)
        return None if reason is None else Ship(**self._about(packet), override=reason)

    def _promote(self, packet: Packet) -> Operation | None:
        reason = _reason(gate for gate in packet.gates if gate.name in BEFORE_TESTING)
        return None if reason is None else Promote(**self._about(packet), override=reason)

    def _reject(self, packet: Packet) -> Operation | None:
        message = _line("what is wrong: ")
        return Reject(**self._about(packet), message=message) if message else None


def _reason(closed: Iterable[Gate]) -> str | None:
    """The reason for passing closed gates: nothing where none is closed, None when none is given."""
    names = [str(gate.name) for gate in closed]
    return (_line(f"why in spite of {', '.join(names)}: ") or None) if names else ""


def _line(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError:
        return ""
