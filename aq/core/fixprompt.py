"""What an engine is told when its work did not pass: the check, how it failed, and its last words."""

from __future__ import annotations

from collections.abc import Sequence

from aq.core.prompt import unused_mark
from aq.core.record import CheckResult

MAX_LINES = 40
MAX_LINE = 500
MAX_TEXT = 12_000


def fix_prompt(
    prompt: str,
    failed: CheckResult,
    output: Sequence[str],
    *,
    number: int,
    most: int,
    resumed: bool = False,
    red_before: bool = False,
) -> str:
    """The prompt of a fix round. A session that goes on knows the job already; one that begins anew in
    the same workspace gets it again, with a word on what is there. A check's words are quoted: they are
    there to know, and tell nobody what to do."""
    how = failed.detail or "it did not pass"
    tests = "\n".join(failed.suite.names) if failed.suite else ""
    quotes = {"Check": failed.check, "How it failed": how, "First tests that failed": tests}
    quotes["Last lines of its output"] = _tail(output)
    mark = unused_mark("\n".join(quotes.values()))
    parts = [] if resumed else [prompt.strip()]
    parts += [f"## Fix round {number} of {most}", _SITUATION.format(mark=mark)]
    parts += [f"{title}:\n\n<<< {mark}\n{text}\n>>> {mark}" for title, text in quotes.items() if text]
    parts += [_RED_BEFORE] if red_before else []
    return "\n\n".join([*parts, _ASK]) + "\n"


_SITUATION = (
    "The work is not done: a check failed. What was changed for this job so far is in the folder. Go on from "
    "it, do not begin anew. Text between a line `<<< {mark}` and a line `>>> {mark}` is quoted."
)
_RED_BEFORE = "The same check failed before the work on this job began, too."
_ASK = "Mend the work so that the check passes. Do not weaken the check."


def _tail(output: Sequence[str]) -> str:
    lines = [line[:MAX_LINE] for line in output][-MAX_LINES:]
    return "\n".join(lines)[-MAX_TEXT:].strip("\n")
