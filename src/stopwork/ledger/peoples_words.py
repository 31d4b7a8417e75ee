"""What people write is bounded where it becomes an event, so that no way in, and no operation to come, can forget it.

The surfaces ask for less: what the software puts around somebody's words has room here as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from stopwork.kernel.errors import Invalid
from stopwork.ledger.events import Event, HookEnded, ItemFinished, ManifestApplied, ManifestProposed

MAX_SENTENCE_CHARS: Final = 4_000
MAX_TEXT_CHARS: Final = 20_000
#: A message may have been drafted from long lists before people change it.
MAX_MESSAGE_CHARS: Final = 100_000

_MOST: Final[Mapping[str, int]] = MappingProxyType(
    dict.fromkeys(
        (
            "answer",
            "before_capture",
            "how",
            "note",
            "reason",
            "subject",
            "title",
            "verified_how",
            "where",
            "why",
        ),
        MAX_SENTENCE_CHARS,
    )
    | {"text": MAX_TEXT_CHARS, "body": MAX_MESSAGE_CHARS}
)
#: The text of a manifest has a bound of its own, where it is read; what a system or a hook has answered is nobody's words, and is never lost.
_NOT_HERE: Final = {
    (HookEnded, "note"),
    (ItemFinished, "note"),
    (ManifestApplied, "text"),
    (ManifestProposed, "text"),
}


def check_words(event: Event) -> None:
    """Raise ``Invalid`` where a person's words in an event are longer than there is room for."""
    for name, most in _bounds(type(event)):
        said = getattr(event, name)
        if isinstance(said, str) and len(said) > most:
            raise Invalid(
                f"{name} has {len(said):,} characters, and there is room for {most:,}: {said[:40]!r}…",
                hint="Say it shorter, and attach what is long as a file: stopwork incident attach",
                field=name,
                expected=most,
                found=len(said),
            )


@cache
def _bounds(kind: type[Event]) -> tuple[tuple[str, int], ...]:
    return tuple(
        (name, _MOST[name])
        for name in kind.__struct_fields__
        if name in _MOST and (kind, name) not in _NOT_HERE
    )
