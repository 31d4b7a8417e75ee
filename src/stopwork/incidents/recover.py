"""The recovery plan: what is done about each object that the chosen calls touched, in which order, in plain words.

Undo is selective and by field: only the chosen calls are undone, only the fields they changed, and (when an item runs, see
:mod:`stopwork.incidents.attempt`) only where the present value is the one they left. An object gets one item for the *net*
effect of the chosen calls (:mod:`stopwork.incidents.net`). Nothing is dropped unsaid: an object that came and went within
the calls, or that cannot be put back, gets an item too.

Values tell who wrote them: somebody who wrote the very value that a call had left cannot be told from that call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from graphlib import CycleError, TopologicalSorter
from itertools import groupby
from typing import Any, Final

from msgspec.structs import replace

from stopwork.incidents import preview
from stopwork.incidents.images import changed_fields, texts
from stopwork.incidents.net import Course, Net, maker, net_effects
from stopwork.ledger.records import Effect, Image, Incident, Item, ObjectRef, Record
from stopwork.ledger.words import (
    Audience,
    EffectKind,
    ImageState,
    ItemState,
    Operation,
    RecoverySituation,
    Remedy,
)
from stopwork.manifest.model import DuplicateRule

_BEYOND: Final[dict[EffectKind, Operation]] = {
    EffectKind.SEND: Operation.SENT,
    EffectKind.PAY: Operation.PAID,
    EffectKind.APPROVE: Operation.APPROVED,
    EffectKind.TRIGGER: Operation.TRIGGERED,
}

_MUST_TELL: Final[dict[Operation, tuple[Audience, ...]]] = {
    Operation.SENT: (Audience.BUSINESS_OWNER, Audience.EXTERNAL_PARTIES),
    Operation.PAID: (Audience.BUSINESS_OWNER, Audience.LEGAL_COMPLIANCE, Audience.EXTERNAL_PARTIES),
    Operation.APPROVED: (Audience.BUSINESS_OWNER, Audience.AFFECTED_INTERNAL_USERS),
    Operation.TRIGGERED: (Audience.TECHNICAL_OWNER, Audience.AFFECTED_INTERNAL_USERS),
}
_MUST_CORRECT_BY_HAND: Final = (
    Audience.BUSINESS_OWNER,
    Audience.TECHNICAL_OWNER,
    Audience.AFFECTED_INTERNAL_USERS,
)

_SITUATION: Final[dict[Operation, RecoverySituation]] = {
    Operation.CREATED: RecoverySituation.WRONG_INTERNAL_TASKS,
    Operation.MODIFIED: RecoverySituation.BAD_PRODUCTION_WRITE,
    Operation.DELETED: RecoverySituation.BAD_PRODUCTION_WRITE,
    Operation.SENT: RecoverySituation.BAD_EXTERNAL_MESSAGE,
    Operation.PAID: RecoverySituation.BAD_PRODUCTION_WRITE,
    Operation.APPROVED: RecoverySituation.APPROVAL_BYPASS,
    Operation.TRIGGERED: RecoverySituation.BAD_PRODUCTION_WRITE,
}

_REMEDY: Final[dict[Course, Remedy]] = {
    Course.CAME: Remedy.DELETE,
    Course.WENT: Remedy.RECREATE,
    Course.SWAPPED: Remedy.RECREATE,
    Course.CHANGED: Remedy.RESTORE,
}


class Undoing(Record):
    """How one effect may be undone, as the manifest declares its tool: ``args`` are worked out for this very effect.

    ``system``, ``tool`` and ``none`` (a reason) exclude each other; with none of them the object's own system is used.
    """

    kind: EffectKind | None = None
    external: bool = True
    system: str | None = None
    tool: str | None = None
    args: dict[str, Any] = {}
    none: str | None = None


class Means(Record):
    """What recovery has at hand.

    ``restores`` and ``invokes`` name the systems that can put content back and that can run a tool. ``copies`` maps a call that
    repeated another to the call it repeated; with ``only_copies`` what any other call made is proposed to stay.
    """

    undoing: Callable[[Effect], Undoing]
    restores: frozenset[str]
    invokes: frozenset[str] = frozenset()
    duplicates: DuplicateRule = DuplicateRule.CLOSE
    copies: dict[str, str] = {}
    only_copies: bool = False


def propose_plan(
    incident: Incident,
    effects: Sequence[Effect],
    *,
    chosen: Collection[str],
    plan: str,
    means: Means,
    new_id: Callable[[str], str],
) -> list[Item]:
    """Answer the items that undo the ``chosen`` calls, in the order in which they are to run.

    ``effects`` are those of every known call, in the order in which they happened: the calls that are not chosen are needed
    to tell whose value is whose.
    """
    nets = net_effects(effects, chosen)
    originals = {effect.call: effect.object for effect in effects if effect.operation is Operation.CREATED}
    drafts = [(net, _kept(_item(net, means, originals, incident.id, plan), net, means)) for net in nets]
    return [
        replace(item, id=new_id("item"), order=order) for order, item in enumerate(_in_order(drafts), start=1)
    ]


# --- what is done about one object -----------------------------------------------------------------


def _item(net: Net, means: Means, originals: Mapping[str, ObjectRef], incident: str, plan: str) -> Item:
    ways = [means.undoing(effect) for effect in net.effects]
    beyond = [
        (effect, operation)
        for effect, way in zip(net.effects, ways, strict=True)
        if (operation := _beyond(effect, way))
    ]
    left_for_good = [operation for _, operation in beyond]
    original = originals.get(means.copies.get(maker(net).call, "")) if net.course is Course.CAME else None
    draft = Item(
        id="",
        plan=plan,
        incident=incident,
        object=net.object,
        situation=_situation(net, left_for_good, copy=original is not None),
        remedy=Remedy.ACCEPT,
        reversible=False,
        preview="",
        calls=tuple(dict.fromkeys(effect.call for effect in net.effects)),
        effects=tuple(effect.id for effect in net.effects),
        expected=net.left,
        target=net.back,
        order=0,
        state=ItemState.PROPOSED,
        changes={name: change.shown() for name, change in changed_fields(net.left, net.back).items()},
        must_tell=_audiences(left_for_good, external=any(way.external for way in ways)),
    )
    if refusal := next((way.none for way in ways if way.none), None):
        return _by_hand(draft, net, refusal)
    if beyond and not any(way.system or way.tool for way in ways):
        return _by_hand(draft, net, preview.out_of_reach(*beyond[-1]))
    if net.ended_by and net.course is Course.WENT:
        return _by_hand(draft, net, f"{net.ended_by} made another object under this id")
    if net.ended_by or net.course in (Course.PASSED, Course.NOTHING):
        return replace(draft, preview=preview.nothing_to_do(net))
    way = _deciding(net, means)
    deletes_copies = original is not None and means.duplicates is DuplicateRule.DELETE
    if way is not None and way.tool is not None and not deletes_copies:
        return _by_inverse(draft, net, means, way.tool, way.args, original)
    return _by_system(draft, net, means, original)


def _kept(item: Item, net: Net, means: Means) -> Item:
    """Propose that what was made first stays: the work was wanted, its copies were not."""
    if net.course is not Course.CAME or not means.only_copies or item.remedy is Remedy.TELL:
        return item
    made_by = maker(net).call
    if made_by in means.copies:
        return item
    return replace(item, keep=preview.stays(sum(each == made_by for each in means.copies.values())))


def _by_hand(draft: Item, net: Net, why: str) -> Item:
    told = draft.must_tell or _MUST_CORRECT_BY_HAND
    return replace(draft, remedy=Remedy.TELL, must_tell=told, preview=preview.by_hand(net, why))


def _by_system(draft: Item, net: Net, means: Means, original: ObjectRef | None) -> Item:
    if original is not None and means.duplicates in (DuplicateRule.MERGE, DuplicateRule.MARK):
        return _by_hand(draft, net, preview.duplicate(means.duplicates, original))
    if net.object.system not in means.restores:
        return _by_hand(draft, net, f"no system {net.object.system} is configured here that can put it back")
    if net.course is not Course.UNSEEN:
        words = preview.put_back(net, draft.changes, original)
        return replace(draft, remedy=_REMEDY[net.course], reversible=True, preview=words)
    if net.back.state is ImageState.UNKNOWN:
        return _by_hand(draft, net, "its content before these calls was not seen")
    remedy = Remedy.DELETE if net.back.state is ImageState.ABSENT else Remedy.RESTORE
    return replace(draft, remedy=remedy, preview=preview.unseen(net))


def _by_inverse(
    draft: Item, net: Net, means: Means, tool: str, args: dict[str, Any], original: ObjectRef | None
) -> Item:
    """An inverse tool decides by itself what becomes of an object that should not be there: closed, cancelled, gone."""
    if net.object.system not in means.invokes:
        return _by_hand(draft, net, preview.not_callable(tool, args))
    words = preview.inverse(net, tool, args, original)
    inverse = replace(
        draft, remedy=Remedy.INVERSE, reversible=True, undo_tool=tool, undo_args=args, preview=words
    )
    if net.course is Course.CAME:
        return replace(inverse, changes={}, target=Image.unknown(f"as {tool} leaves it"))
    return inverse


def _deciding(net: Net, means: Means) -> Undoing | None:
    """Answer the declaration that says how the net effect is undone.

    It is that of the call which made or removed the object; for changes that of the only call, since one inverse call
    cannot take back several: those go through the system.
    """
    if net.course is Course.UNSEEN:
        return None
    if net.course is Course.CAME:
        return means.undoing(maker(net))
    if net.course is Course.WENT or len(net.effects) == 1:
        return means.undoing(net.effects[-1])
    return None


def _beyond(effect: Effect, way: Undoing) -> Operation | None:
    """Answer what left the system for good: the tool's declared kind counts for everything that the call changed."""
    if effect.operation in _MUST_TELL:
        return effect.operation
    return _BEYOND.get(way.kind) if way.kind is not None else None


