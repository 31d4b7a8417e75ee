"""Notices values that cannot be right, in what a call has left there, and values that people put back soon after.

What the manifest calls impossible for a field is alarming at once, and so is a number that became text. A value that is gone where there had always
been one is logged, and alarming for a tool of high risk or when it happens to several objects.

A person who puts back what the agent wrote says that it was wrong: a system's feed tells of it. One is logged, because people change their minds;
several objects of one tool, or one of a tool of high risk, are alarming. What a recovery puts back is no verdict of that kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

from msgspec import to_builtins
from msgspec.structs import replace

from stopwork.detect.detector import Detector, Finding, once
from stopwork.detect.rulebook import Rulebook, at_least, hold_of, insists
from stopwork.detect.table import Table
from stopwork.detect.writeback import (
    Habit,
    Oddity,
    against_habit,
    against_the_rules,
    changed,
    learned,
    short,
)
from stopwork.kernel.phrases import count_of
from stopwork.ledger.events import (
    CallFinished,
    ChangesFed,
    EffectsObserved,
    Entry,
    ItemAttempted,
    ItemFinished,
)
from stopwork.ledger.records import Effect, FeedChange, Record
from stopwork.ledger.words import IncidentType, Operation, Risk, Severity, SignalKind
from stopwork.manifest.model import Manifest

MANY = 3
"""So many different objects of one tool that people put back are alarming."""

_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
"""More digits than a number keeps are a name."""

MOST_PLACES = 512
MOST_OBJECTS = 4_096
MOST_OF_AN_OBJECT = 20
MOST_TOOLS = 1_024
MOST_LISTED = 50
MOST_SEEN = 1_024
MOST_SYSTEMS = 100


class Write(Record):
    """What a call left in an object, by field: before and after. An empty ``fields`` is an object that it made."""

    effect: str
    call: str
    run: str
    workflow: str
    tool: str
    at: datetime
    fields: dict[str, tuple[Any, Any]] = {}


class Revert(Record):
    """A person put back, or removed, what a call had left."""

    object: str
    call: str
    run: str
    change: str
    by: str
    at: datetime
    fields: tuple[str, ...]


class State(Record):
    """``habits`` are of the fields by type of object; ``writes`` of each object, ``reverts`` of each tool. ``seen`` are effects that were told,
    ``fed`` the systems that tell of changes."""

    habits: Table[dict[str, Habit]] = Table()
    writes: Table[tuple[Write, ...]] = Table()
    reverts: Table[tuple[Revert, ...]] = Table()
    seen: Table[bool] = Table()
    fed: tuple[str, ...] = ()
    told: Table[datetime] = Table()


class BadWriteback(Detector[State]):
    """Fires when a field is left as it cannot be, and when people put back what the agent wrote."""

    name: ClassVar[str] = "bad_writeback"
    watches = (CallFinished, EffectsObserved, ChangesFed, ItemAttempted, ItemFinished)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        match entry.event:
            case CallFinished() | EffectsObserved() as event:
                return _written(state, event.effects, entry.at, rules) if event.effects else (state, ())
            case ChangesFed() as event:
                if event.system not in state.fed:
                    state = replace(state, fed=(*state.fed, event.system)[-MOST_SYSTEMS:])
                return _put_back(state, event.changes, rules)
            case ItemAttempted() | ItemFinished() as event if state.writes:
                return replace(state, writes=state.writes.without(str(event.object))), ()
            case _:
                return state, ()


def _written(
    state: State, effects: Iterable[Effect], at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    odd: list[Oddity] = []
    last: Effect | None = None
    manifest: Manifest | None = None
    for effect in effects:
        compiled = rules(effect.workflow)
        if compiled is None or effect.id in state.seen:
            continue
        fields, made = changed(effect), effect.operation is Operation.CREATED
        if not (fields or made):
            continue
        found = _odd(effect, fields, state, compiled.manifest)
        state = _learned(state, effect, found)
        if found:
            last, manifest = effect, compiled.manifest
            odd += found
            state = replace(state, seen=state.seen.put(effect.id, True, at_most=MOST_SEEN))
        # Where no feed tells of a system, nobody will be heard to put anything back.
        if effect.object.system in compiled.manifest.identities or effect.object.system in state.fed:
            state = _remembered(state, effect, {} if made else fields, at)
    if not odd or last is None or manifest is None or not manifest.alerts.bad_writeback.enabled:
        return state, ()
    return _once(state, _impossible(odd, last, at, manifest))


def _odd(
    effect: Effect, fields: Mapping[str, tuple[Any, Any]], state: State, manifest: Manifest
) -> list[Oddity]:
    place, tool = _place(effect), manifest.tools.get(effect.tool)
    habits = state.habits.get(place, {})
    risky = tool is not None and tool.risk is Risk.HIGH
    odd = [*against_habit(effect, fields, habits, risky=risky)]
    if declared := manifest.objects.get(place):
        odd = [*against_the_rules(effect, fields, declared.fields), *odd]
    return odd


def _learned(state: State, effect: Effect, odd: Iterable[Oddity]) -> State:
    place = _place(effect)
    known = state.habits.get(place, {})
    habits = learned(effect, known, {each.field: each for each in odd})
    if habits is known:
        return state
    return replace(state, habits=state.habits.put(place, habits, at_most=MOST_PLACES))


def _remembered(state: State, effect: Effect, fields: Mapping[str, tuple[Any, Any]], at: datetime) -> State:
    earlier = state.writes.get(effect.object_key, ())
    if any(each.effect == effect.id for each in earlier):
        return state
    write = Write(
        effect=effect.id,
        call=effect.call,
        run=effect.run,
        workflow=effect.workflow,
        tool=effect.tool,
        at=at,
        fields={name: (short(old), short(new)) for name, (old, new) in fields.items()},
    )
    writes = (*earlier, write)[-MOST_OF_AN_OBJECT:]
    return replace(state, writes=state.writes.put(effect.object_key, writes, at_most=MOST_OBJECTS))


def _place(effect: Effect) -> str:
    return f"{effect.object.system}/{effect.object.type}"


def _impossible(odd: list[Oddity], effect: Effect, at: datetime, manifest: Manifest) -> Finding:
    alert = manifest.alerts.bad_writeback
    first = next((each for each in odd if each.grave), odd[0])
    more = f", and {count_of(len(odd) - 1, 'more value')}" if len(odd) > 1 else ""
    tool = manifest.tools.get(effect.tool)
    return Finding(
        type=IncidentType.BAD_WRITEBACK,
        kind=SignalKind.ALERT,
        detector=BadWriteback.name,
        key=effect.tool,
        workflow=effect.workflow,
        summary=f"{effect.tool} left {first.field} of {first.object} as it cannot be: it {first.why}{more}",
        occurred_at=at,
        facts={
            "rule": first.rule,
            "how": "impossible_value",
            "threshold": first.threshold,
            "value": first.after,
            "tool": effect.tool,
            "permission": tool.permission if tool else None,
            "fields": to_builtins(odd[:MOST_LISTED]),
            "objects": list(dict.fromkeys(each.object for each in odd))[:MOST_LISTED],
        },
        run=effect.run,
        call=effect.call,
        hold=hold_of(alert) if first.grave else None,
        severity=at_least(alert, Severity.SEV2 if first.grave else Severity.SEV3),
        alarming=first.grave or insists(alert),
    )


# --- what people put back ---------------------------------------------------------------------------


def _put_back(
    state: State, changes: Iterable[FeedChange], rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    findings: list[Finding] = []
    for change in changes:
        for write in reversed(state.writes.get(change.object_key, ())):
            compiled = rules(write.workflow)
            if compiled is None or write.workflow in change.agents:
                continue
            alert = compiled.manifest.alerts.bad_writeback
            fields = tuple(_undone(change, write))
            within = write.at <= change.at <= write.at + alert.reverted_within
            if not within or not fields or not alert.enabled:
                continue
            revert = Revert(
                object=change.object_key,
                call=write.call,
                run=write.run,
                change=change.id,
                by=change.by,
                at=change.at,
                fields=fields,
            )
            about = f"{write.workflow}\x1f{write.tool}"
            recent = [
                each
                for each in state.reverts.get(about, ())
                if each.change != change.id and each.at + alert.reverted_within >= change.at
            ]
            reverts = (*recent, revert)[-MOST_LISTED:]
            state = replace(state, reverts=state.reverts.put(about, reverts, at_most=MOST_TOOLS))
            state, found = _once(state, _reverted(reverts, write, compiled.manifest))
            findings += found
            break
    return state, tuple(findings)


def _undone(change: FeedChange, write: Write) -> Iterator[str]:
    """Answer the fields that are again as they were before the write; an object that it made is undone as a whole."""
    if not write.fields:
        if change.operation is Operation.DELETED:
            yield "the object"
        return
    for name, (old, new) in change.fields.items():
        if name in write.fields and (_as_logged(new), _as_logged(old)) == tuple(
            map(_as_logged, write.fields[name])
        ):
            yield name


def _as_logged(value: Any) -> str | float:
    """Answer a value as it is compared: a system's log may write numbers as text, to more or fewer decimals, and nothing as an empty text."""
    if value is None:
        return ""
    text = str(short(value)).strip()
    return float(text) if _NUMBER.fullmatch(text) else text.lower() if isinstance(value, bool) else text


