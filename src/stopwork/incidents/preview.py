"""What a recovery item will do, in the words its approver reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from stopwork.incidents.attempt import Column
from stopwork.incidents.images import NO_FIELD, NOT_SEEN
from stopwork.incidents.net import Course, Net, maker
from stopwork.incidents.unfinished import ATTEMPT
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.records import Effect, ObjectRef
from stopwork.ledger.words import ImageState, Operation, Remedy

_VALUE_CHARS: Final = 60
_FIELDS_SHOWN: Final = 4

_OUT_OF_REACH: Final[dict[Operation, str]] = {
    Operation.SENT: "what {tool} sent cannot be called back",
    Operation.PAID: "what {tool} paid can only be paid back by those who received it",
    Operation.APPROVED: "what {tool} approved may have been acted on",
    Operation.TRIGGERED: "what {tool} triggered runs outside these records",
}


def put_back(net: Net, changes: Mapping[str, Sequence[Any]], original: ObjectRef | None) -> str:
    """Say what restoring, removing or recreating an object will do."""
    tool = net.effects[-1].tool
    match net.course:
        case Course.CAME:
            words = f"delete {net.object}, {_origin(net, original)}"
        case Course.WENT:
            words = f"create {net.object} again as it was before {tool} deleted it"
        case Course.SWAPPED:
            words = (
                f"put back the {net.object} that was deleted, in place of the one {tool} left under its id"
            )
        case _:
            words = _set_back(str(net.object), changes)
    return words + _warnings(net)


def inverse(net: Net, tool: str, args: Mapping[str, Any], original: ObjectRef | None) -> str:
    """Say which inverse tool will be called, and how."""
    why = _origin(net, original) if net.course is Course.CAME else f"to undo {net.effects[-1].tool}"
    return f"call {call(tool, args)} for {net.object}, {why}{_warnings(net)}"


def unseen(net: Net) -> str:
    """Say that nothing is changed unless a person looks, and how to have it put back: what the calls left there is not known."""
    earlier = "gone" if net.back.state is ImageState.ABSENT else "as it was before"
    unseen = [effect for effect in net.effects if effect.after.state is ImageState.UNKNOWN] or net.effects
    doubtful = listed(dict.fromkeys(effect.call for effect in unseen if effect.source == ATTEMPT))
    words = (
        f"check that {net.object} is {earlier}; what {listed(dict.fromkeys(e.tool for e in unseen))} left there "
        "was not seen, so anything else is reported and left alone"
    )
    return f"{words}; to have it put back, first settle {doubtful}" if doubtful else words


def nothing_to_do(net: Net) -> str:
    """Say why an object needs nothing."""
    tools = listed(dict.fromkeys(effect.tool for effect in net.effects))
    if net.ended_by:
        return f"nothing to do for {net.object}: after {tools} it was removed or replaced by {net.ended_by}"
    if net.course is Course.PASSED:
        return f"nothing to do for {net.object}: made and removed again by {tools}"
    return f"nothing to do for {net.object}: {tools} left it as it was{_warnings(net)}"


def by_hand(net: Net, why: str) -> str:
    """Say that people must act, and why the software cannot."""
    return f"{net.object} cannot be put back from here: {why}{_warnings(net)}"


def stays(copies: int) -> str:
    """Say why what is no copy is proposed to stay where work was done twice."""
    if not copies:
        return "it is no copy; only copies are taken back"
    return f"it is the original of {count_of(copies, 'copy')}; only copies are taken back"


def out_of_reach(effect: Effect, operation: Operation) -> str:
    """Say what has left the system for good."""
    return _OUT_OF_REACH[operation].format(tool=effect.tool)


def not_callable(tool: str, args: Mapping[str, Any]) -> str:
    """Name the inverse call that a person has to make."""
    return f"its inverse {call(tool, args)} cannot be called from here; call it by hand"


def several_inverses(calls: Sequence[str]) -> str:
    """Name the inverse calls that people have to make where nothing can put the object back as a whole."""
    return f"its inverses have to be called one by one, the last call first: {listed(list(reversed(calls)))}"


def not_offered(remedy: Remedy, tool: str, args: Mapping[str, Any]) -> str:
    """Name the call that a person has to make where the manifest's remedy cannot be carried out."""
    return f"to {remedy} it, {call(tool, args)} cannot be called from here; call it by hand"


