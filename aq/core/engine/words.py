"""An engine's events as lines for people: what its log shows instead of its own format."""

from __future__ import annotations

from aq.core.engine.events import (
    Event,
    Faulted,
    Finished,
    Retrying,
    Said,
    Started,
    ToolCalled,
    ToolDone,
)

_WIDTH = 500


def words(event: Event) -> str:
    """What the log says of an event; nothing for one that only counts."""
    match event:
        case Started(session, model):
            told = (f"model {model}" if model else "", f"session {session}" if session else "")
            return f"[{', '.join(part for part in told if part) or 'a session'}]"
        case Said(text):
            return text.strip()
        case ToolCalled(tool, what):
            return _short(f"> {tool} {what}")
        case ToolDone(tool, ok, denied):
            return "" if ok and not denied else f"  {tool or 'tool'} {'was denied' if denied else 'failed'}"
        case Retrying(status, delay, attempt, said):
            return _short(f"[{_retry(status, delay, attempt)}] {said}")
        case Faulted(said, status, code):
            kind = " ".join(str(part) for part in (status, code) if part)
            return f"[error{f' {kind}' if kind else ''}] {said}".strip()
        case Finished(ok, _, code):
            return f"[{'done' if ok else 'ended without success'}{f': {code}' if code else ''}]"
        case _:
            return ""


def _retry(status: int | None, delay: float | None, attempt: int) -> str:
    told = (
        f"retry {attempt}" if attempt else "retry",
        f"status {status}" if status else "",
        f"waits {delay:g} s" if delay is not None else "",
    )
    return ", ".join(part for part in told if part)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else f"{line[:_WIDTH]} …"
