"""Whether a commit of the queue may be obeyed: its signer's role, and that it does what it says. Pure; the
author of a commit never counts, only the key that signed it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from aq.core.audit.state import place_of
from aq.core.errors import IllegalTransitionError
from aq.core.event import Event
from aq.core.layout import PAUSED, PROFILES, SETTINGS, SIGNERS, SPEND
from aq.core.lease import Lease
from aq.core.lifecycle import Stage, Trigger, lease_allowed, transition
from aq.core.record import Record
from aq.core.signers import Role, Signers
from aq.core.value import Value
from aq.core.writes import Rewrite, strays, words

JOB = "job "
_ANY = frozenset(Role)
_ADMIN = frozenset({Role.ADMIN})
_SUBMIT = frozenset({Role.SUBMIT, Role.ADMIN})
_PERSON = frozenset({Role.SUBMIT, Role.APPROVE, Role.ADMIN})
_APPROVE = frozenset({Role.APPROVE})
_LIFT = frozenset({Role.APPROVE, Role.ADMIN})
_HOST = frozenset({Role.HOST})
NEEDED: dict[str, frozenset[Role]] = dict.fromkeys(map(str, Trigger), _HOST) | {
    Trigger.ADD: _SUBMIT,
    Trigger.REVISE: _SUBMIT,
    Trigger.REPAIR: _SUBMIT,
    Trigger.REQUEUE: _PERSON,
    Trigger.CANCEL: _PERSON,
    Trigger.PAUSE_JOB: _PERSON,
    Trigger.RESUME_JOB: _LIFT,
    Trigger.PROMOTE: _APPROVE,
    Trigger.SHIP: _APPROVE,
    Trigger.REJECT: _APPROVE,
    Trigger.APPROVE: _APPROVE,
    "init": _ADMIN,
    # A stop is obeyed whoever asks for it: that is the safe side. Lifting it is not.
    "pause": _ANY,
    "resume": _LIFT,
    "accept-rewind": _ADMIN,
    "signers": _ADMIN,
    "accept": _ADMIN,
}
_FLEET_PATHS = {"pause": PAUSED, "resume": PAUSED, "signers": SIGNERS}
_WRITES_FILE = (Trigger.ADD, Trigger.REVISE, Trigger.REPAIR)
_NOT_BY_HOLDER = (Trigger.RECLAIM, Trigger.FENCED, Trigger.DELIVERED, Trigger.SPAWN)


class Changed(Value):
    """A path with its blobs before and after, empty where there was or is none."""

    path: str
    old: str
    new: str


class Touch(Value):
    """What a commit did to the one job that it touches. `written` when its file has other content than
    before; `copied` when that is the content of the schedule that the commit names; `approved` are the names
    that came to its approvals; `ran_on` is the host of its newest run; `auto` when hosts may ship it;
    `was` and `now` are its records; `file` is the blob of its file, where that matters; `tangled` is why the
    changes are no move at all."""

    job: str
    source: Stage | None
    target: Stage | None
    written: bool = False
    copied: bool = False
    before: Lease | None = None
    after: Lease | None = None
    approved: tuple[str, ...] = ()
    ran_on: str = ""
    auto: bool = False
    was: Record = Record()
    now: Record = Record()
    file: str = ""
    tangled: str = ""


class Deed(Value):
    """One commit. `key` is that of its good signature; without one, `flaw` says what is wrong."""

    commit: str
    subject: str
    event: Event | None
    changes: tuple[Changed, ...]
    key: str = ""
    flaw: str = "is not signed"
    touch: Touch | None = None


def thing_of(path: str) -> str:
    """What a path belongs to: a job, or a file that aq obeys; nothing for all the rest."""
    place = place_of(path)
    if place:
        return JOB + place[1]
    obeyed = path in (SETTINGS, PAUSED, SIGNERS) or path.startswith((f"{SPEND}/", f"{PROFILES}/"))
    return path if obeyed else ""


def fingerprint(key: str) -> str:
    """A public key as ssh prints it for people."""
    digest = hashlib.sha256(base64.b64decode(key.split(" ")[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def judge(deed: Deed, signers: Signers) -> str:
    """Why a commit is not obeyed, or nothing."""
    things = {thing for each in deed.changes if (thing := thing_of(each.path))}
    if deed.event is None and not things:
        return ""
    if not deed.key:
        return deed.flaw
    who = signers.who(deed.key)
    if not who:
        return f"is signed by a key that nobody here knows, {fingerprint(deed.key)}"
    if deed.event is None:
        return _by_hand(deed.changes, who, signers)
    if deed.event.op in set(Trigger):
        return _operation(deed, deed.event, who, signers)
    return _fleet(deed.event.op, things, who, signers)


def _may(who: str, signers: Signers, needed: frozenset[Role], what: str) -> str:
    if signers.roles(who) & needed:
        return ""
    return f"is signed by {who}, who may not {what} (that takes the role {' or '.join(sorted(needed))})"


def _by_hand(changes: Iterable[Changed], who: str, signers: Signers) -> str:
    for each in changes:
        needed = _hand_role(each)
        if needed is None:
            return f"changes {each.path} by hand"
        wrong = needed and _may(who, signers, needed, f"change {each.path}")
        if wrong:
            return wrong
    return ""


def _hand_role(each: Changed) -> frozenset[Role] | None:
    """The roles that may make a change with plain git; none needed where it means nothing, None where
    nobody may (DESIGN section 5, rule 12)."""
    place = place_of(each.path)
    if place:
        return _SUBMIT if place[0] == Stage.INBOX and place[2] == "md" and each.new else None
    if each.path == PAUSED:
        return _ANY if each.new else _LIFT
    if each.path.startswith(f"{SPEND}/"):
        return None
    return _ADMIN if thing_of(each.path) else frozenset()


def _fleet(op: str, things: set[str], who: str, signers: Signers) -> str:
    strange = sorted(things - {_FLEET_PATHS.get(op, "")})
    if strange and op != "init":
        return f"says {op} and changes {strange[0]}"
    return _may(who, signers, NEEDED[op], {"signers": "change the signers"}.get(op, op))


def _operation(deed: Deed, event: Event, who: str, signers: Signers) -> str:
    touch = deed.touch
    if touch is None:
        stray = event.op == Trigger.REPAIR and len(deed.changes) == 1 and not deed.changes[0].new
        return _may(who, signers, _SUBMIT, "repair") if stray else f"says {event.op} and touches no one job"
    strange = [each.path for each in deed.changes if _strange(each.path, touch.job)]
    if strange or touch.job != event.job:
        return f"says {event.op} {event.job or 'nothing'} and changes {(strange or [touch.job])[0]}"
    return _legal(event, touch) or _by_role(event, touch, who, signers) or _approvals(event, touch, who)


def _strange(path: str, job: str) -> bool:
    return thing_of(path) not in ("", JOB + job) and not path.startswith(f"{SPEND}/")


def _legal(event: Event, touch: Touch) -> str:
    """The commit does what its message says, and the table holds it: a role is for its own operations."""
    if touch.tangled or touch.target is None:
        return f"says {event.op} {touch.job}, and {touch.tangled or 'the job vanishes'}"
    if (event.source, event.target) != (touch.source, touch.target):
        return f"says {event.op} {touch.job}, and does {touch.source or 'new'} to {touch.target}"
    trigger, held, holds = Trigger(event.op), touch.before, touch.after
    try:
        row = transition(trigger, touch.source, touch.target)
    except IllegalTransitionError as error:
        return f"is illegal: {error}"
    if not lease_allowed(row.lease, before=held is not None, after=holds is not None, same=held == holds):
        return f"says {event.op} {touch.job}, for which the rule is: {row.lease}"
    writes = trigger in _WRITES_FILE or (trigger is Trigger.SPAWN and touch.copied)
    if touch.written and not writes:
        return f"says {event.op}, and changes the file of {touch.job}"
    change = Rewrite(trigger, touch.was, touch.now, touch.source, touch.target, touch.file)
    wrong = words(trigger, strays(change))
    return f"goes too far: {wrong}" if wrong else ""


def _by_role(event: Event, touch: Touch, who: str, signers: Signers) -> str:
    needed = NEEDED[event.op]
    if event.op == Trigger.SHIP and event.host and touch.auto:
        needed = _HOST
    wrong = _may(who, signers, needed, f"{event.op} {touch.job}")
    if wrong or needed != _HOST:
        own = needed == _APPROVE and event.op != Trigger.REJECT and touch.ran_on == who
        return wrong or (f"is signed by {who}, whose own run it is" if own else "")
    if event.host not in ("", who):
        return f"is signed by {who} and speaks for {event.host}"
    lease = touch.after or touch.before
    if lease and lease.host != who and Trigger(event.op) not in _NOT_BY_HOLDER:
        return f"is signed by {who}, and the lease is of {lease.host}"
    return ""


def _approvals(event: Event, touch: Touch, who: str) -> str:
    expected = (who,) if event.op == Trigger.APPROVE else ()
    if touch.approved == expected:
        return ""
    return f"is signed by {who} and adds the approval of {', '.join(touch.approved) or 'nobody'}"
