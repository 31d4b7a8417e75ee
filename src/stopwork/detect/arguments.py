"""What the calls of a tool have been given so far, and what of one call's arguments is unlike all of it.

Only what can be said with confidence is called unlike. A number is, when it is far outside everything seen, by the median and the spread of the last
values, on a plain and on a logarithmic scale: amounts of money vary by factors. A word is, where all values so far are a few words and each stood in several
runs; text with digits, addresses, and values that belong to one run are no such words. A combination of arguments is not, but an argument never
given before, one always given before, and another type of value.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from statistics import median
from typing import Any, Final

from msgspec.structs import replace

from stopwork.kernel.phrases import figure
from stopwork.ledger.records import Record

SURE: Final = 200
"""After so many calls what has never been is no chance."""

FAR: Final = 10.0
FAR_BY_FACTOR: Final = 6.0
"""So many spreads away from the median is far: on a plain and on a logarithmic scale."""

RUNS_OF_A_WORD: Final = 3
SURE_RUNS_OF_A_WORD: Final = 20
"""A kind of thing that comes up now and then may well be new: that it is no chance takes this many runs of every one that is known."""

MOST_ARGUMENTS: Final = 40
MOST_WORDS: Final = 8
MOST_WORD_CHARS: Final = 40
MOST_NUMBERS: Final = 64
MOST_NAME_CHARS: Final = 100
MOST_SHOWN_CHARS: Final = 100

_KINDS: Final = {
    str: "text",
    bool: "yes or no",
    int: "a number",
    float: "a number",
    type(None): "nothing",
    list: "a list",
    tuple: "a list",
}
_IDENTIFIERS: Final = ("_id", "Id", "ID", "_no", "_number")


class Word(Record):
    """A value that is one of a few: in how many runs it stood, and the last of them."""

    runs: int
    run: str


class Known(Record):
    """What one argument has been: how often it was ``given``, its types, its numbers or its words; ``words`` is ``None`` where they are many."""

    given: int = 0
    kinds: tuple[str, ...] = ()
    numbers: tuple[float, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = True
    words: dict[str, Word] | None = {}


class Habit(Record):
    """What ``calls`` calls of a tool have been given. ``told`` says in which runs something unlike that was told already."""

    calls: int = 0
    arguments: dict[str, Known] = {}
    told: dict[str, tuple[str, ...]] = {}


class Unlike(Record):
    """One argument that is unlike what was given before; ``sure`` where so much is known that it is no chance."""

    argument: str
    what: str
    why: str
    value: Any
    expected: Any
    sure: bool

    @property
    def name(self) -> str:
        """The same thing happening again has the same name."""
        return f"{self.argument} {self.what}"


def unlike(
    habit: Habit, args: Mapping[str, Any], *, after: int, declared: Collection[str]
) -> Iterator[Unlike]:
    """Answer what of these arguments is unlike what ``after`` or more calls were given; ``declared`` are arguments that a schema names."""
    if habit.calls < after:
        return
    known = habit.arguments
    sure = habit.calls >= SURE
    for name, value in args.items():
        argument = known.get(name)
        if argument is not None:
            if argument.given >= after and (found := _unlike(name, value, argument)) is not None:
                yield found
        elif value is not None and name not in declared and len(known) < MOST_ARGUMENTS:
            yield Unlike(
                argument=name[:MOST_NAME_CHARS],
                what="new",
                why="was never given before",
                value=_short(value),
                expected=sorted(known),
                sure=sure,
            )
    if len(args) < len(known):
        for name, argument in known.items():
            if argument.given == habit.calls and name not in args:
                yield Unlike(
                    argument=name,
                    what="missing",
                    why="was always given before",
                    value=None,
                    expected=f"given in {argument.given} of {habit.calls} calls",
                    sure=sure,
                )


def _unlike(name: str, value: Any, known: Known) -> Unlike | None:
    kind = kind_of(value)
    if kind == "nothing":
        return None
    if kind not in known.kinds:
        return Unlike(
            argument=name,
            what=kind,
            why=f"is {kind} where it was always {' or '.join(known.kinds) or 'nothing'}",
            value=_short(value),
            expected=list(known.kinds),
            sure=True,
        )
    if kind == "a number" and known.numbers and name != "id" and not name.endswith(_IDENTIFIERS):
        if known.low <= value <= known.high or not _is_far(value, known):
            return None
        return Unlike(
            argument=name,
            what="above" if value > known.high else "below",
            why=f"is {figure(value)}, where {figure(known.low)} to {figure(known.high)} is known",
            value=value,
            expected=[known.low, known.high],
            sure=True,
        )
    if kind == "text" and known.words and value not in known.words and is_word(value):
        runs = min(word.runs for word in known.words.values())
        if runs >= RUNS_OF_A_WORD:
            return Unlike(
                argument=name,
                what=f"is {value}",
                why=f"is {value}, where it was always one of {', '.join(sorted(known.words))}",
                value=value,
                expected=sorted(known.words),
                sure=known.given >= SURE and runs >= SURE_RUNS_OF_A_WORD,
            )
    return None


def _is_far(value: float, known: Known) -> bool:
    """Answer whether a number outside the known range is far outside it."""
    if not math.isfinite(value):
        return True
    if value < 0 < known.low:
        return True
    middle = median(known.numbers)
    least = max(0.05 * abs(middle), (known.high - known.low) / 4, 1.0 if known.whole else 0.0)
    if abs(value - middle) <= FAR * max(_spread(known.numbers, middle), least):
        return False
    if known.low <= 0 or value <= 0:
        return True
    logs = [math.log(each) for each in known.numbers]
    middle = median(logs)
    return abs(math.log(value) - middle) > FAR_BY_FACTOR * max(_spread(logs, middle), 0.1)


def _spread(numbers: Collection[float], middle: float) -> float:
    # The median distance from the median, on the scale of a standard deviation: a few wild values do not widen it.
    return 1.4826 * median(abs(each - middle) for each in numbers)


def has_news(habit: Habit, args: Mapping[str, Any]) -> bool:
    """Answer whether there is an argument, or one of a few words, that is not known yet."""
    known = habit.arguments
    for name, value in args.items():
        argument = known.get(name)
        if argument is None:
            if len(known) < MOST_ARGUMENTS and len(name) <= MOST_NAME_CHARS:
                return True
        elif argument.words and type(value) is str and value not in argument.words:
            return True
    return False


def learned(habit: Habit, args: Mapping[str, Any], run: str) -> Habit:
    """Answer the habit after one more call, whatever it was given."""
    arguments = dict(habit.arguments)
    for name, value in args.items():
        if name in arguments or (len(arguments) < MOST_ARGUMENTS and len(name) <= MOST_NAME_CHARS):
            arguments[name] = _learned(arguments.get(name) or Known(), value, run)
    return replace(habit, calls=habit.calls + 1, arguments=arguments)


def _learned(known: Known, value: Any, run: str) -> Known:
    kind = kind_of(value)
    if kind == "nothing":
        return replace(known, given=known.given + 1)
    changes: dict[str, Any] = {"given": known.given + 1}
    if kind not in known.kinds:
        changes["kinds"] = (*known.kinds, kind)
    if kind == "a number" and math.isfinite(value):
        first = not known.numbers
        changes["numbers"] = (*known.numbers, float(value))[-MOST_NUMBERS:]
        changes["low"] = value if first else min(known.low, value)
        changes["high"] = value if first else max(known.high, value)
        changes["whole"] = known.whole and float(value).is_integer()
    elif kind == "text" and known.words is not None:
        changes["words"] = _with_word(known.words, value, run)
    return replace(known, **changes)


def _with_word(words: dict[str, Word], value: str, run: str) -> dict[str, Word] | None:
    if not is_word(value) or (value not in words and len(words) >= MOST_WORDS):
        return None
    word = words.get(value)
    if word is not None and word.run == run:
        return words
    return words | {value: Word(runs=word.runs + 1 if word else 1, run=run)}


def is_word(value: str) -> bool:
    """Answer whether a text can be one of a few names for kinds of things: no number, date, address or sentence."""
    if value.isalpha():
        return len(value) <= MOST_WORD_CHARS
    return (
        0 < len(value) <= MOST_WORD_CHARS
        # What names one thing ends in a number mostly, and that is soon seen.
        and not value[-1].isdigit()
        and value.replace("_", "").replace("-", "").replace(" ", "").isalpha()
        and value.count(" ") < 3
    )


def kind_of(value: Any) -> str:
    """Answer the type of a value, in words."""
    return _KINDS.get(type(value), "an object")


def _short(value: Any) -> Any:
    if isinstance(value, int | float | bool) or value is None:
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= MOST_SHOWN_CHARS else f"{text[:MOST_SHOWN_CHARS]}…"
