"""How much speaks for a call following something that was read, rather than the task: clues, each with a weight.

That a value of a call stands in what was read is nothing by itself: to pay a bill is to take account and amount from it. What speaks against a
call is what comes together: the address that something goes to stands in the middle of a text from outside; the same text asks for just
this to be done; nobody else has asked for it; it speaks to an agent. What speaks for it: the task asks for it, and names the item.

The weights were set on known attacks and kept since; what they are worth is measured in ``benchmarks/RESULTS.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from stopwork.control.steering.content import Foreign, Item, hidden, is_text, items, leaves
from stopwork.control.steering.deeds import Deed, Order, asks_for, deed_of, delegates, orders, says_something
from stopwork.control.steering.spelling import Disguise, Place, Text, find, plain, spelled, squeezed
from stopwork.ledger.records import Record, Suspicion
from stopwork.ledger.words import Clue, EffectKind

WEIGHTS: Final[dict[Clue, float]] = {
    Clue.ADDRESS_IN_TEXT: 2.0,
    Clue.ADDRESS_IN_DATA: 0.5,
    Clue.CONTROL_IN_TEXT: 1.0,
    Clue.TEXT_CARRIED: 1.0,
    Clue.DICTATED: 1.5,
    Clue.DEED_NAMED: 1.0,
    Clue.OBJECT_NAMED: 0.5,
    Clue.NOT_ASKED: 1.0,
    Clue.SPEAKS_TO_AGENT: 1.0,
    Clue.HIDDEN: 1.0,
    Clue.STEERED_BEFORE: 1.0,
    Clue.CARRIES_OUT: 1.5,
    Clue.ASKED_ABOUT_ITEM: -2.0,
    Clue.NO_TASK: -0.5,
}
"""What each clue adds. ``alerts.prompt_injection.threshold`` is compared with the sum."""

MAX_VALUES: Final = 100
MAX_FOREIGN: Final = 64
MAX_ORDERS: Final = 20
MAX_QUOTE_CHARS: Final = 280
MAX_VALUE_CHARS: Final = 120
#: An order and what it is about stand no further apart than this.
TOGETHER_CHARS: Final = 400
MIN_CARRIED_CHARS: Final = 24
MIN_CARRIED_WORDS: Final = 5
#: What a run knows and an address carries away is told by so many letters; fewer are found by chance.
MIN_SECRET_CHARS: Final = 6

_ADDRESS: Final = re.compile(
    r"[^\s@]+@[^\s@]+\.\w+|https?://\S+|[A-Za-z]{2}\d{2}[A-Za-z0-9 ]{8,}|\+\d[\d ()/-]{7,}\d|\d{9,}|(?:[\w-]+\.)+(?:[a-z]{2,})"
)
_ADDRESSED: Final = re.compile(
    r"recipient|^to$|^cc$|^bcc$|email|address|iban|account|destination|channel|phone|url|uri|webhook|participant|payee|invitee|member"
)
_CONTROLS: Final = re.compile(
    r"amount|price|total|sum$|permission|role|scope|access|password|secret|code|command|script|query|sql|expression|limit"
)
_URL: Final = re.compile(r"https?://[^\s\"'<>)\]]+", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\d[\d,.']*")
# How one speaks to something that works by instructions: of its instructions and its task, of its user, of what it must not tell, and in its
# own notation for who is speaking.
_TO_AN_AGENT: Final = re.compile(
    r"\b(?:your|my|previous|earlier|prior|above|original|initial|current|first|other|all|these|any)\s(?:\w+\s){0,2}"
    r"(?:instructions?|tasks?|prompts?|guidelines|directives?|objectives?)\b"
    r"|\b(?:system|developer|assistant|user|tool)\s?(?:prompt|message|note|notice|instruction|output|role|call)\b"
    r"|(?:^|\n)\W{0,4}(?:system|assistant|developer|user|tool|human|ai)\W{0,3}[:>\]]"
    r"|<\W?(?:system|assistant|instructions?|user|tool\w*|im_\w+|inst|information|important)\b|\[/?inst\]|<\|\w+\|>"
    r"|\b(?:ai|language|virtual|digital)\s(?:assistant|agent|model|system|bot)\b|\b(?:llm|chatbot)\b"
    r"|\b(?:dear|hello|hi|hey|attention|note to|message to|to the|for the)\s(?:\w+\s){0,2}(?:assistant|agent|model|bot|ai)\b"
    r"|\bthe user(?:'s)?\b"
    r"|\bwithout (?:asking|telling|informing|notifying|confirm\w*|mention\w*|alert\w*)\b"
    r"|\b(?:do not|don't|never) (?:tell|mention|inform|ask|notify|reveal|alert|disclose)\b"
    r"|\b(?:task|job|request|question)s? (?:that )?(?:i|we|you|they|the user) (?:gave|asked|requested|have|were|was|are|is|had)\b"
)


class Subject(Record):
    """The call as it is judged: ``destinations`` are where the manifest says that its effect goes."""

    tool: str
    effect: EffectKind
    args: dict[str, Any]
    destinations: tuple[str, ...] = ()


class Errand(Record):
    """What the run is for: the ``task`` it was given, or else the ``purpose`` that the manifest states for all of its runs."""

    task: str = ""
    purpose: str = ""


class _Value(NamedTuple):
    """One value of the arguments, and what it is: an address that something goes to, or something that controls what is done."""

    field: str
    text: str
    address: bool
    controls: bool
    number: bool


class _Match(NamedTuple):
    """What a passage has in common with a call, the value that says most, and where it stands."""

    clues: list[Clue]
    value: _Value | None
    place: Place


class _Wanted(NamedTuple):
    """What everybody who looks at the call needs to know of it."""

    deed: Deed
    values: tuple[_Value, ...]
    task: Text | None
    asked: bool
    delegated: bool
    surprising: bool
    steered: bool
    told: bool


def judge(
    subject: Subject,
    foreign: Sequence[Foreign],
    errand: Errand,
    *,
    steered: bool = False,
    vouched: Callable[[], Iterable[Any]] = tuple,
) -> Suspicion | None:
    """Answer what speaks most for the call following something that was read; ``None`` where nothing does.

    ``foreign`` is what the run has read from outside before the call, ``steered`` whether an earlier call of it was found to follow such a text.
    ``vouched`` answers what the run knows from sources that it may trust; it is asked only where that matters.
    """
    if not foreign:
        return None
    wanted = _wanted(subject, errand, steered=steered)
    if subject.effect is EffectKind.READ:
        found = list(_carrying_out(subject, foreign, wanted))
    else:
        found = [each for read in foreign[-MAX_FOREIGN:] for each in _following(read, wanted)]
    worst = max(found, key=lambda each: each.score, default=None)
    if worst is None or worst.score <= 0:
        return None
    if Clue.ADDRESS_IN_TEXT in worst.clues and _is_vouched_for(worst.value, vouched()):
        clues = tuple(clue for clue in worst.clues if clue is not Clue.ADDRESS_IN_TEXT)
        return _scored(worst, clues)
    return worst


def _scored(suspicion: Suspicion, clues: tuple[Clue, ...]) -> Suspicion | None:
    score = sum(WEIGHTS[clue] for clue in clues)
    if score <= 0:
        return None
    return Suspicion(
        score=score,
        clues=clues,
        record=suspicion.record,
        source=suspicion.source,
        item=suspicion.item,
        field=suspicion.field,
        value=suspicion.value,
        passage=suspicion.passage,
        disguise=suspicion.disguise,
    )


def _wanted(subject: Subject, errand: Errand, *, steered: bool) -> _Wanted:
    deed = deed_of(subject.tool, subject.effect)
    told = errand.task or errand.purpose
    task = spelled(told)[0] if told else None
    asked = task is not None and asks_for(deed, task.plain)
    delegated = task is not None and delegates(task.plain)
    return _Wanted(
        deed=deed,
        values=tuple(each for each in _values(subject) if task is None or not _stands_in(each, task)),
        task=task,
        asked=asked,
        delegated=delegated,
        # What the manifest says all runs are for need not name everything that one does.
        surprising=bool(errand.task)
        and task is not None
        and says_something(task.plain)
        and not (asked or delegated),
        steered=steered,
        told=bool(errand.task),
    )


def _values(subject: Subject) -> Iterator[_Value]:
    every = islice(_named(subject.args, ""), MAX_VALUES)
    for field, value in every:
        text = str(value).strip()
        number = isinstance(value, int | float)
        if not text or isinstance(value, bool) or value is None:
            continue
        name = re.sub(r"\[\d+\]", "", field).rsplit(".", 1)[-1].lower()
        goes_to = text in subject.destinations
        shaped = not number and _ADDRESS.fullmatch(text) is not None
        named = not number and _ADDRESSED.search(name) is not None and not is_text(text)
        yield _Value(
            field,
            text,
            goes_to or shaped or (named and len(text) >= MIN_SECRET_CHARS),
            bool(_CONTROLS.search(name)),
            number,
        )
        if not number and not shaped:
            # A link within what is sent leads its reader somewhere.
            yield from (_Value(field, link, True, False, False) for link in _URL.findall(text))


def _named(content: Any, field: str) -> Iterator[tuple[str, Any]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _named(value, f"{field}.{key}" if field else str(key))
    elif isinstance(content, list | tuple):
        for index, value in enumerate(content):
            yield from _named(value, f"{field}[{index}]")
    else:
        yield field, content


def _following(read: Foreign, wanted: _Wanted) -> Iterator[Suspicion]:
    """Yield what speaks for the call following one of the items that were read."""
    for item in items(read):
        relieved = (
            (wanted.asked or wanted.delegated) and wanted.task is not None and _is_named(item, wanted.task)
        )
        in_data = any(value.address and plain(value.text) in item.data for value in wanted.values)
        for text in item.texts:
            found = _in_text(text, wanted, relieved=relieved)
            if found is None or not found.clues:
                continue
            clues, value, place = found
            if in_data and Clue.ADDRESS_IN_TEXT not in clues:
                clues.append(Clue.ADDRESS_IN_DATA)
            if hidden(text) or place.disguise is not Disguise.NONE:
                clues.append(Clue.HIDDEN)
            if wanted.surprising:
                clues.append(Clue.NOT_ASKED)
            if wanted.steered:
                clues.append(Clue.STEERED_BEFORE)
            if relieved:
                clues.append(Clue.ASKED_ABOUT_ITEM)
            if not wanted.told:
                clues.append(Clue.NO_TASK)
            yield Suspicion(
                score=sum(WEIGHTS[clue] for clue in clues),
                clues=tuple(clues),
                record=read.record,
                source=read.source,
                item=_called(item, wanted),
                field=value.field if value else "",
                value=value.text[:MAX_VALUE_CHARS] if value else "",
                passage=_quoted(text, place),
                disguise=str(place.disguise or text.disguise),
            )


def _in_text(text: Text, wanted: _Wanted, *, relieved: bool) -> _Match | None:
    """Answer the passage of the text that has most in common with the call; ``None`` where none has anything."""
    here = [(value, place) for value in wanted.values if (place := _place(value, text)) is not None]
    asks = list(islice(orders(wanted.deed, text.plain), MAX_ORDERS))
    anchors = [place for _, place in here] or [Place(order.start, order.end) for order in asks]
    found = [_around(anchor, here, asks, text, wanted, relieved=relieved) for anchor in anchors]
    return max(found, key=lambda each: sum(WEIGHTS[clue] for clue in each.clues), default=None)


def _around(
    anchor: Place,
    here: Sequence[tuple[_Value, Place]],
    asks: Sequence[Order],
    text: Text,
    wanted: _Wanted,
    *,
    relieved: bool,
) -> _Match:
    """Answer what stands together in one passage: the values of the call, and orders to do such a thing."""
    near = [(value, place) for value, place in here if abs(place.start - anchor.start) <= TOGETHER_CHARS]
    orders_near = [order for order in asks if abs(order.start - anchor.start) <= TOGETHER_CHARS]
    told = [each for each in near if _is_telling(each[0]) or any(order.objects for order in orders_near)]
    addresses = [each for each in near if each[0].address]
    controls = [each for each in near if each[0].controls]
    carried = [each for each in near if _is_carried(each[0])]
    passage = text.plain[max(0, anchor.start - TOGETHER_CHARS) : anchor.end + TOGETHER_CHARS]
    clues = {
        Clue.ADDRESS_IN_TEXT: bool(addresses),
        # Who asks for a bill to be paid asks for its amount.
        Clue.CONTROL_IN_TEXT: any(not (relieved and each.number) for each, _ in controls),
        Clue.TEXT_CARRIED: bool(carried),
        Clue.DICTATED: bool(orders_near and told),
        Clue.DEED_NAMED: bool(orders_near and not told),
        Clue.OBJECT_NAMED: any(order.objects for order in orders_near),
        Clue.SPEAKS_TO_AGENT: bool(near or wanted.steered) and _TO_AN_AGENT.search(passage) is not None,
    }
    value, place = next(iter((*addresses, *controls, *carried, *told)), (None, anchor))
    return _Match([clue for clue, there in clues.items() if there], value, place)


def _place(value: _Value, text: Text) -> Place | None:
    if value.number:
        return _of_number(value.text, text)
    return find(value.text, text, whole_word=len(value.text) < MIN_CARRIED_CHARS, pieces=value.address)


def _of_number(number: str, text: Text) -> Place | None:
    wanted = float(number)
    for match in _NUMBER.finditer(text.plain):
        digits = match[0].strip(",.'").replace(",", "").replace("'", "")
        if digits.count(".") <= 1 and len(digits) < MAX_VALUE_CHARS and float(digits) == wanted:
            return Place(match.start(), match.end())
    return None


def _stands_in(value: _Value, text: Text) -> bool:
    return _place(value, text) is not None


def _is_carried(value: _Value) -> bool:
    return len(value.text) >= MIN_CARRIED_CHARS and len(value.text.split()) >= MIN_CARRIED_WORDS


def _is_telling(value: _Value) -> bool:
    """Answer whether the value is found in a text hardly by chance."""
    return value.address or len(squeezed(value.text)) > MIN_SECRET_CHARS


def _is_named(item: Item, task: Text) -> bool:
    """Answer whether the task speaks of the item by one of its names."""
    return any(find(name, task, whole_word=True) is not None for name in item.names if not name.isdigit())


def _called(item: Item, wanted: _Wanted) -> str | None:
    """Answer the name by which the item can be told from others."""
    own = {plain(value.text) for value in wanted.values}
    return next((name for name in item.names if name not in own), None)


def _is_vouched_for(value: str, known: Iterable[Any]) -> bool:
    wanted = plain(value)
    return any(
        wanted == plain(leaf)
        or (is_text(leaf) and find(value, spelled(leaf)[0], whole_word=True) is not None)
        for content in known
        for leaf in leaves(content)
        if isinstance(leaf, str)
    )


def _carrying_out(subject: Subject, foreign: Sequence[Foreign], wanted: _Wanted) -> Iterator[Suspicion]:
    """Yield what speaks for a read being a way out: an address that nobody asked for, and in it something that the run has read."""
    links = [
        (field, link)
        for field, value in islice(_named(subject.args, ""), MAX_VALUES)
        if isinstance(value, str)
        for link in _URL.findall(value)
    ]
    for field, link in links:
        parts = urlsplit(link)
        loads = [unquote(parts.path), *(value for _, value in parse_qsl(parts.query))]
        secrets = [load for load in loads if len(squeezed(load)) >= MIN_SECRET_CHARS]
        if not secrets or (wanted.task is not None and find(parts.netloc, wanted.task) is not None):
            continue
        every = [(read, item) for read in foreign[-MAX_FOREIGN:] for item in items(read)]
        texts = [(read, item, text) for read, item in every for text in item.texts]
        # What is only followed as it stands carries nothing that its writer did not know.
        if any(find(link, text) is not None for _, _, text in texts) or any(
            plain(link) in item.data for _, item in every
        ):
            continue
        leaked = next((each for each in _words_of(secrets) if _is_known(each, every)), None)
        origin = next((each for each in texts if find(parts.netloc, each[2]) is not None), None)
        if leaked is None:
            continue
        clues = [Clue.CARRIES_OUT]
        if origin is not None:
            clues.append(Clue.ADDRESS_IN_TEXT)
        if wanted.task is not None:
            clues.append(Clue.NOT_ASKED)
        read, item, text = origin or (*every[0], None)
        yield Suspicion(
            score=sum(WEIGHTS[clue] for clue in clues),
            clues=tuple(clues),
            record=read.record,
            source=read.source,
            item=_called(item, wanted),
            field=field,
            value=leaked[:MAX_VALUE_CHARS],
            passage=_quoted(text, find(parts.netloc, text)) if text is not None else "",
        )


def _words_of(loads: Iterable[str]) -> Iterator[str]:
    for load in loads:
        for text in spelled(load):
            yield from (
                word
                for word in re.findall(r"[\w@.+-]+", text.plain)
                if len(squeezed(word)) >= MIN_SECRET_CHARS
            )


def _is_known(word: str, every: Iterable[tuple[Foreign, Item]]) -> bool:
    return any(word in item.data or any(word in text.plain for text in item.texts) for _, item in every)


def _quoted(text: Text, place: Place | None) -> str:
    """Answer the passage around the place, in one line, cut to its sentences where it can be."""
    if place is None:
        return ""
    start = max(0, min(place.start - MAX_QUOTE_CHARS // 2, len(text.shown) - MAX_QUOTE_CHARS))
    cut = text.shown[start : start + MAX_QUOTE_CHARS]
    shown = "".join(char if char.isprintable() else " " for char in cut)
    shown = " ".join(shown.split())
    return ("…" if start else "") + shown + ("…" if start + MAX_QUOTE_CHARS < len(text.shown) else "")
