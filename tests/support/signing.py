"""Machines whose commits are signed: each has a config folder, keys and pinned signers of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

from aq.core.files.signersfile import Pins
from aq.core.signers import Role, Signers
from aq.ledger.commits import Identity
from aq.ledger.ledger import Ledger
from aq.ledger.signing import make_key, public_key
from aq.ledger.store import Store, load_config
from aq.ledger.trusting import Trust
from tests.support.fleet import Fleet, Machine, git

PERSON = frozenset({Role.SUBMIT, Role.APPROVE})
HOST = frozenset({Role.HOST})
ADMIN = frozenset({Role.ADMIN})


# Keys of this test process by principal: each is made once.
_MADE: dict[str, tuple[bytes, bytes]] = {}


class Keys:
    """Keys by principal, made when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        path, public = self.folder / name, self.folder / f"{name}.pub"
        if name not in _MADE:
            make_key(path)
            _MADE[name] = (path.read_bytes(), public.read_bytes())
        elif not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            for file, content in zip((path, public), _MADE[name], strict=True):
                file.touch(mode=0o600)
                file.write_bytes(content)
        return path

    def public(self, name: str) -> str:
        return public_key(self.path(name))


class Ring:
    """A fleet whose machines trust the same signers, and ledgers that sign as whom they like."""

    def __init__(self, fleet: Fleet, **roles: frozenset[Role]) -> None:
        self.fleet, self.keys = fleet, Keys(fleet.root / "keys")
        signers = Signers()
        for name, given in {"root": ADMIN, **roles}.items():
            signers = signers.with_key(name, self.keys.public(name), given)
        self.pins = Pins(signers, (fleet.tip(),))

    def ledger(self, principal: str, machine: str = "you") -> Ledger:
        """A ledger that signs as this principal and obeys signed commits only."""
        place = self.fleet.machine(machine)
        kept = place.paths.home / f"trust-{principal}.json"
        who = Identity(principal, f"{principal}@example.invalid")
        made = Ledger(
            Store(place.paths),
            load_config(place.paths),
            who,
            f"test-{principal}",
            trust=Trust(self.pins, self.keys.path(principal), kept),
        )
        place._open.append(made)
        return made

    def reckless(self, principal: str, machine: str = "eve") -> Ledger:
        """A ledger that signs as this principal, and does what it likes: it judges nothing."""
        place = self.fleet.machine(machine)
        made = place.ledger()
        trust = Trust(self.pins, self.keys.path(principal), place.paths.home / "none.json")
        trust.attach(made.objects, made.store.git_dir, made.oid_size, made.cache)
        made.committer.sign = trust.sign
        return made

    def sign_plain_git(self, clone: Path, principal: str) -> None:
        """Let a person's plain git sign as this principal."""
        key = str(self.keys.path(principal))
        for name, value in {"gpg.format": "ssh", "user.signingkey": key, "commit.gpgsign": "true"}.items():
            git(clone, "config", name, value)

    def furnish(self, machine: Machine, person: str = "", host: str = "") -> Path:
        """A machine with these keys that obeys signed commits only; its host.yaml."""
        settings = equip(machine)
        folder = settings.parent / "trust"
        folder.mkdir(exist_ok=True)
        (folder / "signers.yaml").write_text(self.pins.text())
        for kind, name in (("person", person), ("host", host)):
            if name:
                shutil.copy(self.keys.path(name), folder / kind)
                (folder / f"{kind}.pub").write_text(self.keys.public(name))
        settings.write_text("trust: signed\nstop-grace: 1s\n")
        return settings


def equip(machine: Machine) -> Path:
    """A config folder for this machine, so that it shares no key with the others; its host.yaml."""
    folder = machine.path.parent / f"{machine.name}.config"
    folder.mkdir(exist_ok=True)
    machine.more["AQ_HOST_CONFIG"] = str(folder / "host.yaml")
    (folder / "host.yaml").touch()
    return folder / "host.yaml"
