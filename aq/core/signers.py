"""Who may sign what: principals with their keys and roles."""

from __future__ import annotations

from enum import StrEnum

from aq.core.value import Value, field


class Role(StrEnum):
    """What a key may do."""

    SUBMIT = "submit"
    HOST = "host"
    APPROVE = "approve"
    ADMIN = "admin"


class Signer(Value):
    """One principal: a person, or the host of that name."""

    roles: frozenset[Role]
    keys: tuple[str, ...]


class Signers(Value):
    """All principals by name. A key belongs to one of them."""

    names: dict[str, Signer] = field(default_factory=dict)

    def who(self, key: str) -> str:
        """The principal of a public key (`type base64`), or nothing."""
        return next((name for name, signer in self.names.items() if key and key in signer.keys), "")

    def roles(self, name: str) -> frozenset[Role]:
        """What a principal may do."""
        signer = self.names.get(name)
        return signer.roles if signer else frozenset()

    @property
    def problem(self) -> str:
        """Why nobody could go on with these signers, or nothing."""
        keys = [key for signer in self.names.values() for key in signer.keys]
        twice = next((key for key in keys if keys.count(key) > 1), "")
        if twice:
            return f"the key {twice[:40]}… is given twice"
        if not any(Role.ADMIN in signer.roles and signer.keys for signer in self.names.values()):
            return "nobody has the role admin and a key: the signers could never change again"
        return ""

    def with_key(self, name: str, key: str, roles: frozenset[Role]) -> Signers:
        """These signers, with one more key, or with other roles where any are named."""
        old = self.names.get(name, Signer(frozenset(), ()))
        new = Signer(roles or old.roles, tuple(dict.fromkeys((*old.keys, key))))
        return Signers({**self.names, name: new})

    def without(self, name: str) -> Signers:
        """These signers without one of them."""
        return Signers({other: signer for other, signer in self.names.items() if other != name})

    def text(self) -> str:
        """The file that says so."""
        lines = ["signers:"]
        for name, signer in sorted(self.names.items()):
            roles = ", ".join(sorted(signer.roles))
            lines += [
                f"  {name}:",
                f"    roles: [{roles}]",
                "    keys:",
                *(f"      - {k}" for k in signer.keys),
            ]
        return "\n".join(lines) + "\n"