def _audiences(operations: Sequence[Operation], *, external: bool) -> tuple[Audience, ...]:
    inward = {} if external else {Audience.EXTERNAL_PARTIES: Audience.AFFECTED_INTERNAL_USERS}
    told = (inward.get(audience, audience) for operation in operations for audience in _MUST_TELL[operation])
    return tuple(dict.fromkeys(told))


def _situation(net: Net, beyond: Sequence[Operation], *, copy: bool) -> RecoverySituation:
    if copy:
        return RecoverySituation.DUPLICATE_RECORDS
    if beyond:
        return _SITUATION[beyond[-1]]
    return _SITUATION[Operation.CREATED if net.course is Course.CAME else Operation.MODIFIED]


# --- order -----------------------------------------------------------------------------------------


class _Rank(IntEnum):
    """The groups of a plan, in the order in which they run."""

    BACK_AGAIN = 1
    CHANGED_BACK = 2
    REMOVED = 3
    TOLD = 4


def _in_order(drafts: Iterable[tuple[Net, Item]]) -> Iterator[Item]:
    """Yield the items in the order in which they are to run.

    Each group runs against the order of events, so that an object is there again before another refers to it and is no
    longer referred to when it goes. Objects of one call (a cascade) are ordered by which of them names which.
    """
    ranked = sorted(drafts, key=lambda draft: (_rank(draft), -_place(draft)))
    for (rank, _), group in groupby(ranked, key=lambda draft: (_rank(draft), _place(draft))):
        tied = list(group)
        yield from (item for _, item in _named_first(tied, last=rank is _Rank.REMOVED))


def _rank(draft: tuple[Net, Item]) -> _Rank:
    net, item = draft
    if item.remedy in (Remedy.TELL, Remedy.ACCEPT):
        return _Rank.TOLD
    if net.course in (Course.WENT, Course.SWAPPED):
        return _Rank.BACK_AGAIN
    return _Rank.REMOVED if net.back.state is ImageState.ABSENT else _Rank.CHANGED_BACK


def _place(draft: tuple[Net, Item]) -> int:
    net, _ = draft
    return net.first if _rank(draft) is _Rank.REMOVED else net.last


def _named_first(tied: list[tuple[Net, Item]], *, last: bool) -> list[tuple[Net, Item]]:
    """Put an object before those whose content holds its id, or after them for ``last``."""
    if len(tied) < 2:
        return tied
    by_id = {net.object.id: index for index, (net, _) in enumerate(tied)}
    names: dict[int, set[int]] = {}
    for index, (net, _) in enumerate(tied):
        content = net.left.content if last else net.back.content
        names[index] = {by_id[text] for text in texts(content) if text in by_id} - {index}
    try:
        order = list(TopologicalSorter(names).static_order())
    except CycleError:
        return tied
    return [tied[index] for index in (reversed(order) if last else order)]
