"""How much speaks for a call following something that was read, rather than the task: clues, each with a weight.

That a value of a call stands in what was read is nothing by itself: to pay a bill is to take account and amount from it. What speaks against a
call is what comes together: the address that something goes to stands in the middle of a text from outside; the same text asks for just
this to be done; nobody else has asked for it; it speaks to an agent. What speaks for it: the task asks for it, and names the item, or what is to be taken from each; people have let such a
call pass before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from stopwork.control.steering.authors import address_in
from stopwork.control.steering.carrying import carrying_out
from stopwork.control.steering.content import (
    MAX_LETTERS,
    Foreign,
    Item,
    hidden,
    is_text,
    items,
    leaves,
    name_of,
)
from stopwork.control.steering.deeds import (
    Deed,
    Order,
    asks_for,
    deed_of,
    delegates,
    hands_over,
    orders,
    says_something,
    says_to_answer,
)
from stopwork.control.steering.kinds import is_alone, is_asked_for
from stopwork.control.steering.languages import is_readable
from stopwork.control.steering.spelling import (
    MAX_TEXT_CHARS,
    Disguise,
    Place,
    Text,
    find,
    plain,
    spelled,
    squeezed,
)
from stopwork.control.steering.subject import MAX_COMMON_CHARS, Errand, Subject, Value, place_of, values
from stopwork.control.steering.weighing import MAX_VALUE_CHARS, score, suspicion
from stopwork.ledger.records import Suspicion, thing_of
from stopwork.ledger.words import Clue, EffectKind

MAX_FOREIGN: Final = 64
#: An order and what it is about stand no further apart than this.
TOGETHER_CHARS: Final = 400

# How one speaks to something that works by instructions: of its instructions and its task, of its user, of what it must not tell, and in its
# own notation for who is speaking.
_TO_AN_AGENT: Final = re.compile(
    r"\b(?:your|my|previous|earlier|prior|above|original|initial|current|first|other|all|these|any)\s(?:\w+\s){0,2}"
    r"(?:instructions?|tasks?|prompts?|guidelines|directives?|objectives?)\b"
    r"|\b(?:system|developer|assistant|user|tool)\s?(?:prompt|message|note|notice|instruction|output|role|call)\b"
    r"|(?:^|\n)\W{0,4}(?:system|assistant|developer|user|tool|human|ai)\W{0,3}[:>\]]"
    r"|<\W?(?:system|assistant|instructions?|user|tool\w*|im_\w+|inst)\b|\[/?inst\]|<\|\w+\|>"
    r"|\b(?:ai|language|virtual|digital)\s(?:assistant|agent|model|system|bot)\b|\b(?:llm|chatbot)\b"
    r"|\b(?:dear|hello|hi|hey|attention|note to|message to|to the|for the)\s(?:\w+\s){0,2}(?:assistant|agent|model|bot|ai)\b"
    r"|\bthe user(?:'s)?\b"
    r"|\bwithout (?:asking|telling|informing|notifying|confirm\w*|mention\w*|alert\w*)\b"
    r"|\b(?:do not|don't|never) (?:tell|mention|inform|ask|notify|reveal|alert|disclose)\b"
    r"|\b(?:task|job|request|question)s? (?:that )?(?:i|we|you|they|the user) (?:gave|asked|requested|have|were|was|are|is|had)\b"
)


class _Match(NamedTuple):
    """What a passage has in common with a call, the value that says most, and where it stands."""

    clues: list[Clue]
    value: Value | None
    place: Place


class _Wanted(NamedTuple):
    """What everybody who looks at the call needs to know of it."""

    deed: Deed
    values: tuple[Value, ...]
    task: Text | None
    asked: bool
    delegated: bool
    handed_over: bool
    surprising: bool
    understood: bool
    told: bool
    answered: Callable[[Item], bool]


def judge(
    subject: Subject,
    foreign: Sequence[Foreign],
    errand: Errand,
    *,
    steered: Collection[str] = (),
    vouched: Callable[[], Iterable[Any]] = tuple,
    vetted: Callable[[str], bool] = lambda _: False,
) -> Suspicion | None:
    """Answer what speaks most for the call following something that was read; ``None`` where nothing does.

    ``foreign`` is what the run has read from outside before the call, ``steered`` are those things in it which an earlier call of the run was found to
    follow. ``vouched`` answers what the run knows from sources that it may trust, and ``vetted`` whether people have let the tool be called with a
    value before; both are asked only where that matters.
    """
    if not foreign:
        return None
    read_items = items(foreign[-MAX_FOREIGN:]) if subject.effect is not EffectKind.READ else []
    wanted = _wanted(subject, errand, [item for _, every in read_items for item in every])
    if subject.effect is EffectKind.READ:
        found = list(carrying_out(subject, foreign[-MAX_FOREIGN:], wanted.task))
    else:
        found = [each for read, every in read_items for each in _following(read, every, wanted, steered)]
    worst = None
    for each in sorted(found, key=lambda one: -one.score):
        if worst is not None and worst.score >= each.score:
            break
        known = _in_view_of(each, vouched, vetted)
        if worst is None or known.score > worst.score:
            worst = known
    return worst if worst is not None and worst.score > 0 else None


def _in_view_of(
    found: Suspicion, vouched: Callable[[], Iterable[Any]], vetted: Callable[[str], bool]
) -> Suspicion:
    """Answer what is left of a suspicion by what the run knows from inside, and by what people have let pass."""
    clues = found.clues
    if Clue.ADDRESS_IN_TEXT in clues and _is_vouched_for(found.value, vouched()):
        clues = tuple(clue for clue in clues if clue is not Clue.ADDRESS_IN_TEXT)
    # Of a value that was too long to be kept people have let pass only how it begins.
    if 0 < len(found.value) < MAX_VALUE_CHARS and vetted(found.value):
        clues = (*clues, Clue.KNOWN_TO_PEOPLE)
    return found if clues is found.clues else replace(found, clues=clues, score=score(clues))


def _wanted(subject: Subject, errand: Errand, every: Sequence[Item]) -> _Wanted:
    deed = deed_of(subject.tool, subject.effect)
    told = errand.task or errand.purpose
    task = spelled(told)[0] if told else None
    answering = task is not None and subject.effect is EffectKind.SEND and says_to_answer(task.plain)
    asked = answering or (task is not None and asks_for(deed, task.plain))
    delegated = task is not None and delegates(task.plain)
    handed_over = task is not None and hands_over(deed, task.plain)
    understood = task is not None and says_something(task.plain)
    return _Wanted(
        deed=deed,
        values=tuple(each for each in values(subject) if task is None or place_of(each, task) is None),
        task=task,
        asked=asked,
        delegated=delegated or handed_over,
        handed_over=handed_over,
        # What the manifest says all runs are for need not name everything that one does.
        surprising=bool(errand.task) and understood and not (asked or delegated or handed_over),
        understood=understood,
        told=bool(errand.task),
        answered=_answered(every, task) if answering and task is not None else lambda _: False,
    )


def _answered(every: Sequence[Item], task: Text) -> Callable[[Item], bool]:
    """Answer which items the task has answered: those that it calls by their ids, or else by a name, or else all."""
    for is_meant in (_is_called, _is_titled):
        if any(is_meant(item, task) for item in every):
            return lambda item: is_meant(item, task)
    return lambda _: True


def _following(
    read: Foreign, every: Iterable[Item], wanted: _Wanted, steered: Collection[str]
) -> Iterator[Suspicion]:
    """Yield what speaks for the call following one of the items that were read."""
    for item in every:
        authors = item.authors if wanted.answered(item) else frozenset()
        left = _left_to(item, wanted, authors)
        answer = bool(left) and all(address_in(each.text) in authors for each in left)
        relieved = (
            not answer
            and (wanted.asked or wanted.delegated)
            and wanted.task is not None
            and _is_named(item, wanted.task)
        )
        one_each = answer or (not relieved and bool(left) and all(is_alone(each, item) for each in left))
        own = {plain(value.text) for value in wanted.values}
        name = name_of(item, but_for=own)
        again = thing_of(read.record, name) in steered
        in_data = any(value.address and plain(value.text) in item.data for value in wanted.values)
        for text in item.texts:
            # Nobody is asked to take anything from where it is hidden.
            taken = one_each and not hidden(text)
            found = _in_text(text, wanted, expected=relieved or taken, again=again)
            if found is None or not found.clues:
                continue
            clues, value, place = found
            if in_data and Clue.ADDRESS_IN_TEXT not in clues:
                clues.append(Clue.ADDRESS_IN_DATA)
            # That a text is hidden says nothing of a call that has nothing of it.
            if value is not None and (hidden(text) or place.disguise is not Disguise.NONE):
                clues.append(Clue.HIDDEN)
            if wanted.surprising:
                clues.append(Clue.NOT_ASKED)
            if again:
                clues.append(Clue.STEERED_BEFORE)
            if relieved:
                clues.append(Clue.ASKED_ABOUT_ITEM)
            if left or wanted.handed_over:
                clues.append(Clue.DELEGATED)
            if taken:
                clues.append(Clue.ASKED_FOR_VALUE)
            if not wanted.told:
                clues.append(Clue.NO_TASK)
            yield suspicion(
                read,
                clues,
                item=name,
                field=value.field if value else "",
                value=value.text if value else "",
                text=text,
                place=place,
            )


def _in_text(text: Text, wanted: _Wanted, *, expected: bool, again: bool) -> _Match | None:
    """Answer the passage of the text that has most in common with the call; ``None`` where none has anything."""
    here = [(value, place) for value in wanted.values if (place := place_of(value, text)) is not None]
    asks = orders(wanted.deed, text.plain)
    anchors = [place for _, place in here] or [Place(order.start, order.end) for order in asks]
    found = [_around(anchor, here, asks, text, wanted, expected=expected, again=again) for anchor in anchors]
    return max(found, key=lambda each: score(each.clues), default=None)


def _around(
    anchor: Place,
    here: Sequence[tuple[Value, Place]],
    asks: Sequence[Order],
    text: Text,
    wanted: _Wanted,
    *,
    expected: bool,
    again: bool,
) -> _Match:
    """Answer what stands together in one passage: the values of the call, and orders to do such a thing.

    ``expected`` where the task leaves it to the item with what the call is made, ``again`` where the run has followed the item before.
    """
    near = [(value, place) for value, place in here if abs(place.start - anchor.start) <= TOGETHER_CHARS]
    orders_near = [order for order in asks if abs(order.start - anchor.start) <= TOGETHER_CHARS]
    told = [each for each in near if each[0].telling or any(order.objects for order in orders_near)]
    addresses = [each for each in near if each[0].address]
    controls = [each for each in near if each[0].controls]
    carried = [each for each in near if each[0].carried]
    passage = text.plain[max(0, anchor.start - TOGETHER_CHARS) : anchor.end + TOGETHER_CHARS]
    clues = {
        Clue.ADDRESS_IN_TEXT: bool(addresses),
        Clue.CONTROL_IN_TEXT: any(not each.number for each, _ in controls),
        # Who asks for a bill to be paid asks for its amount.
        Clue.AMOUNT_IN_TEXT: any(each.number for each, _ in controls) and not expected,
        Clue.TEXT_CARRIED: bool(carried),
        Clue.DICTATED: bool(orders_near and told),
        Clue.DEED_NAMED: bool(orders_near and not told),
        Clue.OBJECT_NAMED: any(order.objects for order in orders_near),
        Clue.UNREADABLE: not orders_near
        and wanted.understood
        and any(not is_readable(text, place) for _, place in near),
        Clue.SPEAKS_TO_AGENT: bool(near or again) and _TO_AN_AGENT.search(passage) is not None,
    }
    value, place = next(iter((*addresses, *controls, *carried, *told)), (None, anchor))
    return _Match([clue for clue, there in clues.items() if there], value, place)


def _left_to(item: Item, wanted: _Wanted, authors: Collection[str]) -> Sequence[Value]:
    """Answer the addresses that the call has from the item, where the task asks for the call, and for each of them.

    It does by the name of their kind, and where it has the item answered, for those of its ``authors``.
    """
    task = wanted.task
    if not wanted.asked or task is None:
        return ()
    said = [
        each
        for each in wanted.values
        if each.address
        and (plain(each.text) in item.data or any(place_of(each, text) is not None for text in item.texts))
    ]
    return said if all(address_in(each.text) in authors or is_asked_for(each, task) for each in said) else ()


def _is_called(item: Item, task: Text) -> bool:
    """Answer whether the task speaks of the item by its id, which may be a bare number."""
    return item.id is not None and find(item.id, task, whole_word=True) is not None


def _is_titled(item: Item, task: Text) -> bool:
    """Answer whether the task speaks of the item by a name that hardly stands there by chance, as *open* does."""
    return any(
        find(name, task, whole_word=True) is not None
        for name in item.names
        if len(squeezed(name)) > MAX_COMMON_CHARS and not name.isdigit()
    )


def _is_named(item: Item, task: Text) -> bool:
    """Answer whether the task speaks of the item by one of its names."""
    return any(find(name, task, whole_word=True) is not None for name in item.names if not name.isdigit())


def _is_vouched_for(value: str, known: Iterable[Any]) -> bool:
    """Answer whether the value stands in what is known, of whose texts :data:`MAX_LETTERS` are looked at; the rest vouches for nothing."""
    wanted, left = plain(value), MAX_LETTERS
    for leaf in chain.from_iterable(map(leaves, known)):
        if not isinstance(leaf, str):
            continue
        if not is_text(leaf):
            if wanted == plain(leaf):
                return True
            continue
        left -= min(len(leaf), MAX_TEXT_CHARS)
        if left < 0:
            return False
        if find(value, spelled(leaf)[0], whole_word=True) is not None:
            return True
    return False
