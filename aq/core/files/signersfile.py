"""The file of the signers: `trust/signers.yaml` of a queue, and the one that a host pins."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from aq.core.errors import AqError, InvalidFileError
from aq.core.files.document import Document, decode, read_yaml
from aq.core.files.parsing import JobId, Many, Strict, refuse, validate
from aq.core.signers import Role, Signer, Signers
from aq.core.sshsig import plain_key
from aq.core.value import Value

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def _key(value: Any) -> str:
    key = plain_key(value) if isinstance(value, str) else ""
    if not key:
        raise refuse("this is not a public key", "paste a line such as `ssh-ed25519 AAAA…`")
    return key


def _commit(value: Any) -> str:
    if not isinstance(value, str) or not _COMMIT.fullmatch(value):
        raise refuse("this is not a commit", "write the whole id")
    return value


class SignerForm(Strict):
    """One principal."""

    roles: Many[Role]
    keys: Many[Annotated[str, BeforeValidator(_key)]]


class SignersFile(Strict):
    """Who may sign. `since` is for the pinned file only."""

    signers: dict[JobId, SignerForm]
    since: Many[Annotated[str, BeforeValidator(_commit)]] = Field(default=())


class Pins(Value):
    """What a host trusts by itself: the first signers, and the commits up to which a queue's history is
    taken as it is."""

    signers: Signers
    since: tuple[str, ...] = ()

    def text(self) -> str:
        """The file that says so."""
        lines = ["since:", *(f"  - {oid}" for oid in self.since)] if self.since else []
        return self.signers.text() + "".join(f"{line}\n" for line in lines)


def parse_signers(data: bytes, file: str) -> Pins:
    """The signers of a file's bytes. Raises InvalidFileError."""
    try:
        front, lines = read_yaml(decode(data))
        form = validate(SignersFile, Document(front, lines, ""))
    except InvalidFileError as error:
        raise error.located(file) from None
    names = {name: Signer(frozenset(each.roles), each.keys) for name, each in form.signers.items()}
    signers = Signers(names)
    if signers.problem:
        raise InvalidFileError(signers.problem, "correct the file", file=file, line=1)
    return Pins(signers, form.since)


def roles_of(text: str) -> frozenset[Role]:
    """The roles that a person names, by commas. Raises AqError."""
    names = [name for name in re.split(r"[\s,]+", text) if name]
    wrong = next((name for name in names if name not in set(Role)), "")
    if wrong:
        raise AqError(f"there is no role {wrong!r}", f"write some of {', '.join(Role)}")
    return frozenset(Role(name) for name in names)
