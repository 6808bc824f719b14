"""`aq add`: submit files or text at once."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from aq.core.errors import AqError, UsageError
from aq.core.instants import instant
from aq.ui.checker import Question, Source, check
from aq.ui.out import clean, say, say_json, style, tell

if TYPE_CHECKING:
    from aq.core.manifest import Manifest
    from aq.core.operations import Operation
    from aq.core.results import Result
    from aq.wiring import Queue


# A slash, or an ending: `notes/fix`, `fix.txt`.
_LIKE_A_PATH = re.compile(r"/|\\|\w\.\w{1,10}$")


def add(
    what: list[str] = typer.Argument(None, help="Job files, `-` for standard input, or the prompt itself."),
    engine: str = typer.Option("", "--engine", help="The engine, for a prompt given as text."),
    profile: str = typer.Option("", "--profile", help="The profile, for a prompt given as text."),
    verify: str = typer.Option("", "--verify", help="The verify command, for a prompt given as text."),
    priority: str = typer.Option(
        "", "--priority", help="critical, high, medium or low, for a prompt given as text."
    ),
    name: str = typer.Option("", "--name", help="The job's id is made from this name."),
    allow_secret: bool = typer.Option(
        False, "--allow-secret", help="Submit a file although it seems to hold a secret."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> int:
    """Submit each file; nothing is lost when the remote is away."""
    keys = {"engine": engine, "profile": profile, "verify": verify, "priority": priority}
    _refuse_nonsense(what or [], [key for key, value in keys.items() if value])
    sources = [_read(item, keys, name) for item in what]
    from aq.ui.cli.common import here

    with here(intake=False) as queue:
        manifests = check(Question(tuple(sources), allow_secret))
        operations = _spooled(queue, sources, manifests, allow_secret=allow_secret)
        try:
            return _submit(queue, operations, as_json=as_json)
        except KeyboardInterrupt:
            for operation in operations:
                tell(f"{operation.about} is kept here, and the next aq command submits it", "aq:")
                tell(f"    `aq cancel {operation.about}` takes it back")
            raise


def _refuse_nonsense(what: list[str], keys: list[str]) -> None:
    if not what:
        raise UsageError("nothing to add", "name a file, or give the prompt as text")
    for item in what:
        _refuse_no_prompt(item)
    texts = [item for item in what if not _is_file(item)]
    if texts and len(what) > 1:
        raise UsageError(f"{texts[0]!r} is not a file", 'put a prompt in quotes: `aq add "fix the login"`')
    if keys and not texts and what != ["-"]:
        raise UsageError(f"--{keys[0]} is for a prompt given as text", f"write `{keys[0]}:` in the file")


def _refuse_no_prompt(item: str) -> None:
    """A folder, or a file that is not there, is a slip of the hand and not what an agent is to do."""
    if item == "-" or len(item.split()) != 1 or _is_file(item):
        return
    if Path(item).is_dir():
        raise UsageError(f"{item} is a folder", "name the job files in it")
    if _LIKE_A_PATH.search(item):
        raise UsageError(f"there is no file {item}", "a prompt of one word is written without / and .")


def _is_file(item: str) -> bool:
    if item.endswith((".md", ".markdown", ".edited")) and len(item.split()) == 1:
        return True
    return item == "-" or (len(item) < 200 and Path(item).is_file())


def _read(item: str, keys: dict[str, str], name: str) -> Source:
    path = Path(item)
    if item == "-":
        given = sys.stdin.buffer.read() if sys.stdin else b""
        return Source(name or "job", "standard input", _with_keys(given, keys))
    if _is_file(item):
        from aq.ledger.dropped import read_plain_file

        try:
            return Source(name or path.name.rsplit(".", 1)[0], item, read_plain_file(path))
        except OSError as error:
            raise AqError(f"{item}: {error.strerror}", "name a file that exists") from None
    return Source(
        name or " ".join(item.split()[:5]), "the given text", _with_keys(f"{item}\n".encode(), keys)
    )


def _with_keys(text: bytes, keys: dict[str, str]) -> bytes:
    """A prompt with what the options say of it."""
    given = {key: value for key, value in keys.items() if value}
    if given and text.lstrip().startswith(b"---"):
        key = next(iter(given))
        raise UsageError(f"--{key} is for a prompt without front matter", f"write `{key}:` there")
    front = "".join(f"{key}: {_quoted(value)}\n" for key, value in given.items())
    return f"---\n{front}---\n".encode() + text if front else text


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _spooled(
    queue: Queue, sources: list[Source], manifests: list[Manifest], *, allow_secret: bool
) -> list[Operation]:
    """The operations, each written down first."""
    from aq.core.ids import slug
    from aq.core.operations import Add
    from aq.ledger.dropped import job_id_for
    from aq.ledger.spool import Spooled
    from aq.ui.cli.common import asked

    operations: list[Operation] = []
    for source, manifest in zip(sources, manifests, strict=True):
        blob = queue.ledger.write_blob(source.content)
        job = job_id_for(slug(source.stem), manifest, fresh=True)
        operation = Add(
            **asked(queue.who.name), job=job, blob=blob, manifest=manifest, secret_allowed=allow_secret
        )
        queue.clone.spool.put(Spooled(operation, source.content.decode()))
        operations.append(operation)
    return operations


def _submit(queue: Queue, operations: list[Operation], *, as_json: bool) -> int:
    code = 0
    results: list[dict[str, str]] = []
    expected = _expected(queue, operations)
    warned: list[dict[str, str]] = []
    for result in queue.ledger.perform(operations):
        queue.clone.submitted(result)
        job, commit = result.operation.about, _commit(queue, result)
        if not commit:
            fact, failed = _not_added(result, as_json=as_json)
            results.append({"job": job, **fact})
            code = failed or code
            continue
        results.append({"job": job, "commit": commit})
        if not as_json:
            say(f"{style('added', 'green')} {clean(job)}")
        for words in expected.get(job, ()):
            warned.append({"job": job, "warning": words})
            tell(f"{job}: {words}", "warning:", "yellow")
    if as_json:
        say_json({"added": results, "warnings": warned})
    return code


def _not_added(result: Result, *, as_json: bool) -> tuple[dict[str, str], int]:
    """Say why; the fact and the exit code."""
    from aq.core.results import Refused, reason_of

    why = reason_of(result)
    if not isinstance(result, Refused):
        tell(f"{result.operation.about} is kept here and not in the queue yet: {why}", "aq:")
        tell("    `aq run` or the next aq command submits it")
        return {"waits": why}, 75
    if not result.refusal.done:
        tell(why, "aq:")
        return {"refused": why}, 1
    if not as_json:
        say(clean(why))
    return {"refused": why}, 0


def _commit(queue: Queue, result: Result) -> str:
    """The commit of this very operation. Another process of this clone may have submitted it from the
    spool meanwhile."""
    from aq.core.results import Landed, Refused

    if isinstance(result, Landed):
        return result.commit
    if not isinstance(result, Refused) or not result.refusal.done:
        return ""
    ledger, operation = queue.ledger, result.operation
    events = ledger.history.events(ledger.tip, operation.about)
    return next((oid for oid, _, event in events if event and event.op_id == operation.op_id), "")


def _expected(queue: Queue, operations: list[Operation]) -> dict[str, list[str]]:
    """What will keep each job from starting, as far as this clone knows without asking the remote."""
    from aq.core.operations import Add
    from aq.ui.outlook import warnings

    if not queue.ledger.tip:
        return {}
    snapshot, hosts, now = queue.ledger.snapshot(), queue.ledger.known_hosts(), instant(time.time())
    return {
        op.job: list(warnings(op.job, op.manifest, snapshot, hosts, now))
        for op in operations
        if isinstance(op, Add)
    }
