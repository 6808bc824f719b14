"""Hubs that count, decline, dawdle or kill: real git hooks, and a server that outlives its clients."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aq.core.value import replace
from aq.ledger.ledger import Ledger
from tests.support.fleet import FAST, Fleet

_SSH = """#!/bin/sh
for command; do :; done
echo "$command" >> '{log}'
case $command in *upload-pack*) [ ! -e '{log}.deaf' ] || exit 1 ;; esac
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
exec setsid sh -c "$command"
"""
_NOTE = "cat > '{seen}.part'; cat '{seen}.part' | tr '\\n' ';' >> '{seen}'; echo >> '{seen}'"
_CLIENT = """parent() { awk '{print $4}' /proc/$1/stat; }
client() {
  pid=$PPID
  while ! tr '\\0' ' ' < /proc/$pid/cmdline | grep -q ' push '; do pid=$(parent $pid); done
  echo $pid
}
"""


def hook(hub: Path, name: str, script: str) -> Path:
    """A hook of the hub. `client` in it is the process that pushes, when that is on this machine."""
    path = hub / "hooks" / name
    path.write_text(f"#!/bin/sh\n{_CLIENT}{script}\n")
    path.chmod(0o755)
    return path


def unhook(hub: Path, name: str) -> None:
    """No such hook any more."""
    (hub / "hooks" / name).unlink()


class Pushes:
    """The pushes that a hub took, or was offered, from now on."""

    def __init__(self, hub: Path, when: str = "post-receive", then: str = "") -> None:
        self.log = hub / f"{when}.log"
        hook(hub, when, _NOTE.format(seen=self.log) + "\n" + then)

    def all(self) -> list[dict[str, str]]:
        """Each push as the new oid of each of its refs."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        refs = [[part.split() for part in line.split(";") if part] for line in lines]
        return [{ref: new for _, new, ref in line} for line in refs]

    def of(self, ref: str = "refs/heads/main") -> list[str]:
        """The new oids of one ref, push by push."""
        return [push[ref] for push in self.all() if ref in push]


def decline_commits_about(hub: Path, word: str) -> None:
    """The hub declines every push of the queue branch that holds a commit whose message has the word."""
    hook(
        hub,
        "pre-receive",
        f"""while read -r old new ref; do
  case $ref in refs/heads/main) ;; *) continue ;; esac
  if git log --format=%B "$new" --not --all | grep -q '{word}'; then
    echo "no {word} on this hub" >&2; exit 1
  fi
done""",
    )


def decline_refs(hub: Path, prefix: str, then: str = "") -> None:
    """The hub declines refs below a prefix, as some forges do."""
    hook(hub, "update", f'case $1 in {prefix}*) {then or ":"}; echo "not here" >&2; exit 1 ;; esac')


def lose_every_race(hub: Path) -> None:
    """Somebody with plain git is always first: the queue branch moves while a push of it arrives."""
    hook(
        hub,
        "update",
        """[ "$1" = refs/heads/main ] || exit 0
other=$(git -c user.name=eve -c user.email=eve@example.invalid commit-tree -p "$2" -m 'By hand' "$2^{tree}")
git update-ref refs/heads/main "$other" "$2" """,
    )


def kill_client_once(hub: Path, about: str = "", *, up: int = 1) -> Path:
    """Once the hub has a new tip about something, `git push` dies without the reply; with `up=2` also the
    process that started it."""
    armed = hub / "armed"
    armed.touch()
    hook(
        hub,
        "post-receive",
        f"""while read -r old new ref; do
  [ "$ref" = refs/heads/main ] && [ -e '{armed}' ] || continue
  git log -1 --format=%B "$new" | grep -q '{about}' || continue
  rm '{armed}'
  git=$(client)
  [ {up} = 1 ] || kill -KILL $(parent $git)
  kill -KILL $git
done""",
    )
    return armed


def dawdle(hub: Path, seconds: float, when: str = "pre-receive", pushes: int = 1) -> Pushes:
    """The hub takes so long over each of the next pushes of the queue branch, and is quick from then on."""
    left = hub / "dawdle"
    left.write_text("x" * pushes)
    then = f"""grep -q refs/heads/main '{hub / f"{when}.log"}.part' || exit 0
[ -s '{left}' ] || exit 0
truncate -s -1 '{left}'
sleep {seconds}"""
    return Pushes(hub, when, then)


class Gate:
    """Holds pushes of the queue branch on the hub while it is shut, but those of a process that has the
    pass in its environment: whoever is held has decided already."""

    PASS = "PASSES_THE_GATE"

    def __init__(self, hub: Path) -> None:
        self.shut, self.held = hub / "gate-shut", hub / "gate-held"
        self.held.mkdir()
        hook(
            hub,
            "pre-receive",
            f"""main=
while read -r old new ref; do [ "$ref" != refs/heads/main ] || main=1; done
[ -n "$main" ] && [ -e '{self.shut}' ] && [ -z "${self.PASS}" ] || exit 0
mktemp '{self.held}/XXXXXXXX' > /dev/null
while [ -e '{self.shut}' ]; do sleep 0.05; done""",
        )

    def close(self) -> None:
        """Hold what comes from now on."""
        self.shut.touch()

    def open(self) -> None:
        """Let everybody through."""
        self.shut.unlink()

    def waiting(self) -> int:
        """How many pushes came to the shut gate."""
        return len(list(self.held.iterdir()))


def impatient(ledger: Ledger, seconds: float) -> Ledger:
    """The ledger with less patience for the network."""
    ledger.timeout = seconds
    ledger.remote = replace(ledger.remote, timeout=seconds)
    return ledger


class Server:
    """What a remote shell was asked to run."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def calls(self, what: str) -> int:
        """How often a git service was asked for: `upload-pack` is a fetch, `receive-pack` a push."""
        return sum(what in line for line in self.log.read_text().splitlines()) if self.log.exists() else 0


@contextmanager
def served(
    root: Path, monkeypatch: pytest.MonkeyPatch, settings: str = FAST
) -> Iterator[tuple[Fleet, Server]]:
    """A fleet whose hub is behind a connection: its server goes on when a client is killed, as a real
    one does, and counts what it is asked."""
    root.mkdir(parents=True)
    script, log = root / "ssh", root / "ssh.log"
    script.write_text(_SSH.format(log=log))
    script.chmod(0o755)
    monkeypatch.setitem(os.environ, "GIT_SSH_COMMAND", str(script))
    monkeypatch.setitem(os.environ, "GIT_SSH_VARIANT", "ssh")
    fleet = Fleet(root / "fleet", settings, url=f"hub.invalid:{root}/fleet/hub.git")
    try:
        yield fleet, Server(log)
    finally:
        fleet.end()


@contextmanager
def fetches_fail(root: Path) -> Iterator[None]:
    """The hub that is served there answers pushes only."""
    deaf = root / "ssh.log.deaf"
    deaf.touch()
    try:
        yield
    finally:
        deaf.unlink()


@contextmanager
def away(hub: Path) -> Iterator[None]:
    """The hub cannot be reached meanwhile."""
    elsewhere = hub.with_name("away.git")
    hub.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(hub)