def for_good(why: str) -> str:
    """Say that what will be done cannot be taken back, and why; nothing where it can."""
    return f"; that cannot be taken back from here, since {why}" if why else ""


def taken_back(words: str, why: str) -> str:
    """Say what taking a recovery back does with what it did in these words; with a reason, that people must do it."""
    return f"cannot be taken back from here, since {why}: {words}" if why else f"take back: {words}"


def no_mark(original: ObjectRef) -> str:
    """Say that the owner wants a copy marked and that nothing says how."""
    return f"the rule for duplicates is to mark it as a copy of {original}, and recovery.remedies does not say how"


def setting(
    ref: ObjectRef, remedy: Remedy, changes: Mapping[str, Sequence[Any]], original: ObjectRef | None = None
) -> str:
    """Say which fields will be set to what, other than back."""
    of_what = f"{ref}, a duplicate of {original}" if original else str(ref)
    each = [
        f"{field or 'content'} from {value_in_words(left)} to {value_in_words(there)}"
        for field, (left, there) in changes.items()
    ]
    return f"{remedy} {of_what}: set {listed(each, most=_FIELDS_SHOWN)}"


def merging(ref: ObjectRef, changes: Mapping[str, Sequence[Any]], copies: Sequence[ObjectRef]) -> str:
    """Say what an original gets from its copies before they go."""
    each = [f"{field} to {value_in_words(there)}" for field, (_, there) in changes.items()]
    return f"set of {ref} what only {listed(map(str, copies))} has: {listed(each, most=_FIELDS_SHOWN)}"


def so_already(net: Net, remedy: Remedy) -> str:
    """Say that an object is as the remedy would make it."""
    return f"nothing to do for {net.object}: the fields that {remedy} sets have these values already{_warnings(net)}"


def tool_call(
    net: Net, remedy: Remedy, tool: str, args: Mapping[str, Any], original: ObjectRef | None
) -> str:
    """Say which tool will be called to put an object right, and how."""
    why = f"to {remedy} {net.object}" + (f", a duplicate of {original}" if original else "")
    return f"call {call(tool, args)} {why}{_warnings(net)}"


def in_columns(found: Sequence[Column]) -> str:
    """Write a conflict on one line: each field before the agent, as the agent left it, and now."""
    return "; ".join(
        f"{each.field or 'content'}: before {value_in_words(each.before)}, agent's {value_in_words(each.left)}, "
        f"now {value_in_words(each.now)}"
        for each in found
    )


def value_in_words(value: Any) -> str:
    """Write one value on one line, bounded; text without blanks stands bare, a value in notation without its tag."""
    if value == NO_FIELD:
        return "nothing"
    if value == NOT_SEEN:
        return "not seen"
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith("$"):
        return value_in_words(next(iter(value.values())))
    bare = isinstance(value, str) and value and not any(letter.isspace() for letter in value)
    text = value if bare else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE_CHARS else f"{text[: _VALUE_CHARS - 1]}…"


def _set_back(name: str, changes: Mapping[str, Sequence[Any]]) -> str:
    if len(changes) == 1:
        [(field, (left, back))] = changes.items()
        if back == NO_FIELD:
            return f"remove {field or 'the content'} of {name}, {value_in_words(left)} now, which was not there before"
        if left == NO_FIELD:
            return f"put {field} of {name} back to {value_in_words(back)}"
        of = f"{field} of {name}" if field else name
        return f"set {of} back from {value_in_words(left)} to {value_in_words(back)}"
    each = [
        f"{field} from {value_in_words(left)} to {value_in_words(back)}"
        for field, (left, back) in changes.items()
    ]
    return f"set {len(changes)} fields of {name} back: {listed(each, most=_FIELDS_SHOWN)}"


def _origin(net: Net, original: ObjectRef | None) -> str:
    return f"a duplicate of {original}" if original else f"made by {maker(net).tool}"


def call(tool: str, args: Mapping[str, Any]) -> str:
    """Write a call of a tool on one line."""
    return f"{tool}({', '.join(f'{name}={value_in_words(value)}' for name, value in args.items())})"


def _warnings(net: Net) -> str:
    words = ""
    if net.later:
        others = listed(dict.fromkeys(f"{effect.tool} in {effect.call}" for effect in net.later))
        words += f"; a conflict is likely, since {others} changed it afterwards"
    if net.kept:
        words += f"; {listed(net.kept)} was written by somebody else in between and stays"
    return words
