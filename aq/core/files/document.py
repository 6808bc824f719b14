"""Text that people write, read strictly: a guarded YAML reader and a front matter splitter.

Every scalar stays text; the schemas give types. The stock loaders are not used: they overflow the
stack on deep nesting, expand bombs, drop duplicate keys silently and return empty metadata for a
fence that is never closed (DESIGN section 6).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import frontmatter
import yaml
from frontmatter.default_handlers import YAMLHandler

from aq.core.errors import InvalidFileError
from aq.core.value import Value

MAX_FILE = 1024 * 1024
MAX_FRONT_MATTER = 64 * 1024
MAX_DEPTH = 16
MAX_EVENTS = 2000
FENCE = re.compile(r"^---[ \t]*$", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOTHING = ("", "~", "null")

Path = tuple[str | int, ...]


class Document(Value):
    """A file with front matter: its mapping, the line of each key by path, and the text below."""

    front: dict[str, Any]
    lines: dict[Path, int]
    body: str

    def line(self, path: Path) -> int:
        """The line of a key."""
        return self.lines.get(path, 1)


def decode(data: bytes, limit: int = MAX_FILE) -> str:
    """Bytes as text with `\\n` line ends. Refuses what no editor writes on purpose."""
    if len(data) > limit:
        raise InvalidFileError(f"the file has {len(data)} bytes", f"the limit is {limit}", line=1)
    if data.startswith(b"\xef\xbb\xbf"):
        raise InvalidFileError(
            "the file starts with a byte order mark", "save it as UTF-8 without BOM", line=1
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidFileError("the text is not UTF-8", "save the file as UTF-8", line=line) from None
    text = text.replace("\r\n", "\n")
    control = _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        what = f"control character U+{ord(control[0]):04X}"
        raise InvalidFileError(what, "only tab and newline may stand in a job file", line=line)
    return text


@dataclass
class _Builder:
    """Builds plain values from YAML events, refusing everything that is not plain."""

    first_line: int
    max_events: int = MAX_EVENTS
    lines: dict[Path, int] = field(default_factory=dict)
    count: int = 0

    def guarded(self, events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
        depth = 0
        for event in events:
            self.count += 1
            line = self.at(event)
            if self.count > self.max_events:
                raise InvalidFileError("too many YAML values", f"the limit is {self.max_events}", line=line)
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    raise InvalidFileError(
                        "YAML nested too deeply", f"the limit is {MAX_DEPTH} levels", line=line
                    )
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            self.refuse_tricks(event, line)
            yield event

    @staticmethod
    def refuse_tricks(event: yaml.Event, line: int) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise InvalidFileError(
                "YAML anchors and aliases are not allowed", "write the value out", line=line
            )
        if getattr(event, "tag", None):
            raise InvalidFileError(
                "YAML tags are not allowed", "remove the part that starts with !", line=line
            )

    def at(self, event: yaml.Event) -> int:
        return (event.start_mark.line if event.start_mark else 0) + self.first_line

    def value(self, event: yaml.Event, events: Iterator[yaml.Event], path: Path) -> Any:
        self.lines.setdefault(path, self.at(event))
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style is None or event.style == ""
            return None if plain and event.value in _NOTHING else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(events, path)
        return self.mapping(events, path)

    def sequence(self, events: Iterator[yaml.Event], path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self.value(event, events, (*path, len(items))))
        return items

    def mapping(self, events: Iterator[yaml.Event], path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(key := next(events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent):
                raise InvalidFileError("a key must be plain text", "write `key: value`", line=self.at(key))
            if key.value in found:
                first = self.lines[(*path, key.value)]
                raise InvalidFileError(
                    f"duplicate key {key.value!r}", f"first given on line {first}", line=self.at(key)
                )
            self.lines[*path, key.value] = self.at(key)
            found[key.value] = self.value(next(events), events, (*path, key.value))
        return found


def read_yaml(
    text: str, first_line: int = 1, max_events: int = MAX_EVENTS
) -> tuple[dict[str, Any], dict[Path, int]]:
    """A YAML mapping as plain text values, and the line of each key. Empty text is no keys."""
    builder = _Builder(first_line, max_events)
    value: Any = None
    documents = 0
    try:
        events = builder.guarded(yaml.parse(text, Loader=_LOADER))
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise InvalidFileError(
                        "more than one YAML document", "keep only one", line=builder.at(event)
                    )
                value = builder.value(next(events), events, ())
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark.line if error.problem_mark else 0) + first_line
        problem = error.problem or "cannot be read"
        raise InvalidFileError(
            f"not YAML: {problem}", "check quotes, colons and indentation", line=line
        ) from None
    except yaml.YAMLError as error:
        raise InvalidFileError(
            f"not YAML: {str(error).splitlines()[0]}", "check the text", line=first_line
        ) from None
    if value is None:
        return {}, builder.lines
    if not isinstance(value, dict):
        raise InvalidFileError(
            "keys and values are expected here", "write lines like `engine: shell`", line=first_line
        )
    return value, builder.lines


class _StrictHandler(YAMLHandler):
    """python-frontmatter's handler for YAML, made strict: every doubt is an error with a line."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[Path, int] = {}

    def split(self, text: str) -> tuple[str, str]:
        if not text.startswith("---") or not FENCE.match(text):
            return "", text
        close = FENCE.search(text, 3)
        if not close:
            raise InvalidFileError(
                "the front matter is never closed", "end it with a line of three dashes", line=1
            )
        front = text[text.index("\n") + 1 : close.start()]
        if len(front.encode()) > MAX_FRONT_MATTER:
            what = f"the front matter has {len(front.encode())} bytes"
            raise InvalidFileError(what, f"the limit is {MAX_FRONT_MATTER}", line=1)
        return front, text[close.end() :]

    def load(self, fm: str, **_kwargs: object) -> dict[str, Any]:
        found, self.lines = read_yaml(fm, first_line=2)
        return found


def read_document(data: bytes) -> Document:
    """A Markdown file with optional front matter. Raises InvalidFileError with the line."""
    text = decode(data)
    lead = re.match(r"\s+(?=---[ \t]*\n)", text)
    if lead:
        line = text.count("\n", 0, lead.end()) + 1
        raise InvalidFileError(
            "the front matter must start on line 1", "remove the blanks above it", line=line
        )
    handler = _StrictHandler()
    front, body = frontmatter.parse(text, handler=handler)
    return Document(dict(front), handler.lines, body)


def without_nothing(value: Any) -> Any:
    """A mapping without the keys that have no value: `engine:` alone is the same as no engine."""
    if isinstance(value, dict):
        return {key: without_nothing(item) for key, item in value.items() if item is not None}
    return value
