"""The recovery plan: what is done about each object that the chosen calls touched, in which order, in plain words.

Undo is selective and by field: only the chosen calls are undone, only the fields they changed, and (when an item runs, see
:mod:`stopwork.incidents.attempt`) only where the present value is the one they left. An object gets one item for the *net*
effect of the chosen calls (:mod:`stopwork.incidents.net`), with every way to put it right (:mod:`stopwork.incidents.remedies`). Nothing is
dropped unsaid: an object that came and went within the calls, or that cannot be put back, gets an item too.

Values tell who wrote them: somebody who wrote the very value that a call had left cannot be told from that call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import IntEnum
from graphlib import CycleError, TopologicalSorter
from itertools import groupby

from msgspec.structs import asdict, replace

from stopwork.incidents import preview
from stopwork.incidents.images import changed_fields
from stopwork.incidents.net import Course, Net, images_of, maker, net_effects
from stopwork.incidents.references import Reference, References
from stopwork.incidents.remedies import Means, remedied
from stopwork.ledger.records import Effect, Image, Incident, Item, ObjectRef, Record
from stopwork.ledger.words import ImageState, ItemState, Remedy, Reversibility
from stopwork.manifest.model import DuplicateRule

_Declared = Mapping[str, Sequence[Reference]]


class _Draft(Record):
    """What is known of an object, and what is done about it."""

    net: Net
    item: Item


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
    originals = {
        effect.call: effect.object
        for effect in effects
        if images_of(effect)[0].state is ImageState.ABSENT
        and images_of(effect)[1].state is ImageState.PRESENT
    }
    copies = means.copies if means.only_copies else {}
    nets = net_effects(effects, chosen, copies)
    drafts = [_draft(net, means, originals, incident, plan) for net in nets]
    if means.recovery.duplicate_records is DuplicateRule.MERGE:
        drafts = _merged(drafts, effects)
    ordered = [
        replace(draft, item=replace(draft.item, id=new_id("item"), order=order))
        for order, draft in enumerate(_in_order(drafts, means.references), start=1)
    ]
    after = _dependencies(ordered, means.references)
    return [replace(draft.item, after=after.get(draft.item.id, ())) for draft in ordered]


def _draft(
    net: Net, means: Means, originals: Mapping[str, ObjectRef], incident: Incident, plan: str
) -> _Draft:
    original = originals.get(means.copies.get(maker(net).call, "")) if net.course is Course.CAME else None
    found = remedied(net, means, original, incident.type)
    item = Item(
        id="",
        plan=plan,
        incident=incident.id,
        object=net.object,
        situation=found.situation,
        calls=tuple(dict.fromkeys(effect.call for effect in net.effects)),
        effects=tuple(effect.id for effect in net.effects),
        expected=net.left,
        order=0,
        state=ItemState.PROPOSED,
        must_tell=found.must_tell,
        operation=net.effects[0 if net.course is Course.CAME else -1].operation,
        at=net.effects[0].at,
        runs=tuple(dict.fromkeys(effect.run for effect in net.effects)),
        tools=tuple(dict.fromkeys(effect.tool for effect in net.effects)),
        copy_of=original,
        ways=found.ways[1:],
        **asdict(found.ways[0]),
    )
    return _Draft(net=net, item=_kept(item, net, means))


def _kept(item: Item, net: Net, means: Means) -> Item:
    """Propose that what was made first stays: the work was wanted, its copies were not."""
    if not means.only_copies or item.remedy in (Remedy.TELL, Remedy.ACCEPT):
        return item
    came = net.course is Course.CAME
    calls = {maker(net).call} if came else {effect.call for effect in net.effects}
    repeated = [each for each in means.copies.values() if each in calls]
    if calls & means.copies.keys() or not (came or calls <= set(repeated)):
        return item
    return replace(item, keep=preview.stays(len(repeated)))


# --- merging ---------------------------------------------------------------------------------------


def _merged(drafts: Sequence[_Draft], effects: Sequence[Effect]) -> list[_Draft]:
    """Give each original what only its copies hold, before they go; an original that goes itself gets nothing."""
    copies: dict[ObjectRef, list[_Draft]] = {}
    for draft in drafts:
        if draft.item.copy_of is not None and not draft.item.remedy.by_people:
            copies.setdefault(draft.item.copy_of, []).append(draft)
    present = {effect.object: images_of(effect)[1] for effect in effects}
    own = {draft.item.object: draft for draft in drafts}
    completed = [
        merged
        for original, its in copies.items()
        if (original not in own or own[original].item.keep)
        and (merged := _completed(original, present[original], [*its, *filter(None, [own.get(original)])]))
    ]
    replaced = {draft.item.object for draft in completed}
    return [draft for draft in drafts if draft.item.object not in replaced] + completed


def _completed(original: ObjectRef, left: Image, drafts: Sequence[_Draft]) -> _Draft | None:
    """Answer what completes an original from its copies; nothing where they hold nothing that it lacks.

    ``drafts`` are those of the copies, and that of the original where the chosen calls made it.
    """
    copies = [draft for draft in drafts if draft.item.object != original]
    if not isinstance(left.content, dict):
        return None
    content = dict(left.content)
    for copy in copies:
        held = copy.item.expected.content
        for name, value in held.items() if isinstance(held, dict) else ():
            if content.get(name) is None and value is not None:
                content[name] = value
    target = Image.present(content)
    changes = {name: change.shown() for name, change in changed_fields(left, target).items()}
    if not changes:
        return None
    first = copies[0]
    item = replace(
        first.item,
        object=original,
        remedy=Remedy.MERGE,
        reversibility=Reversibility.PARTLY,
        preview=preview.merging(original, changes, [copy.item.object for copy in copies]),
        calls=tuple(dict.fromkeys(call for draft in drafts for call in draft.item.calls)),
        effects=tuple(dict.fromkeys(effect for draft in drafts for effect in draft.item.effects)),
        expected=left,
        target=target,
        changes=changes,
        undo_tool=None,
        undo_args={},
        copy_of=None,
        ways=(),
        must_tell=(),
    )
    return _Draft(
        net=replace(first.net, object=original, left=left, back=target, course=Course.CHANGED), item=item
    )


# --- order -----------------------------------------------------------------------------------------


class _Rank(IntEnum):
    """The groups of a plan, in the order in which they run."""

    BACK_AGAIN = 1
    CHANGED_BACK = 2
    REMOVED = 3
    TOLD = 4


def _in_order(drafts: Iterable[_Draft], declared: _Declared) -> Iterator[_Draft]:
    """Yield the items in the order in which they are to run.

    Each group runs against the order of events, so that an object is there again before another refers to it and is no
    longer referred to when it goes. Objects of one call (a cascade) are ordered by which of them names which, as far as that shows.
    """
    ranked = sorted(drafts, key=lambda draft: (_rank(draft), -_place(draft)))
    for (rank, _), group in groupby(ranked, key=lambda draft: (_rank(draft), _place(draft))):
        yield from _named_first(list(group), declared, last=rank is _Rank.REMOVED)


def _rank(draft: _Draft) -> _Rank:
    net, item = draft.net, draft.item
    if item.remedy.by_people:
        return _Rank.TOLD
    if net.course in (Course.WENT, Course.SWAPPED):
        return _Rank.BACK_AGAIN
    stays = net.back.state is not ImageState.ABSENT or item.target.state is ImageState.PRESENT
    return _Rank.CHANGED_BACK if stays else _Rank.REMOVED


def _place(draft: _Draft) -> int:
    return draft.net.first if _rank(draft) is _Rank.REMOVED else draft.net.last


def _named_first(tied: list[_Draft], declared: _Declared, *, last: bool) -> list[_Draft]:
    """Put an object before those that name it, or after them for ``last``.

    Where what the values suggest goes round in a circle, only what is declared counts.
    """
    if len(tied) < 2:
        return tied
    contents = [draft.net.left.content if last else draft.net.back.content for draft in tied]
    held = [(draft.net.object, content) for draft, content in zip(tied, contents, strict=True)]
    references = References(declared, held)
    certain = {index: {*references.named(*each)} - {index} for index, each in enumerate(held)}
    likely = {
        index: certain[index] | ({*references.suggested(*each)} - {index}) for index, each in enumerate(held)
    }
    for names in (likely, certain):
        with suppress(CycleError):
            order = list(TopologicalSorter(names).static_order())
            return [tied[index] for index in (reversed(order) if last else order)]
    return tied


def _dependencies(ordered: Sequence[_Draft], declared: _Declared) -> dict[str, tuple[str, ...]]:
    """Answer, by item, the earlier items that have to be put right first.

    An object comes back before what is declared to refer to it, and goes only when nothing refers to it any more: a removal could take along
    what somebody else has written there since. A copy goes when its original has what only the copy held.
    """
    first: dict[str, dict[str, None]] = {}

    def require(later: Item, earlier: Item) -> None:
        if earlier.order < later.order and earlier.object != later.object:
            first.setdefault(later.id, {})[earlier.id] = None

    coming = _of_rank(ordered, _Rank.BACK_AGAIN)
    going = _of_rank(ordered, _Rank.REMOVED)
    to_coming = References(declared, ((item.object, item.target.content) for item in coming))
    to_going = References(declared, ((item.object, item.expected.content) for item in going))
    merged = {draft.item.object: draft.item for draft in ordered if draft.item.remedy is Remedy.MERGE}
    for draft in ordered:
        item, rank = draft.item, _rank(draft)
        if rank is _Rank.TOLD:
            continue
        if rank is _Rank.REMOVED and item.copy_of in merged:
            require(item, merged[item.copy_of])
        for named in to_coming.named(item.object, item.target.content):
            require(item, coming[named])
        for named in to_going.named(item.object, item.expected.content):
            require(going[named], item)
    return {item: tuple(earlier) for item, earlier in first.items()}


def _of_rank(drafts: Sequence[_Draft], rank: _Rank) -> list[Item]:
    return [draft.item for draft in drafts if _rank(draft) is rank]
