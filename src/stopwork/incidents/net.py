"""The net effect of chosen calls on each object: what they left there, and what would be there without them.

The history of one id is cut into *lives* wherever somebody other than the chosen calls made or removed the object:
what follows is another object that happens to bear the same id. Within a life the chosen calls are taken back from the last
to the first, field by field, so that a value which another call wrote in between survives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum

from stopwork.incidents.images import changed_fields, merge_back
from stopwork.ledger.records import Effect, Image, ObjectRef, Record
from stopwork.ledger.words import ImageState, Operation


class Course(StrEnum):
    """What the chosen calls did to an object, all in all."""

    CAME = "came"
    WENT = "went"
    CHANGED = "changed"
    SWAPPED = "swapped"
    PASSED = "passed"
    NOTHING = "nothing"
    UNSEEN = "unseen"


class Net(Record):
    """What the chosen calls did to one object in one of its lives.

    ``left`` is what they left, ``back`` is what would be there without them. ``kept`` are fields that somebody else wrote
    between two chosen calls. ``later`` are other calls that touched the same fields afterwards; ``ended_by`` says who made or
    removed the object after the last chosen call. ``starts`` places the first and last chosen call in the order of events.
    """

    object: ObjectRef
    effects: tuple[Effect, ...]
    first: int
    last: int
    left: Image
    back: Image
    course: Course
    kept: tuple[str, ...] = ()
    later: tuple[Effect, ...] = ()
    ended_by: str = ""


def net_effects(
    effects: Sequence[Effect], chosen: Collection[str], copies: Mapping[str, str] | None = None
) -> list[Net]:
    """Answer the net effect of the chosen calls per object and life.

    ``effects`` are those of all known calls, in the order in which they happened; ``chosen`` are ids of calls. ``copies`` maps calls
    to the one that each repeated: of an object that both have changed only the repetition is taken back.
    """
    calls: dict[str, int] = {}
    histories: dict[ObjectRef, list[Effect]] = {}
    for effect in effects:
        calls.setdefault(effect.call, len(calls))
        histories.setdefault(effect.object, []).append(effect)
    return [
        _net(life, ended_by, ours, calls)
        for history in histories.values()
        for ours in [_without_originals(history, chosen, copies or {})]
        for life, ended_by in _lives(history, ours)
        if any(effect.call in ours for effect in life)
    ]


def _without_originals(
    history: Sequence[Effect], chosen: Collection[str], copies: Mapping[str, str]
) -> Collection[str]:
    if not copies:
        return chosen
    repeated = {copies[effect.call] for effect in history if effect.call in chosen and effect.call in copies}
    return set(chosen) - (repeated - copies.keys())


def maker(net: Net) -> Effect:
    """Answer the effect that made the object which the calls left."""
    return next(effect for effect in reversed(net.effects) if _came_or_went(*images_of(effect)))


def images_of(effect: Effect) -> tuple[Image, Image]:
    """Answer before and after, where the operation itself tells that nothing was there."""
    before, after = effect.before, effect.after
    if effect.operation is Operation.CREATED and before.state is ImageState.UNKNOWN:
        before = Image.absent()
    if effect.operation is Operation.DELETED and after.state is ImageState.UNKNOWN:
        after = Image.absent()
    return before, after


def _lives(history: Sequence[Effect], chosen: Collection[str]) -> Iterator[tuple[list[Effect], str]]:
    """Yield each life's effects, and who ended it (empty for the last)."""
    life: list[Effect] = []
    presence = ImageState.UNKNOWN
    for effect in history:
        before, after = images_of(effect)
        if ImageState.UNKNOWN not in (presence, before.state) and presence is not before.state:
            yield life, "somebody outside these records"
            life = []
        if effect.call not in chosen and _came_or_went(before, after):
            yield life, f"{effect.tool} in {effect.call}"
            life = []
        else:
            life.append(effect)
        presence = after.state
    yield life, ""


def _came_or_went(before: Image, after: Image) -> bool:
    return ImageState.UNKNOWN not in (before.state, after.state) and before.state is not after.state


def _net(life: Sequence[Effect], ended_by: str, chosen: Collection[str], calls: dict[str, int]) -> Net:
    mine = tuple(effect for effect in life if effect.call in chosen)
    left, back, course, kept = _taken_back(mine)
    return Net(
        object=mine[0].object,
        effects=mine,
        first=calls[mine[0].call],
        last=calls[mine[-1].call],
        left=left,
        back=back,
        course=course,
        kept=kept,
        later=_later(life, mine, left, back),
        ended_by=ended_by,
    )


def _taken_back(mine: Sequence[Effect]) -> tuple[Image, Image, Course, tuple[str, ...]]:
    images = [images_of(effect) for effect in mine]
    if any(ImageState.UNKNOWN in (before.state, after.state) for before, after in images):
        return Image.unknown("what these calls left was not seen"), images[0][0], Course.UNSEEN, ()
    left = back = images[-1][1]
    kept: dict[str, None] = {}
    for before, after in reversed(images):
        if _came_or_went(before, after):
            back = before
        else:
            merged = merge_back(before, after, back)
            back = merged.target
            kept |= dict.fromkeys(merged.conflicts)
    course = _course(left, back, images)
    if course in (Course.CAME, Course.SWAPPED):
        left = _by_these_alone(images)
    return left, back, course, tuple(kept)


def _by_these_alone(images: Sequence[tuple[Image, Image]]) -> Image:
    """Answer what an object would hold if only these calls had written it.

    An object that they made goes as a whole. If somebody else has written in it too, this is not what is found, and the
    item becomes a conflict instead of taking that writing along.
    """
    left = Image.absent()
    for before, after in images:
        left = after if _came_or_went(before, after) else merge_back(after, before, left).target
    return left


def _course(left: Image, back: Image, images: Sequence[tuple[Image, Image]]) -> Course:
    there_now, there_before = (image.state is ImageState.PRESENT for image in (left, back))
    if there_now != there_before:
        return Course.CAME if there_now else Course.WENT
    if not there_now:
        return Course.PASSED
    if not changed_fields(back, left):
        return Course.NOTHING
    return Course.SWAPPED if any(_came_or_went(*pair) for pair in images) else Course.CHANGED


def _later(life: Sequence[Effect], mine: Sequence[Effect], left: Image, back: Image) -> tuple[Effect, ...]:
    """Other calls after the last chosen one that touched a field which would be put back."""
    after_last = life[life.index(mine[-1]) + 1 :]
    fields = changed_fields(back, left).keys()
    whole = "" in fields
    return tuple(
        effect for effect in after_last if whole or changed_fields(*images_of(effect)).keys() & fields
    )
