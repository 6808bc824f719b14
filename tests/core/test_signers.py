"""Who may sign: the file, what is wrong with it, and how it changes."""

from __future__ import annotations

import base64

import pytest

from aq.core.change import Change, Refusal
from aq.core.errors import AqError, InvalidFileError
from aq.core.files.signersfile import Pins, parse_signers, roles_of
from aq.core.layout import SIGNERS, file_edits
from aq.core.operations import AcceptCommit, ChangeSigners
from aq.core.signers import Role, Signer, Signers
from aq.core.snapshot import Snapshot
from tests.support.builders import NOW


def key(name: str) -> str:
    """A public key of nobody's, different for each name."""
    kind, body = b"ssh-ed25519", name.encode().ljust(32, b".")
    blob = len(kind).to_bytes(4, "big") + kind + len(body).to_bytes(4, "big") + body
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


ROOT = Signers({"root": Signer(frozenset({Role.ADMIN}), (key("root"),))})
TWO = ROOT.with_key("ada", key("ada"), frozenset({Role.HOST}))


def test_what_is_written_is_what_is_read() -> None:
    pins = Pins(TWO, ("ab" * 20,))
    assert parse_signers(pins.text().encode(), "signers.yaml") == pins
    assert parse_signers(TWO.text().encode(), "signers.yaml") == Pins(TWO)


def test_a_key_leads_to_its_principal_and_nobody_has_no_role() -> None:
    assert (TWO.who(key("ada")), TWO.who(key("eve")), TWO.who("")) == ("ada", "", "")
    assert (TWO.roles("ada"), TWO.roles("eve")) == ({Role.HOST}, frozenset())


def test_a_second_key_keeps_the_roles_unless_others_are_named() -> None:
    more = TWO.with_key("ada", key("ada-2"), frozenset())
    assert more.names["ada"] == Signer(frozenset({Role.HOST}), (key("ada"), key("ada-2")))
    assert more.with_key("ada", key("ada"), frozenset({Role.SUBMIT})).roles("ada") == {Role.SUBMIT}
    assert more.without("ada") == ROOT


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("signers: {}\n", "nobody has the role admin"),
        (f"signers: {{ada: {{roles: [host], keys: ['{key('ada')}']}}}}\n", "nobody has the role admin"),
        (
            "signers:\n" + "".join(f"  {n}: {{roles: [admin], keys: ['{key('a')}']}}\n" for n in "ab"),
            "is given twice",
        ),
        ("signers: {a: {roles: [admin], keys: [nonsense]}}\n", "not a public key"),
        ("signers: {a: {roles: [admin], keys: [[x]]}}\n", "not a public key"),
        (f"signers: {{a: {{roles: [boss], keys: ['{key('a')}']}}}}\n", "'boss' is not known"),
        (f"signers: {{A!: {{roles: [admin], keys: ['{key('a')}']}}}}\n", "is not a job id"),
        (TWO.text() + "since: [main]\n", "not a commit"),
        ("roles: x\n", "unknown key"),
        ("[", "not YAML"),
    ],
)
def test_a_bad_file_says_what_is_wrong_with_it(text: str, what: str) -> None:
    with pytest.raises(InvalidFileError, match=f"signers.yaml:.*{what}"):
        parse_signers(text.encode(), "signers.yaml")


def test_roles_are_named_by_commas_or_spaces() -> None:
    assert roles_of("host, submit") == {Role.HOST, Role.SUBMIT}
    assert roles_of("") == frozenset()
    with pytest.raises(AqError, match="no role 'boss'"):
        roles_of("host,boss")


def _change(signers: Signers, seen: str = "") -> ChangeSigners:
    return ChangeSigners(at=NOW, by="root", op_id="o", signers=signers, detail="add ada", seen=seen)


def test_the_signers_are_one_file_of_the_queue() -> None:
    change = _change(TWO).decide(Snapshot("t", {}))
    assert isinstance(change, Change)
    (edit,) = file_edits(change)
    assert (edit.path, edit.content) == (SIGNERS, TWO.text().encode())


def test_the_last_admin_stays_and_a_change_that_came_first_is_seen() -> None:
    assert isinstance(_change(TWO.without("root")).decide(Snapshot("t", {})), Refusal)
    late = _change(TWO, seen="a").decide(Snapshot("t", {}, signers="b"))
    assert isinstance(late, Refusal)
    assert "meanwhile" in late.reason


def test_accepting_names_the_commit_and_changes_no_file() -> None:
    change = AcceptCommit(at=NOW, by="root", op_id="o", commit="ab" * 20, subject="s").decide(
        Snapshot("t", {})
    )
    assert isinstance(change, Change)
    assert (change.event.get("Aq-Accepted"), file_edits(change)) == ("ab" * 20, [])
