"""What of one change to an object cannot be right: by what the manifest says of its fields, and by what these fields have always held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from stopwork.kernel.phrases import figure
from stopwork.ledger.records import Effect, Image, Record
from stopwork.ledger.words import ImageState, Operation
from stopwork.manifest.objects import FieldRule, Never

ENOUGH = 30
"""So many values say what a field holds."""

MANY_EMPTIED = 3
"""So many objects that lost a value which was never missing are no accident."""

A_NEW_HABIT = 10
"""So many objects that hold another type of value than before are told of; after that it is what the field holds."""

HABIT = "habit"

_KINDS = {bool: "yes or no", int: "number", float: "number", str: "text"}

MOST_FIELDS = 60
MOST_VALUE_CHARS = 100


class Oddity(Record):
    """A field that was left as it cannot be: against which rule, and with what before and after. One that is not ``grave`` is logged."""

    object: str
    field: str
    rule: str
    why: str
    before: Any
    after: Any
    threshold: Any = None
    grave: bool = True


class Habit(Record):
    """What one field holds: ``kind`` is empty as long as nothing is known, and ``mixed`` for several; ``against`` are objects that went against it."""

    kind: str = ""
    filled: int = 0
    empty: bool = False
    against: tuple[str, ...] = ()


Habits = dict[str, Habit]

UNKNOWN = Habit()


def content_of(image: Image) -> dict[str, Any] | None:
    """Answer the fields of an object, where it is there and has any."""
    return image.content if image.state is ImageState.PRESENT and isinstance(image.content, dict) else None


def changed(effect: Effect) -> dict[str, tuple[Any, Any]]:
    """Answer the fields that an effect has changed, with before and after; a field that is not there is ``None``."""
    after = content_of(effect.after)
    if after is None:
        return {}
    before = content_of(effect.before) or {}
    names = [name for name in before | after if before.get(name) != after.get(name)]
    return {name: (before.get(name), after.get(name)) for name in names[:MOST_FIELDS]}


def against_the_rules(
    effect: Effect, fields: Mapping[str, tuple[Any, Any]], rules: Mapping[str, FieldRule]
) -> Iterator[Oddity]:
    """Answer what the manifest calls impossible."""
    created = effect.operation is Operation.CREATED
    for name in fields.keys() & rules.keys():
        before, after = fields[name]
        for rule, threshold, why in _broken(rules[name], before, after, created=created):
            yield Oddity(
                object=effect.object_key,
                field=name,
                rule=f"objects.{effect.object.system}/{effect.object.type}.fields.{name}.{rule}",
                why=why,
                before=short(before),
                after=short(after),
                threshold=threshold,
            )


def _broken(rule: FieldRule, before: Any, after: Any, *, created: bool) -> Iterator[tuple[str, Any, str]]:
    if _kind(after) == "number":
        if rule.min is not None and after < rule.min:
            yield "min", rule.min, f"is {figure(after)}, below {figure(rule.min)}"
        if rule.max is not None and after > rule.max:
            yield "max", rule.max, f"is {figure(after)}, above {figure(rule.max)}"
    if created:
        return
    allowed = rule.moves.get(str(before))
    if allowed is not None and str(after) not in allowed:
        yield "moves", list(allowed), f"went from {short(before)} to {short(after)}"
    comparable = _kind(before) == _kind(after) and _kind(before) in ("number", "text")
    for never in rule.never:
        match never:
            case Never.DECREASES if comparable and after < before:
                yield "never", never.value, f"decreased from {short(before)} to {short(after)}"
            case Never.INCREASES if comparable and after > before:
                yield "never", never.value, f"increased from {short(before)} to {short(after)}"
            case Never.CHANGES if _kind(before) != "empty":
                yield "never", never.value, f"changed from {short(before)} to {short(after)}"
            case Never.EMPTIED if _kind(before) != "empty" and _kind(after) == "empty":
                yield "never", never.value, f"was emptied; it was {short(before)}"


def against_habit(
    effect: Effect, fields: Mapping[str, tuple[Any, Any]], habits: Habits, *, risky: bool
) -> Iterator[Oddity]:
    """Answer what a field has never held: another type of value, or nothing at all."""
    for name, (before, after) in fields.items():
        habit = habits.get(name)
        if habit is None or habit.filled < ENOUGH or (kind := _kind(after)) == habit.kind:
            continue
        oddity = Oddity(
            object=effect.object_key,
            field=name,
            rule=HABIT,
            why=f"is {kind} where it has always been {habit.kind}",
            before=short(before),
            after=short(after),
            threshold=habit.kind,
        )
        if kind != "empty" and habit.kind != "mixed":
            yield oddity
        elif kind == "empty" and not habit.empty and name in (content_of(effect.after) or {}):
            objects = {*habit.against, effect.object_key}
            yield replace(
                oddity,
                why="was emptied, and has never been empty",
                threshold="never empty",
                grave=risky or len(objects) >= MANY_EMPTIED,
            )


def learned(effect: Effect, habits: Habits, odd: Mapping[str, Oddity]) -> Habits:
    """Answer what the fields hold after one more change was seen; nothing is learned from what is odd, but that it happened."""
    new: Habits = {}
    for image in (effect.before, effect.after):
        for name, value in (content_of(image) or {}).items():
            habit = new.get(name) or habits.get(name) or UNKNOWN
            if image is effect.after and name in odd:
                if odd[name].rule == HABIT:
                    new[name] = _gone_against(habit, effect.object_key, value)
                continue
            kind = _kind(value)
            if habit.filled >= ENOUGH and (kind in (habit.kind, "other") or habit.kind == "mixed"):
                continue
            if kind == "empty":
                if not habit.empty:
                    new[name] = replace(habit, empty=True)
            elif len(habits) + len(new) < MOST_FIELDS or name in habits or name in new:
                known = habit.kind or kind
                new[name] = replace(habit, kind=known if known == kind else "mixed", filled=habit.filled + 1)
    return habits | new if new else habits


def _gone_against(habit: Habit, key: str, value: Any) -> Habit:
    against = tuple(dict.fromkeys((*habit.against, key)))[-A_NEW_HABIT:]
    if _kind(value) == "empty":
        return replace(habit, against=against, empty=len(against) >= MANY_EMPTIED)
    return replace(habit, against=against, kind="mixed" if len(against) >= A_NEW_HABIT else habit.kind)


def _kind(value: Any) -> str:
    if value or isinstance(value, int | float):
        return _KINDS.get(type(value), "other")
    return "empty"


def short(value: Any) -> Any:
    """Answer a value as it is compared and shown: short ones as they are, others by their first characters."""
    if isinstance(value, int | float | bool) or value is None:
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= MOST_VALUE_CHARS else f"{text[:MOST_VALUE_CHARS]}…"
