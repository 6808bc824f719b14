"""A signature's place in a commit, and the key inside it: bytes in, bytes out."""

from __future__ import annotations

import base64

import pytest

from aq.core.sshsig import key_of, key_text, plain_key, signed, unsigned

COMMIT = b"tree aa\nparent bb\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n\nsubject\n\nbody\n"


def _packed(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


BLOB = _packed(b"ssh-ed25519", b"k" * 32)
KEY = f"ssh-ed25519 {base64.b64encode(BLOB).decode()}"


def armored(inside: bytes) -> bytes:
    text = base64.b64encode(inside)
    lines = b"\n".join(text[at : at + 70] for at in range(0, len(text), 70))
    return b"-----BEGIN SSH SIGNATURE-----\n" + lines + b"\n-----END SSH SIGNATURE-----\n"


ARMOR = armored(b"SSHSIG\0\0\0\1" + _packed(BLOB, b"git", b"", b"sha512", b"s" * 64))


@pytest.mark.parametrize("header", ["gpgsig", "gpgsig-sha256"])
def test_what_is_signed_comes_back_byte_for_byte(header: str) -> None:
    raw = signed(COMMIT, ARMOR, header)
    assert raw != COMMIT
    assert unsigned(raw) == (COMMIT, ARMOR)


def test_a_commit_without_a_signature_has_none() -> None:
    assert unsigned(COMMIT) == (COMMIT, b"")


def test_a_commit_with_two_signatures_has_none_that_counts() -> None:
    twice = signed(signed(COMMIT, ARMOR), ARMOR, "gpgsig-sha256")
    assert unsigned(twice) == (COMMIT, b"")


def test_a_signature_in_the_message_is_only_text() -> None:
    raw = COMMIT + b"gpgsig " + ARMOR
    assert unsigned(raw) == (raw, b"")


def test_lines_that_continue_another_header_are_kept() -> None:
    raw = b"tree aa\nmergetag object bb\n type commit\n\nsubject\n"
    assert unsigned(raw) == (raw, b"")


def test_the_key_is_found_in_the_signature() -> None:
    assert key_of(ARMOR) == KEY


@pytest.mark.parametrize(
    "armor",
    [
        b"",
        b"-----BEGIN PGP SIGNATURE-----\nAAAA\n-----END PGP SIGNATURE-----\n",
        b"-----BEGIN SSH SIGNATURE-----\n!!!!\n-----END SSH SIGNATURE-----\n",
        armored(b"OTHER"),
        armored(b"SSHSIG\0\0\0\2" + _packed(BLOB)),
        armored(b"SSHSIG\0\0\0\1" + _packed(_packed(b"ssh-dss", b"k"))),
        armored(b"SSHSIG\0\0\0\1"),
    ],
)
def test_what_is_no_signature_of_a_known_kind_has_no_key(armor: bytes) -> None:
    assert key_of(armor) == ""


@pytest.mark.parametrize("text", [KEY, f"{KEY} alice@laptop", f"  {KEY}\n"])
def test_a_pasted_key_loses_its_comment(text: str) -> None:
    assert plain_key(text) == KEY


@pytest.mark.parametrize(
    "text", ["", "ssh-ed25519", "ssh-ed25519 !!!", "ssh-ed25519 ü", KEY.replace("ssh-ed25519", "ssh-rsa")]
)
def test_what_is_no_public_key_is_none(text: str) -> None:
    assert plain_key(text) == ""


def test_a_key_of_another_kind_may_not_sign() -> None:
    assert key_text(_packed(b"ssh-dss", b"k")) == ""