def _reverted(reverts: tuple[Revert, ...], write: Write, manifest: Manifest) -> Finding:
    alert, tool = manifest.alerts.bad_writeback, manifest.tools.get(write.tool)
    last = reverts[-1]
    objects = list(dict.fromkeys(each.object for each in reverts))
    most = 1 if tool is not None and tool.risk is Risk.HIGH else MANY
    grave = len(objects) >= most
    days = alert.reverted_within
    others = f"; {count_of(len(objects), 'object')} of {write.tool} within {days}" if len(objects) > 1 else ""
    return Finding(
        type=IncidentType.BAD_WRITEBACK,
        kind=SignalKind.DOWNSTREAM_ANOMALY,
        detector=BadWriteback.name,
        key=write.tool,
        workflow=write.workflow,
        summary=f"{last.by} put back {', '.join(last.fields[:3])} of {last.object}, which {write.tool} had written{others}",
        occurred_at=last.at,
        facts={
            "rule": "alerts.bad_writeback.reverted_within",
            "how": "put_back_by_people",
            "threshold": most,
            "value": len(objects),
            "unit": "objects put back",
            "system": last.object.partition("/")[0],
            "tool": write.tool,
            "permission": tool.permission if tool else None,
            "objects": objects,
            "calls": list(dict.fromkeys(each.call for each in reverts)),
            "runs": list(dict.fromkeys(each.run for each in reverts)),
            "changes": [each.change for each in reverts],
            "people": sorted({each.by for each in reverts}),
            "fields": sorted({name for each in reverts for name in each.fields}),
        },
        run=last.run,
        call=last.call,
        hold=hold_of(alert) if grave else None,
        severity=at_least(alert, Severity.SEV2 if grave else Severity.SEV3),
        alarming=grave or insists(alert),
    )


def _once(state: State, finding: Finding) -> tuple[State, tuple[Finding, ...]]:
    told, new = once(state.told, [finding])
    return (replace(state, told=told) if new else state), new
