"""`aq trust`: whose signatures count on this machine, and what was not obeyed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from aq.core.errors import AqError, UsageError
from aq.core.ids import is_id
from aq.ui.cli.common import asked, perform, report
from aq.ui.out import clean, say, say_json, style
from aq.wiring import Queue, open_queue

if TYPE_CHECKING:
    from aq.core.signers import Signers
    from aq.core.standing import Standing
    from aq.ledger.trusting import Trust

_ACTIONS = ("init", "add", "remove", "list", "verify", "accept")


def trust(
    action: str = typer.Argument("list", help=f"{', '.join(_ACTIONS)}."),
    name: str = typer.Argument("", help="A principal; with accept, a commit; with init, your own name."),
    key: str = typer.Argument("", help="With add: a public key, or a file with one."),
    role: str = typer.Option("", "--role", help="With add: some of submit, host, approve, admin, by commas."),
    host: str = typer.Option(
        "", "--host", help="With init: also a key for `aq run`, under this host's name."
    ),
    pin: str = typer.Option(
        "", "--pin", help="With init: join; the admin's public key, as theirs printed it."
    ),
    admin: str = typer.Option("", "--admin", help="With init --pin: the admin's name."),
    since: str = typer.Option(
        "",
        "--since",
        help="With init --pin and verify: the commit up to which the history is taken as it is.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> int:
    """Keys and roles of people and hosts; docs/trust.md tells the rules."""
    if action == "init":
        from aq.ui.cli.trustinit import initialize

        return initialize(name, host, (admin, pin), since)
    if action not in _ACTIONS:
        raise UsageError(f"there is no `aq trust {action}`", f"write one of {', '.join(_ACTIONS)}")
    with open_queue(Path.cwd()) as queue:
        trusting = queue.ledger.trust
        if trusting is None:
            raise AqError("this machine obeys whoever can push", "`aq trust init` begins with signatures")
        queue.ledger.fetch()
        standing = trusting.at(queue.ledger.tip)
        if action == "verify":
            return _verify(queue, standing, since, as_json=as_json)
        if action == "list":
            return _list(trusting, standing, as_json=as_json)
        if action == "add":
            return _add(queue, standing, name, key, role)
        return _remove(queue, standing, name) if action == "remove" else _accept(queue, standing, name)


def _add(queue: Queue, standing: Standing, name: str, key: str, role: str) -> int:
    from aq.core.files.signersfile import roles_of
    from aq.core.sshsig import plain_key

    if not is_id(name):
        raise UsageError(f"{name!r} is not a name for a key", "use a-z, 0-9, - and _; a host's is its own")
    try:
        text = Path(key).read_text("utf-8") if key and Path(key).is_file() else key
    except (OSError, UnicodeDecodeError) as error:
        raise AqError(f"{key}: {error}", "give a public key, or a file with one") from None
    public, roles = plain_key(text), roles_of(role)
    if not public:
        raise UsageError("this is not a public key", "paste a line such as `ssh-ed25519 AAAA…`, in quotes")
    if not roles and name not in standing.signers.names:
        raise UsageError(f"what may {name} do?", "give --role with some of submit, host, approve, admin")
    signers = standing.signers.with_key(name, public, roles)
    detail = f"add {name} ({', '.join(sorted(signers.roles(name)))})"
    return _change(queue, standing, signers, detail)


def _remove(queue: Queue, standing: Standing, name: str) -> int:
    if name not in standing.signers.names:
        raise AqError(f"there is no signer {name!r}", "`aq trust list` names them")
    return _change(queue, standing, standing.signers.without(name), f"remove {name}")


def _change(queue: Queue, standing: Standing, signers: Signers, detail: str) -> int:
    from aq.core.operations import ChangeSigners

    about = asked(queue.who.name)
    report(perform(queue, ChangeSigners(**about, signers=signers, detail=detail, seen=standing.rotated)))
    return 0


def _accept(queue: Queue, standing: Standing, commit: str) -> int:
    from aq.core.operations import AcceptCommit

    found = [oid for oid in standing.flawed if len(commit) >= 4 and oid.startswith(commit)]
    if len(found) != 1:
        raise AqError(f"{commit!r} names no distrusted commit", "`aq trust verify` lists them")
    subject = f"{found[0][:12]} {standing.flawed[found[0]].subject}"
    report(perform(queue, AcceptCommit(**asked(queue.who.name), commit=found[0], subject=subject)))
    return 0


def _list(trusting: Trust, standing: Standing, *, as_json: bool) -> int:
    source = f"commit {standing.rotated[:12]}" if standing.rotated else "pinned on this machine"
    names = standing.signers.names
    own = standing.signers.who(trusting.public)
    if as_json:
        facts = {name: {"roles": sorted(s.roles), "keys": list(s.keys)} for name, s in names.items()}
        say_json({"signers": facts, "commit": standing.rotated, "you": own})
        return 0
    say(f"the signers are {source}; this key is {own or 'of nobody here'}")
    for name, signer in sorted(names.items()):
        say(f"{name}  {style(', '.join(sorted(signer.roles)), 'dim')}")
        for key in signer.keys:
            say(f"    {clean(key)}")
    return 0


def _verify(queue: Queue, standing: Standing, since: str, *, as_json: bool) -> int:
    """Exit code 1 while something hangs on a commit that is not obeyed."""
    hanging = standing.open_flaws()
    shown = dict(standing.flawed)
    if since:
        line = queue.ledger.line()
        newer = {oid for oid, _ in line.ids(line.resolve(since))}
        shown = {oid: flaw for oid, flaw in shown.items() if oid in newer}
    commits: list[dict[str, Any]] = [
        {"commit": oid, "subject": flaw.subject, "why": flaw.why, "open": oid in hanging}
        for oid, flaw in shown.items()
    ]
    code = 1 if any(entry["open"] for entry in commits) else 0
    if as_json:
        say_json({"tip": queue.ledger.tip, "distrusted": commits})
        return code
    for entry in commits:
        mark = style("BAD", "red") if entry["open"] else style("old", "dim")
        say(f"{mark}  {entry['commit'][:12]}  {clean(entry['subject'])}")
        say(f"      {clean(entry['why'])}")
    count = sum(entry["open"] for entry in commits)
    say(
        f"{count} commit{'s are' if count > 1 else ' is'} not obeyed"
        if count
        else style("everything in play is signed as it must be", "green")
    )
    return code
