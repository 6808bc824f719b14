"""`aq trust` as a person types it: beginning, letting others in, taking them out, and what it says when one
errs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aq.core.operations import PauseFleet
from aq.ui.cli import command_line
from tests.support.fleet import Fleet, git, landed, op, perform
from tests.support.signing import ADMIN, PERSON, Keys, Ring

Ask = Callable[..., tuple[int, str]]


@pytest.fixture
def ask(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hermetic_home: Path
) -> Ask:
    """`aq trust …` in the clone; its exit code and all that it said."""
    fleet.audited = False
    monkeypatch.chdir(fleet.you.path)
    monkeypatch.setenv("AQ_STATE_DIR", str(fleet.you.state))

    def asking(*words: str) -> tuple[int, str]:
        code = command_line(["trust", *words])
        said = capsys.readouterr()
        return code, said.out + said.err

    return asking


def switch_on(home: Path) -> None:
    (home / "host.yaml").write_text("trust: signed\n")


def test_a_machine_that_trusts_everybody_says_how_to_begin(ask: Ask) -> None:
    assert ask("list") == (
        1,
        "aq: this machine obeys whoever can push\n    `aq trust init` begins with signatures\n",
    )
    assert ask("nonsense")[0] == 2


def test_beginning_pins_this_person_and_host_and_puts_the_first_link_into_the_queue(
    ask: Ask, fleet: Fleet, hermetic_home: Path
) -> None:
    before = fleet.tip()
    code, said = ask("init", "alice", "--host", "ada")
    assert code == 0
    assert "next: write `trust: signed` into" in said
    assert f"--since {before}" in said
    assert fleet.events()[-1] == "signers: begin with alice"
    switch_on(hermetic_home)
    facts = json.loads(ask("list", "--json")[1])
    roles = {name: signer["roles"] for name, signer in facts["signers"].items()}
    assert roles == {"alice": ["admin", "approve", "submit"], "ada": ["host", "submit"]}
    assert (facts["you"], facts["commit"]) == ("alice", fleet.tip())
    assert (hermetic_home / "trust" / "person").stat().st_mode & 0o077 == 0
    again = ask("init", "alice")
    assert again[0] == 0
    assert fleet.events()[-1] == "signers: begin with alice", "repeating it changes nothing"


def test_letting_somebody_in_and_out_is_one_commit_each(ask: Ask, fleet: Fleet, hermetic_home: Path) -> None:
    ask("init", "alice")
    switch_on(hermetic_home)
    keys = Keys(fleet.root / "keys")
    public = Path(f"{keys.path('bob')}.pub")
    assert ask("add", "bob", str(public), "--role", "submit,host") == (0, "signers: done\n")
    assert fleet.events()[-1] == "signers: add bob (host, submit)"
    assert f"bob  host, submit\n    {keys.public('bob')}" in ask("list")[1]
    assert ask("remove", "bob")[0] == 0
    assert "bob" not in ask("list")[1]
    assert git(fleet.hub, "show", "main:trust/signers.yaml").count("ssh-ed25519") == 1


# What was typed, how it ended, and what was said.
MISTAKES: list[tuple[tuple[str, ...], int, str]] = [
    (("add", "Bob!", "k"), 2, "is not a name for a key"),
    (("add", "bob", "nonsense", "--role", "host"), 2, "this is not a public key"),
    (("add", "bob", "{key}"), 2, "what may bob do?"),
    (("add", "bob", "{key}", "--role", "boss"), 1, "there is no role 'boss'"),
    (("remove", "bob"), 1, "there is no signer 'bob'"),
    (("remove", "alice"), 1, "nobody has the role admin"),
    (("accept", "abcd"), 1, "'abcd' names no distrusted commit"),
    (("init", "alice", "--since", "main"), 1, "not a commit"),
    (("verify", "--since", "ffffffff"), 1, "there is no commit ffffffff here"),
]


def test_what_cannot_be_done_is_said_and_nothing_changes(ask: Ask, fleet: Fleet, hermetic_home: Path) -> None:
    ask("init", "alice")
    switch_on(hermetic_home)
    before = fleet.tip()
    key = Keys(fleet.root / "keys").public("bob")
    for words, code, said in MISTAKES:
        found = ask(*(word.format(key=key) for word in words))
        assert found[0] == code, (words, found)
        assert said in found[1], (words, found)
    assert fleet.tip() == before


def test_joining_asks_for_all_that_it_needs(ask: Ask, fleet: Fleet, hermetic_home: Path) -> None:
    assert ask("init", "bob", "--pin", "nonsense", "--admin", "alice", "--since", "ab" * 20)[0] == 2
    assert not (hermetic_home / "trust" / "signers.yaml").exists()
    key = Keys(fleet.root / "keys").public("alice")
    code, said = ask("init", "bob", "--pin", key, "--admin", "alice", "--since", "ab" * 20)
    assert code == 0
    assert "an admin lets this key in: aq trust add bob" in said
    assert ask("init", "bob", "--since", "cd" * 20)[0] == 0
    assert "cd" * 20 in (hermetic_home / "trust" / "signers.yaml").read_text()


def test_signed_mode_without_signers_or_key_stops_with_what_to_do(
    ask: Ask, fleet: Fleet, hermetic_home: Path
) -> None:
    switch_on(hermetic_home)
    code, said = ask("list")
    assert (code, "host.yaml says `trust: signed`, and there is no" in said) == (1, True)
    ring = Ring(fleet, alice=PERSON | ADMIN)
    (hermetic_home / "trust").mkdir(exist_ok=True)
    (hermetic_home / "trust" / "signers.yaml").write_text(ring.pins.text())
    assert ask("verify")[0] == 0, "reading needs no key"
    assert command_line(["pause"]) == 1


def test_an_accepted_commit_is_no_longer_listed(ask: Ask, fleet: Fleet, hermetic_home: Path) -> None:
    ask("init", "alice")
    switch_on(hermetic_home)
    begun = fleet.tip()
    bad = landed(perform(fleet.machine("eve").ledger(), PauseFleet(**op("eve"), why="ha"))).commit
    code, said = ask("verify")
    assert code == 1
    assert f"BAD  {bad[:12]}  pause: ha\n      is not signed\n1 commit is not obeyed" in said
    assert ask("verify", "--since", bad)[0] == 0
    assert ask("verify", "--since", begun)[0] == 1
    assert ask("accept", bad[:8])[0] == 0
    assert ask("verify") == (0, "everything in play is signed as it must be\n")


def test_a_machine_that_trusts_everybody_does_not_even_load_what_signatures_need(fleet: Fleet) -> None:
    probe = "import sys; from aq.ui.cli import command_line; command_line(['status']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=fleet.you.path, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "aq.wiring" in loaded
    assert not loaded & {"aq.core.trust", "aq.ledger.trusting", "aq.ledger.signing", "aq.host.config"}
