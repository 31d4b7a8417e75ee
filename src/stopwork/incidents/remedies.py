"""What may be done about one object: what its calls did is taken back, or it is put right as the manifest says, or people are asked.

Every possible way is worked out, so that whoever approves can choose another one; the first is the one that is proposed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import asdict, replace

from stopwork.incidents import preview
from stopwork.incidents.departed import ARGUMENTS, shows_what_left
from stopwork.incidents.images import BEYOND, changed_fields, with_fields
from stopwork.incidents.net import Course, Net, maker
from stopwork.incidents.reach import Lacks, lacks_nothing
from stopwork.incidents.references import Reference
from stopwork.ledger.records import Effect, Image, Item, ObjectRef, Record, Way
from stopwork.ledger.words import (
    Audience,
    EffectKind,
    ImageState,
    IncidentType,
    Operation,
    RecoverySituation,
    Remedy,
    Reversibility,
)
from stopwork.manifest.model import Recovery

_MUST_TELL: Final[dict[Operation, tuple[Audience, ...]]] = {
    Operation.SENT: (Audience.BUSINESS_OWNER, Audience.EXTERNAL_PARTIES),
    Operation.PAID: (Audience.BUSINESS_OWNER, Audience.LEGAL_COMPLIANCE, Audience.EXTERNAL_PARTIES),
    Operation.APPROVED: (Audience.BUSINESS_OWNER, Audience.AFFECTED_INTERNAL_USERS),
    Operation.TRIGGERED: (Audience.TECHNICAL_OWNER, Audience.AFFECTED_INTERNAL_USERS),
}
_TOLD_OF_EXPOSURE: Final = (Audience.SECURITY, Audience.LEGAL_COMPLIANCE)
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

#: Words of the manifest that leave the choice to how the calls are taken back; of two that are merged, the copy is taken back.
_TAKEN_BACK: Final = frozenset({"undo", "merge", "tell"})


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


class Offer(Record):
    """How the manifest says that a remedy is done, worked out for one object; ``why_not`` where it cannot be worked out."""

    remedy: Remedy
    fields: dict[str, Any] = {}
    tool: str | None = None
    args: dict[str, Any] = {}
    why_not: str = ""


def _none_offered(net: Net, original: ObjectRef | None) -> Sequence[Offer]:
    return ()


class Means(Record):
    """What recovery has at hand.

    ``restores`` and ``invokes`` name the systems that can put content back and that can run a tool; ``lacks`` says which change one of
    them has no way for. ``copies`` maps a call that
    repeated another to the call it repeated; with ``only_copies`` what any other call made is proposed to stay. ``references`` are those
    that each system declares.
    """

    undoing: Callable[[Effect], Undoing]
    restores: frozenset[str]
    invokes: frozenset[str] = frozenset()
    lacks: Lacks = lacks_nothing
    recovery: Recovery = Recovery()
    offers: Callable[[Net, ObjectRef | None], Sequence[Offer]] = _none_offered
    copies: dict[str, str] = {}
    only_copies: bool = False
    references: dict[str, tuple[Reference, ...]] = {}


class Remedied(Record):
    """What may be done about one object, the proposed way first, in which situation, and who has to be told in any case."""

    situation: RecoverySituation
    ways: tuple[Way, ...]
    must_tell: tuple[Audience, ...]


def remedied(net: Net, means: Means, original: ObjectRef | None, incident: IncidentType) -> Remedied:
    """Answer what may be done about the net effect of calls on one object; ``original`` is the one of which it is a copy."""
    declared = [means.undoing(effect) for effect in net.effects]
    beyond = [
        (effect, operation)
        for effect, way in zip(net.effects, declared, strict=True)
        if (operation := _beyond(effect, way))
    ]
    for_good = [operation for _, operation in beyond]
    undo = _undo(net, means, declared, beyond, original)
    offers = () if undo.remedy is Remedy.ACCEPT or net.ended_by else _fitting(net, means, original)
    situation = _situation(net, for_good, copy=original is not None)
    if incident is IncidentType.STALE_OR_WRONG_INPUT and any(
        offer.remedy is Remedy.REGENERATE for offer in offers
    ):
        situation = RecoverySituation.STALE_SUMMARY
    others = dict(_others(net, means, offers, undo, original))
    chosen = _chosen(net, situation, means, undo, others, offers, original)
    audiences = _audiences(for_good, external=any(way.external for way in declared))
    if incident is IncidentType.SENSITIVE_DATA_EXPOSURE and undo.remedy is not Remedy.ACCEPT:
        situation = RecoverySituation.SENSITIVE_DATA_EXPOSURE
        audiences = tuple(dict.fromkeys((*audiences, *_TOLD_OF_EXPOSURE)))
    ways: dict[Remedy, Way] = {}
    for way in (chosen, undo, *others.values()):
        ways.setdefault(way.remedy, way)
    return Remedied(
        situation=situation,
        ways=tuple(ways.values()),
        must_tell=told(chosen.remedy, audiences),
    )


def as_way(item: Item) -> Way:
    """Answer what an item does about its object."""
    return Way(**{name: getattr(item, name) for name in Way.__struct_fields__})


def with_way(item: Item, way: Way) -> Item:
    """Answer the item that does this instead; what it did is among the ways that are possible."""
    others = tuple(each for each in (as_way(item), *item.ways) if each.remedy is not way.remedy)
    return replace(item, **asdict(way), ways=others, must_tell=told(way.remedy, item.must_tell))


def told(remedy: Remedy, audiences: tuple[Audience, ...]) -> tuple[Audience, ...]:
    """Answer who must be told: those whom what has left the system reaches, and those who have to act where the software does not."""
    if remedy is Remedy.TELL:
        return audiences or _MUST_CORRECT_BY_HAND
    return () if audiences == _MUST_CORRECT_BY_HAND else audiences


def by_hand(net: Net, why: str) -> Way:
    """Answer the way that is left when the software can do nothing: people do it."""
    return Way(
        remedy=Remedy.TELL,
        reversibility=Reversibility.NOT,
        preview=preview.by_hand(net, why),
        target=net.back,
        changes=_changes(net.left, net.back),
    )


# --- taking back -----------------------------------------------------------------------------------


def _undo(
    net: Net,
    means: Means,
    declared: Sequence[Undoing],
    beyond: Sequence[tuple[Effect, Operation]],
    original: ObjectRef | None,
) -> Way:
    if refusal := next((way.none for way in declared if way.none), None):
        return by_hand(net, refusal)
    if beyond and not any(way.system or way.tool for way in declared):
        return by_hand(net, preview.out_of_reach(*beyond[-1]))
    if net.ended_by and net.course is Course.WENT:
        return by_hand(net, f"{net.ended_by} made another object under this id")
    if net.ended_by or net.course in (Course.PASSED, Course.NOTHING):
        return _nothing_to_do(net, preview.nothing_to_do(net))
    way = _deciding(net, means)
    inverses = [preview.call(each.tool, each.args) for each in declared if each.tool]
    if way is not None and way.tool is not None:
        undo = _by_inverse(net, means, way.tool, way.args, original)
    elif len(inverses) > 1 and net.object.system not in means.restores:
        undo = by_hand(net, preview.several_inverses(inverses))
    else:
        undo = _by_system(net, means, original)
    taken_back = undo.reversibility is not Reversibility.NOT
    return replace(undo, reversibility=Reversibility.PARTLY) if taken_back and (beyond or net.kept) else undo


def _by_system(net: Net, means: Means, original: ObjectRef | None) -> Way:
    if net.object.system not in means.restores:
        return by_hand(net, f"no system {net.object.system} is configured here that can put it back")
    if net.course is Course.SWAPPED and (why := means.lacks(net.object, Image.absent(), net.back)):
        return by_hand(net, why)
    if why := means.lacks(net.object, net.left, net.back):
        return by_hand(net, why)
    changes = _changes(net.left, net.back)
    if net.course is not Course.UNSEEN:
        lasting = means.lacks(net.object, net.back, net.left)
        return Way(
            remedy=_REMEDY[net.course],
            reversibility=Reversibility.FULLY,
            preview=preview.put_back(net, changes, original) + preview.for_good(lasting),
            target=net.back,
            changes=changes,
        )
    if net.back.state is ImageState.UNKNOWN:
        return by_hand(net, "its content before these calls was not seen")
    return Way(
        remedy=Remedy.DELETE if net.back.state is ImageState.ABSENT else Remedy.RESTORE,
        reversibility=Reversibility.NOT,
        preview=preview.unseen(net),
        target=net.back,
        changes=changes,
    )


def _by_inverse(net: Net, means: Means, tool: str, args: dict[str, Any], original: ObjectRef | None) -> Way:
    """An inverse tool decides by itself what becomes of an object that should not be there: closed, cancelled, gone."""
    readable = all(effect.source != ARGUMENTS for effect in net.effects)
    if net.object.system not in means.invokes or not readable:
        return by_hand(net, preview.not_callable(tool, args))
    came = net.course is Course.CAME
    return Way(
        remedy=Remedy.INVERSE,
        reversibility=Reversibility.BY_TOOL,
        preview=preview.inverse(net, tool, args, original),
        target=Image.unknown(f"as {tool} leaves it") if came else net.back,
        changes={} if came else _changes(net.left, net.back),
        undo_tool=tool,
        undo_args=args,
    )


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


# --- other ways ------------------------------------------------------------------------------------


def _others(
    net: Net, means: Means, offers: Sequence[Offer], undo: Way, original: ObjectRef | None
) -> Iterator[tuple[Remedy, Way]]:
    """Yield what else is possible: removing what an inverse tool would close, and what the manifest says how to do."""
    if undo.remedy is Remedy.INVERSE and net.course is Course.CAME and net.object.system in means.restores:
        yield Remedy.DELETE, _by_system(net, means, original)
    for offer in offers:
        if not offer.why_not and (way := _as_offered(net, means, offer, original)) is not None:
            yield offer.remedy, way


def _as_offered(net: Net, means: Means, offer: Offer, original: ObjectRef | None) -> Way | None:
    if offer.tool is not None:
        if net.object.system not in means.invokes:
            return None
        # What is sent once more is another message; everything else has to be there as the calls left it.
        if offer.remedy is not Remedy.RESEND and net.left.state is not ImageState.PRESENT:
            return None
        return Way(
            remedy=offer.remedy,
            reversibility=Reversibility.PARTLY if offer.remedy is Remedy.RESEND else Reversibility.BY_TOOL,
            preview=preview.tool_call(net, offer.remedy, offer.tool, offer.args, original),
            target=Image.unknown(f"as {offer.tool} leaves it"),
            undo_tool=offer.tool,
            undo_args=offer.args,
        )
    if net.object.system not in means.restores or not isinstance(net.left.content, dict):
        return None
    target = Image.present(with_fields(net.left.content, offer.fields))
    if means.lacks(net.object, net.left, target):
        return None
    changes = _changes(net.left, target)
    if not changes:
        return _nothing_to_do(net, preview.so_already(net, offer.remedy))
    return Way(
        remedy=offer.remedy,
        reversibility=Reversibility.PARTLY,
        preview=preview.setting(net.object, offer.remedy, changes, original),
        target=target,
        changes=changes,
    )


def _fitting(net: Net, means: Means, original: ObjectRef | None) -> tuple[Offer, ...]:
    """Answer what the manifest offers for the object; a correction is sent only for what was sent, once, and not for what came with it."""
    sent = any(shows_what_left(effect) for effect in net.effects)
    return tuple(offer for offer in means.offers(net, original) if sent or offer.remedy is not Remedy.RESEND)


def _chosen(
    net: Net,
    situation: RecoverySituation,
    means: Means,
    undo: Way,
    others: Mapping[Remedy, Way],
    offers: Sequence[Offer],
    original: ObjectRef | None,
) -> Way:
    """Answer the way that the manifest wants for the situation; where there is no such way, what takes the effect back."""
    word = getattr(means.recovery, situation.value, None)
    if undo.remedy is Remedy.ACCEPT or word is None or word in _TAKEN_BACK:
        return undo
    wanted = Remedy(word.value)
    if wanted in others:
        return others[wanted]
    offer = next((offer for offer in offers if offer.remedy is wanted), None)
    if offer is not None and offer.why_not:
        return by_hand(net, offer.why_not)
    if offer is not None and offer.tool and undo.remedy.by_people and net.object.system not in means.invokes:
        return by_hand(net, preview.not_offered(wanted, offer.tool, offer.args))
    if wanted is Remedy.MARK and undo.undo_tool is None and original is not None:
        return by_hand(net, preview.no_mark(original))
    return undo


# --- words -----------------------------------------------------------------------------------------


def _nothing_to_do(net: Net, words: str) -> Way:
    return Way(
        remedy=Remedy.ACCEPT,
        reversibility=Reversibility.FULLY,
        preview=words,
        target=net.back,
        changes=_changes(net.left, net.back),
    )


def _changes(left: Image, back: Image) -> dict[str, list[Any]]:
    return {name: change.shown() for name, change in changed_fields(left, back).items()}


def _beyond(effect: Effect, way: Undoing) -> Operation | None:
    """Answer what left the system for good: the tool's declared kind counts for everything that the call changed."""
    if effect.operation in _MUST_TELL:
        return effect.operation
    return BEYOND.get(way.kind) if way.kind is not None else None


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
