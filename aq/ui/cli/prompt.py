"""`aq prompt`: what an engine would be told."""

from __future__ import annotations

import sys

import typer

from aq.core.errors import AqError
from aq.core.prompt import Prompt, prompt_for
from aq.ui.cli.common import complete_jobs, here
from aq.ui.out import clean, is_terminal, put, say_json
from aq.wiring import Queue


def prompt(
    job: str = typer.Argument(..., help="The job's id.", autocompletion=complete_jobs),
    offline: bool = typer.Option(False, "--offline", help="Do not ask the remote: use what was seen last."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON, with the prompt's hash."),
) -> None:
    """Print exactly what the job's next attempt would be given."""
    with here(fetch=not offline, intake=not offline) as queue:
        made = _prompt(queue, job)
    if as_json:
        say_json({"job": job, "sha256": made.digest, "prompt": made.text})
    else:
        _print(made.text)


def _prompt(queue: Queue, job: str) -> Prompt:
    snapshot = queue.ledger.snapshot()
    found = snapshot.find(job)
    if found is None:
        raise AqError(f"there is no job {job}", "`aq status --all` lists the jobs")
    return prompt_for(found, queue.ledger.read_commit_blob)


def _print(text: str) -> None:
    if is_terminal(sys.stdout):
        put(clean(text))
    elif sys.stdout:
        # The very bytes, on every system: this may be piped into an engine.
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.flush()
