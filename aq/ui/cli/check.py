"""`aq check`."""

from __future__ import annotations

from pathlib import Path

import typer

from aq.core.errors import AqError, InvalidFileError
from aq.ui.out import clean, say, say_json, style


def check(
    files: list[Path] = typer.Argument(
        None, help="Job files, or a queue/aq.yaml; default: everything in the clone's inbox and queue."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> int:
    """Say what is wrong with each file, as file:line: what; hint."""
    found = [(str(path), _problem(path)) for path in files] if files else _queue_problems()
    bad = [(name, problem) for name, problem in found if problem]
    if as_json:
        say_json(
            {"checked": len(found), "problems": [{"file": name, "problem": problem} for name, problem in bad]}
        )
        return 1 if bad else 0
    for name, problem in bad:
        say(f"{style('bad', 'red')}  {clean(problem if problem.startswith(name) else f'{name}: {problem}')}")
    if not bad:
        say(f"{style('ok', 'green')}  {len(found)} file{'s' if len(found) != 1 else ''} checked")
    return 1 if bad else 0


def _problem(path: Path) -> str:
    from aq.core.settingsfile import parse_settings
    from aq.core.submission import checked
    from aq.ledger.intake import read_plain_file

    try:
        content = read_plain_file(path)
        if path.name == "aq.yaml":
            parse_settings(content, str(path))
        else:
            checked(content, str(path))
    except InvalidFileError as error:
        return str(error)
    except OSError as error:
        raise AqError(f"{path}: {error.strerror}", "name a file that exists") from None
    return ""


def _queue_problems() -> list[tuple[str, str]]:
    from aq.ui.cli.common import here

    with here(fetch=True, intake=False) as queue:
        inbox = queue.paths.clone / "queue" / "inbox"
        names = (
            sorted(path for path in inbox.glob("*.md") if path.name != "README.md") if inbox.is_dir() else []
        )
        found = [(f"queue/inbox/{path.name}", _problem(path)) for path in names]
        snapshot = queue.ledger.snapshot()
        found.append(("queue/aq.yaml", snapshot.settings_error))
        found += [(problem.path, problem.what) for problem in snapshot.problems]
        seen = {name for name, _ in found}
        for job in snapshot.jobs():
            path = f"queue/{job.folder}/{job.id}.md"
            if path not in seen:
                found.append((path, job.problem))
    return found
