"""What a hook is: a deed that makes one thing safe, and a probe that looks whether it is.

A deed that was begun and whose end nobody saw has ended ``unknown``: it is not begun again before its probe, or a person, has looked.
Nothing of what a deed prints or answers is kept when it succeeds: whoever rotates a secret is told the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Protocol

from msgspec import Struct

from stopwork.incidents.offers import HookOffer
from stopwork.kernel.foreign_json import read_json

#: No answer is read further.
MAX_ANSWER_BYTES: Final = 64 * 1024
#: So much of a failure is told.
MAX_SAID_CHARS: Final = 300


class Facts(Struct, frozen=True, kw_only=True):
    """What a hook is told about an item, all of it text; ``key`` is the same when the same try is sent twice."""

    incident: str
    workflow: str
    item: str
    area: str
    target: str
    system: str
    what: str
    key: str

    def words(self) -> dict[str, str]:
        """Answer the facts by name."""
        return {name: getattr(self, name) for name in self.__struct_fields__}


#: The names that may stand in braces in a hook's settings.
FACTS: Final = tuple(Facts.__struct_fields__)


class Ended(StrEnum):
    """How a deed ended: it says it is done, it was not done, or nobody knows."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Answer(Struct, frozen=True, kw_only=True):
    """How a deed or the question of a probe ended. ``code`` is an exit code or an HTTP status, ``content`` what came back, as JSON where it is.

    ``said`` is for people, holds no secret, and is kept.
    """

    ended: Ended
    said: str
    code: int | None = None
    content: Any = None
    rows: int | None = None


def json_in(content: bytes) -> Any:
    """Answer what came back as JSON, or nothing where it is none."""
    try:
        return read_json(content)
    except ValueError:
        return None


class Deed(Protocol):
    """Something that is done, or asked, once; it never raises, and comes to an end by ``within_s``."""

    within_s: float

    def do(self, facts: Facts) -> Answer: ...


class Expectation(Protocol):
    """What an answer has to be for a thing to be safe."""

    def judged(self, answer: Answer) -> tuple[bool | None, str]:
        """Answer whether it is safe, or nothing where the answer does not tell, and how one knows."""


class Probe(Struct, frozen=True, kw_only=True):
    """A question whose answer shows whether a thing is safe."""

    question: Deed
    expects: Expectation

    def look(self, facts: Facts) -> tuple[bool | None, str]:
        """Ask, and answer whether it is safe, or nothing where that cannot be told, and how one knows."""
        return self.expects.judged(self.question.do(facts))


class Hook(Struct, frozen=True, kw_only=True):
    """One hook of the operator. A hold is set by the operations themselves: then there is no ``deed``."""

    offer: HookOffer
    deed: Deed | None
    probe: Probe | None = None

    @property
    def within_s(self) -> float:
        """How long it takes at the most, its probe included."""
        return sum(each.within_s for each in (self.deed, self.probe and self.probe.question) if each)


Hooks = Mapping[str, Hook]
