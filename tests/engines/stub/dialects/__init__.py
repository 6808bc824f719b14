"""The protocols that the stub speaks, by what their paths end with."""

from tests.engines.stub.dialects import anthropic, chat, gemini, responses
from tests.engines.stub.wire import Dialect

BY_PATH: dict[str, Dialect] = {
    "/messages": anthropic.DIALECT,
    "/chat/completions": chat.DIALECT,
    "/responses": responses.DIALECT,
    "enerateContent": gemini.DIALECT,
}


def dialect_of(path: str) -> Dialect | None:
    """The dialect that a path belongs to."""
    return next((found for end, found in BY_PATH.items() if path.endswith(end)), None)
