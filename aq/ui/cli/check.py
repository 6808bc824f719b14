"""`aq check`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from aq.core.errors import AqError, InvalidFileError
from aq.core.instants import instant
from aq.ui.out import clean, say, say_json, style

if TYPE_CHECKING:
    from aq.wiring import Queue

_Found = list[tuple[str, str]]


def check(
    files: list[Path] = typer.Argument(
        None, help="Job files, or a queue/aq.yaml; default: everything in the clone's inbox and queue."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> int:
    """Say what is wrong with each file, as file:line: what; hint."""
    found, warned = _files(files) if files else _queue_problems()
    bad = [(name, problem) for name, problem in found if problem]
    if as_json:
        problems = [{"file": name, "problem": problem} for name, problem in bad]
        told = [{"file": name, "warning": words} for name, words in warned]
        say_json({"checked": len(found), "problems": problems, "warnings": told})
        return 1 if bad else 0
    for name, words in warned:
        say(f"{style('warning', 'yellow')}  {clean(f'{name}: {words}')}")
    for name, problem in bad:
        say(f"{style('bad', 'red')}  {clean(problem if problem.startswith(name) else f'{name}: {problem}')}")
    if not bad:
        say(f"{style('ok', 'green')}  {len(found)} file{'s' if len(found) != 1 else ''} checked")
    return 1 if bad else 0


def _problem(path: Path, name: str) -> str:
    """What is wrong with a file, told under this name; nothing when it is good."""
    from aq.core.files.settingsfile import parse_settings
    from aq.core.submission import checked
    from aq.ledger.dropped import read_plain_file

    try:
        content = read_plain_file(path)
        if path.name == "aq.yaml":
            parse_settings(content, name)
        else:
            checked(content, name)
    except InvalidFileError as error:
        return str(error)
    except OSError as error:
        raise AqError(f"{path}: {error.strerror}", "name a file that exists") from None
    return ""


def _files(paths: list[Path]) -> tuple[_Found, _Found]:
    """What is wrong with some files, and what would keep the good ones from starting in this queue."""
    from aq.ui.cli.common import here

    found = [(str(path), _problem(path, str(path))) for path in paths]
    good = [path for path, (_, problem) in zip(paths, found, strict=True) if not problem]
    try:
        with here(intake=False) as queue:
            return found, _warnings(queue, {str(path): path for path in good if path.name != "aq.yaml"})
    except AqError:
        # Outside a queue a file can still be checked by itself.
        return found, []


def _warnings(queue: Queue, paths: Mapping[str, Path]) -> _Found:
    from aq.core.files.jobfile import parse_job
    from aq.ledger.dropped import read_plain_file
    from aq.ui.outlook import warnings

    if not queue.ledger.tip:
        return []
    snapshot, hosts, now = queue.ledger.snapshot(), queue.ledger.known_hosts(), instant(time.time())
    found = []
    for name, path in paths.items():
        manifest = parse_job(read_plain_file(path), name)[0]
        found += [(name, words) for words in warnings(path.stem, manifest, snapshot, hosts, now)]
    return found


def _queue_problems() -> tuple[_Found, _Found]:
    from aq.core.lifecycle import Stage
    from aq.ui.cli.common import here
    from aq.ui.outlook import warnings

    with here(fetch=True, intake=False) as queue:
        inbox = queue.paths.clone / "queue" / "inbox"
        names = (
            sorted(path for path in inbox.glob("*.md") if path.name != "README.md") if inbox.is_dir() else []
        )
        found = [(name, _problem(path, name)) for path in names for name in [f"queue/inbox/{path.name}"]]
        snapshot = queue.ledger.snapshot()
        found.append(("queue/aq.yaml", snapshot.settings_error))
        found += [(problem.path, problem.what) for problem in snapshot.problems]
        seen = {name for name, _ in found}
        for job in snapshot.jobs():
            path = f"queue/{job.folder}/{job.id}.md"
            if path not in seen:
                found.append((path, job.problem))
        broken = {name: each.problem for name, each in snapshot.profiles.items() if each.problem}
        found += [(f"profiles/{name}.md", problem) for name, problem in broken.items()]
        wrong = {name for name, problem in found if problem}
        dropped = {f"queue/inbox/{path.name}": path for path in names}
        warned = _warnings(queue, {name: path for name, path in dropped.items() if name not in wrong})
        hosts, now = queue.ledger.known_hosts(), instant(time.time())
        for job in snapshot.jobs(Stage.INBOX):
            path = f"queue/{job.folder}/{job.id}.md"
            if path not in seen and not job.problem:
                warned += [(path, words) for words in warnings(job.id, job.manifest, snapshot, hosts, now)]
    return found, warned
