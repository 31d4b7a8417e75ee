"""Reading YAML or JSON as plain data that remembers on which line everything stands.

A manifest decides what an agent may do, so it has to mean what it looks like. This reader takes the harmless part of
YAML 1.2 and refuses the rest by line: aliases (they hide content, and bombs are made of them), tags, merge keys,
several documents, a key given twice. ``no``, ``on`` and ``off`` are text, as YAML 1.2 has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from stopwork.manifest.problems import Path, Problem, field_name, shown

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_KEY_CHARS = 200
MAX_NUMBER_CHARS = 40

#: What an escape can write and no text needs.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,2})?")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    spelling: value
    for word, value in (("true", True), ("false", False))
    for spelling in (word, word.title(), word.upper())
}


class Position(NamedTuple):
    """A place in the file; both numbers count from one."""

    line: int
    column: int


START = Position(1, 1)


class Document:
    """Plain data together with the position of every key and value, and what was wrong in reading it."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.value: Any = None
        self.problems: list[Problem] = []
        self._keys: dict[Path, Position] = {}
        self._values: dict[Path, Position] = {}

    def position(self, path: Path, *, of_key: bool = False) -> Position:
        """Answer where a path stands, or the nearest thing around it when the path itself is missing."""
        order = (self._keys, self._values) if of_key else (self._values, self._keys)
        for end in range(len(path), -1, -1):
            for positions in order:
                if found := positions.get(path[:end]):
                    return found
        return START

    def problem(
        self, path: Path, message: str, expected: str, *, value: Any = None, of_key: bool = False
    ) -> Problem:
        """Answer a problem that stands at this path."""
        return self.problem_at(self.position(path, of_key=of_key), path, message, expected, value)

    def problem_at(self, at: Position, path: Path, message: str, expected: str, value: Any = None) -> Problem:
        """Answer a problem that stands at this position."""
        return Problem(
            file=self.file,
            line=at.line,
            column=at.column,
            field=field_name(path),
            value=shown(value),
            message=message,
            expected=expected,
        )

    def place(self, path: Path, key: Position | None, value: Position) -> None:
        """Remember where a path stands."""
        self._values[path] = value
        if key:
            self._keys[path] = key


class _Refused(Exception):
    """The file cannot be read any further."""

    def __init__(self, at: Position, path: Path, message: str, expected: str) -> None:
        super().__init__(message)
        self.at, self.path, self.message, self.expected = at, path, message, expected


def read(source: bytes, *, file: str) -> Document:
    """Answer the document that these bytes hold; what is wrong is in its ``problems``, and nothing is raised."""
    document = Document(file)
    try:
        text = _decoded(source)
        document.value = _Reader(document, _events(text)).document()
    except _Refused as refused:
        found = document.problem_at(refused.at, refused.path, refused.message, refused.expected)
        document.problems.append(found)
    return document


def _decoded(source: bytes) -> str:
    if len(source) > MAX_BYTES:
        raise _Refused(
            START, (), f"the file has {len(source):,} bytes", f"at most {MAX_BYTES:,} bytes for one workflow"
        )
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        column = error.start - source.rfind(b"\n", 0, error.start)
        raise _Refused(
            Position(line, column), (), "the file is not UTF-8 text", "the file saved as UTF-8"
        ) from None
    if not text.strip():
        raise _Refused(START, (), "the file is empty", "at least workflow, owners and tools")
    return text


def _events(text: str) -> Iterator[Event]:
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as error:
        raise _not_yaml(text, error) from None
    except ReaderError as error:
        position = int(error.position)
        line = text.count("\n", 0, position) + 1
        raise _Refused(
            Position(line, position - text.rfind("\n", 0, position)),
            (),
            f"the file holds the control character U+{ord(text[position]):04X}",
            "text only",
        ) from None
    except (YAMLError, UnicodeError, ValueError, OverflowError) as error:
        raise _Refused(START, (), f"this is not YAML: {shown(str(error))}", "YAML or JSON") from None


