"""`aq trust init`: keys for this machine, and the first signers that it pins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aq.core.errors import UsageError
from aq.core.files.signersfile import Pins, parse_signers, roles_of
from aq.core.ids import is_id, slug
from aq.core.operations import ChangeSigners
from aq.core.signers import Signers
from aq.core.sshsig import plain_key
from aq.host.config import load_host_config
from aq.host.place import config_path, trust_files
from aq.ledger.signing import make_key, public_key
from aq.ledger.store import write_atomic
from aq.ui.cli.common import asked, perform
from aq.ui.out import clean, say, style
from aq.wiring import open_queue

if TYPE_CHECKING:
    from aq.host.place import TrustFiles

_PERSON, _HOST = "admin,approve,submit", "host,submit"


def initialize(given: str, host: str, join: tuple[str, str], since: str) -> int:
    """Make the keys that are missing, pin the first admin, and say what is left to do. Safe to repeat."""
    config = load_host_config()
    files = trust_files(config.signing_key, config.host_key)
    name = _name(given)
    keys = {name: _key(files.person)} | ({_name(host): _key(files.host)} if host else {})
    if files.pins.exists():
        _pin_more(files.pins, since)
    elif any(join):
        _join(files.pins, join, since)
    else:
        since = _begin(files, keys, name)
    say(f"{style('pinned', 'green')}: {files.pins}")
    for who, key in keys.items():
        say(f"{who}: {clean(key)}")
    if config.trust != "signed":
        say(f"next: write `trust: signed` into {config_path()}")
    if not any(join) and since:
        say("other machines join with:")
        say(f"  aq trust init NAME --host HOST --admin {name} --pin '{keys[name]}' --since {since}")
    elif any(join):
        for who in keys:
            roles = "host,submit" if who == host else "submit"
            say(f"an admin lets this key in: aq trust add {who} '{keys[who]}' --role {roles}")
    return 0


def _name(given: str) -> str:
    """The principal of a key: what is given, or the user's login name."""
    import getpass

    name = given or slug(getpass.getuser(), 40)
    if not is_id(name):
        raise UsageError(f"{name!r} is not a name for a key", "use a-z, 0-9, - and _")
    return name


def _key(path: Path) -> str:
    if not path.exists():
        make_key(path)
    return public_key(path)


def _pin_more(path: Path, since: str) -> None:
    """One more queue whose history is taken as it is up to a commit."""
    pins = parse_signers(path.read_bytes(), str(path))
    if since and since not in pins.since:
        _write(path, Pins(pins.signers, (*pins.since, since)))


def _join(path: Path, join: tuple[str, str], since: str) -> None:
    admin, key = join[0], plain_key(join[1])
    if not is_id(admin) or not key or not since:
        hint = "give --admin NAME, --pin KEY and --since COMMIT, as the admin's `aq trust init` printed them"
        raise UsageError("joining needs an admin to trust, and from where on", hint)
    _write(path, Pins(Signers().with_key(admin, key, roles_of(_PERSON)), (since,)))


def _begin(files: TrustFiles, keys: dict[str, str], name: str) -> str:
    """The first signers are this person and this host. They are the first link in the queue as well."""
    signers = Signers()
    for who, key in keys.items():
        signers = signers.with_key(who, key, roles_of(_PERSON if who == name else _HOST))
    with open_queue(Path.cwd(), mode=lambda: None) as queue:
        queue.ledger.fetch()
        tip = queue.ledger.tip
    _write(files.pins, Pins(signers, (tip,)))
    with open_queue(Path.cwd(), mode=lambda: files) as queue:
        perform(queue, ChangeSigners(**asked(name), signers=signers, detail=f"begin with {name}"))
    return tip


def _write(path: Path, pins: Pins) -> None:
    # What is written must be what is read: a file that no command accepts would lock everybody out.
    parse_signers(pins.text().encode(), str(path))
    write_atomic(path, pins.text().encode(), sync=True)
