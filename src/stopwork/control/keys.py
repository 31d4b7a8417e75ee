"""Idempotency: which calls are the same call, and what the first of them means for the next.

Every call that changes something has a key. The manifest may say what makes two calls the same piece of business
(:func:`business`); otherwise the key is derived from the occasion, the tool, the exact arguments and the how-manieth such
piece of work of the run it is (:func:`derived`), so that a repeated *run* finds what the first one did, while an agent that
does the same thing twice on purpose within one run may. A try at a piece of work is no new piece of work: :func:`occurrence`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from stopwork.kernel.canonical import canonical_bytes, digest_of
from stopwork.kernel.phrases import count_of
from stopwork.ledger.records import Key, Record
from stopwork.ledger.words import Outcome

MOST_FIELDS: Final = 8
MOST_CHARS: Final = 60
MOST_LEVELS: Final = 8
_NOTHING: Final = object()
_SECRET: Final = re.compile(
    r"passw|passphrase|secret|token|credential|api_?key|private_?key|authorization|cookie|iban|card|cvv|ssn|\bpin\b",
    re.IGNORECASE,
)


class KeyStanding(StrEnum):
    """What is known about earlier calls with one key."""

    FREE = "free"
    IN_FLIGHT = "in_flight"
    DONE = "done"
    SETTLED = "settled"
    UNKNOWN = "unknown"
    OTHER_ARGUMENTS = "other_arguments"
    UNREADABLE = "unreadable"


class KeyState(Record):
    """The standing of a key, the call that holds it, and why: what kept the key from being computed, who settled the call, or how the
    arguments differ.
    """

    standing: KeyStanding = KeyStanding.FREE
    call: str = ""
    why: str = ""


def derived(workflow: str, trigger_id: str, tool: str, args: dict[str, Any], nth: int) -> str:
    """Answer the key of the ``nth`` call (from 1) of this tool with these arguments on this occasion."""
    return digest_of(["derived", workflow, trigger_id, tool, args, nth])


def occurrence(nth: int, is_done: Callable[[int], bool]) -> int:
    """Answer which occurrence of a call a guard means that calls it the ``nth``: the first up to there that is not done.

    The one before it has to be done before another begins, so what is done is done from 1 on without a gap. What failed is tried
    again under its own key, and what is in flight or of unknown outcome stands in the way.
    """
    if nth == 1 or is_done(nth - 1):
        return nth
    return 1 + bisect_left(range(1, nth), True, key=lambda each: not is_done(each))


def business(workflow: str, tool: str, parts: Any) -> str:
    """Answer the key made of the parts that the manifest names."""
    return digest_of(["business", workflow, tool, parts])


def difference(first: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Answer in words, field by field, what the arguments of the first call were and what they are now.

    Bounded, and what is named like a secret is not shown: a refusal stands in the journal and goes to whoever asked.
    """
    before, after = dict(_fields("", first)), dict(_fields("", now))
    changed = [name for name in before | after if before.get(name, _NOTHING) != after.get(name, _NOTHING)]
    shown = [f"{name} {_change(name, before, after)}" for name in changed[:MOST_FIELDS]]
    more = len(changed) - len(shown)
    return "; ".join([*shown, f"and {count_of(more, 'more field')}"] if more else shown)


def _change(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if _SECRET.search(name):
        return "differs"
    return f"{_shown(before.get(name, _NOTHING))} → {_shown(after.get(name, _NOTHING))}"


def _fields(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every value below with the names that lead to it."""
    if isinstance(value, Mapping) and (value or not path) and path.count(".") < MOST_LEVELS:
        for name, below in value.items():
            yield from _fields(f"{path}.{name}" if path else str(name), below)
    else:
        yield path, value


def _shown(value: Any) -> str:
    if value is _NOTHING:
        return "(nothing)"
    text = canonical_bytes(value).decode()
    return text if len(text) <= MOST_CHARS else f"{text[: MOST_CHARS - 1]}…"


def standing(held: Key | None, args_digest: str, *, call: str | None = None) -> KeyState:
    """Answer what the recorded key means for a call with these arguments.

    ``call`` is the asking call's own id where it has one: what a call holds itself does not stand in its way.
    A failed call gives its key back.
    """
    if (
        held is None
        or held.expired
        or held.outcome is Outcome.FAILED
        or (held.call == call and held.outcome is None)
    ):
        return KeyState()
    if held.outcome is Outcome.UNKNOWN:
        return KeyState(standing=KeyStanding.UNKNOWN, call=held.call)
    if held.args_digest != args_digest:
        return KeyState(standing=KeyStanding.OTHER_ARGUMENTS, call=held.call)
    if held.outcome is None:
        return KeyState(standing=KeyStanding.IN_FLIGHT, call=held.call)
    if held.settled_by is not None:
        return KeyState(standing=KeyStanding.SETTLED, call=held.call, why=f"{held.settled_by} settled it")
    return KeyState(standing=KeyStanding.DONE, call=held.call)