def _not_yaml(text: str, error: MarkedYAMLError) -> _Refused:
    mark = error.problem_mark or error.context_mark
    at = Position(mark.line + 1, mark.column + 1) if mark else START
    lines = text.splitlines()
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return _Refused(Position(at.line, line.index("\t") + 1), (), "a tab indents this line", "spaces")
    if "mapping values are not allowed" in str(error.problem):
        return _Refused(
            at, (), "a second colon on this line", "quotes around text that holds a colon and a space"
        )
    if "'\\t'" in str(error.problem):
        return _Refused(at, (), "a tab stands where a value should begin", "spaces")
    opened = f", opened on line {error.context_mark.line + 1}" if error.context_mark else ""
    said = re.sub(r"'(<stream end>|\\x00|\x00)'", "the end of the file", str(error.problem or error.context))
    return _Refused(at, (), f"{said}{opened}", "YAML or JSON; quote text that holds special characters")


class _Reader:
    """One pass over the parser's events."""

    def __init__(self, document: Document, events: Iterator[Event]) -> None:
        self._document = document
        self._events = events

    def document(self) -> Any:
        value: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Refused(
                        _at(event), (), "a second document begins here", "one workflow in one file"
                    )
                value = self._node(next(self._events), (), None)
        if value is None:
            raise _Refused(START, (), "the file is empty", "at least workflow, owners and tools")
        return value

    def _node(self, event: Event, path: Path, key: Position | None) -> Any:
        at = _at(event)
        if isinstance(event, AliasEvent):
            raise _Refused(
                at, path, f"the alias *{event.anchor} stands for content elsewhere", "the content itself"
            )
        if not isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent):
            raise _Refused(at, path, "something that is not a value", "a value")
        if event.tag is not None:
            raise _Refused(at, path, f"the tag {shown(event.tag)} is not used here", "the plain value")
        if len(path) > MAX_DEPTH:
            raise _Refused(at, path[:3], f"nested more than {MAX_DEPTH} deep", "the structure of a manifest")
        # A part, and a value that is not there, are pointed at by the key: what follows may be on another line.
        in_line = isinstance(event, ScalarEvent) and event.value
        self._document.place(path, key, at if in_line else key or at)
        if isinstance(event, MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path)
        return self._scalar(event, path)

    def _mapping(self, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            at = _at(event)
            if not isinstance(event, ScalarEvent):
                raise _Refused(at, path, "a key that is not plain text", "a name before the colon")
            key = _text(event, path)
            if len(key) > MAX_KEY_CHARS:
                raise _Refused(at, path, f"a key of {len(key)} characters", f"at most {MAX_KEY_CHARS}")
            value = self._node(next(self._events), (*path, key), at)
            if key in mapping:
                message = f'the key "{key}" stands here a second time'
                expected = f"it once; the first is on line {lines[key]}"
                self._document.problems.append(self._document.problem_at(at, (*path, key), message, expected))
                continue
            mapping[key], lines[key] = value, at.line
        return mapping

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._node(event, (*path, len(items)), None))
        return items

    def _scalar(self, event: ScalarEvent, path: Path) -> Any:
        text = _text(event, path)
        if event.style is not None:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if len(text) <= MAX_NUMBER_CHARS:
            if _INTEGER.fullmatch(text):
                return int(text)
            if _FLOAT.fullmatch(text):
                return float(text)
        return text


def _at(event: Event) -> Position:
    return Position(event.start_mark.line + 1, event.start_mark.column + 1)


def _text(event: ScalarEvent, path: Path) -> str:
    """Answer the scalar's text; JSON writes a character beyond U+FFFF as two escapes, which are joined here."""
    value: str = event.value
    if found := _CONTROL.search(value):
        message = f"this holds the control character U+{ord(found[0]):04X}"
        raise _Refused(_at(event), path, message, "text only")
    try:
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise _Refused(_at(event), path, "half of an escaped character", "both halves") from None
