"""Notices the same action being done twice: within a run, across runs, by a retry or by a replay.

A permit counts at once, not at its outcome: what is found at the second permit can be held before the third.
A call that timed out counts too, because it may have happened. One that failed and changed nothing does not,
nor does one that a recovery has undone.

Where the manifest declares a key that fits the call, the key decides. Otherwise the tool and all its
arguments are compared, and only within one occasion: a daily job that says the same thing every day is no
duplicate, its retry is. What adds something may say it in other words the second time, as a model that tries again does: texts that
differ in little but their form, with everything else equal, are the same action as well. To repeat an update should leave the world as it was. Whether it did is seen when the
call has ended: one that found what an equal call had left, and changed it again, was the same action a
second time (a charge, a counter, a switch). That, and what was said in other words, may have been meant, so nothing is held for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import ClassVar

from msgspec.structs import replace

from stopwork.detect.alike import alike, taken_apart
from stopwork.detect.detector import QUIET, Detector, Finding, facts_of
from stopwork.detect.rulebook import Rulebook, hold_of
from stopwork.detect.table import Table
from stopwork.kernel.canonical import digest_of
from stopwork.kernel.phrases import count_of, lasting
from stopwork.ledger.events import CallDecided, CallFinished, Entry, ItemFinished, PlanProposed, RunStarted
from stopwork.ledger.records import Effect, Item, Record, Run
from stopwork.ledger.words import (
    EffectKind,
    IncidentType,
    ItemState,
    Mode,
    Operation,
    Outcome,
    RunStatus,
    SignalKind,
    Verdict,
)
from stopwork.manifest.model import DuplicateAlert

ADDING = frozenset(
    {EffectKind.CREATE, EffectKind.SEND, EffectKind.PAY, EffectKind.APPROVE, EffectKind.TRIGGER}
)

MOST_KEYS = 4_096
MOST_RUNS = 1_024
MOST_CALLS = 4_096
MOST_SIGHTINGS = 50
MOST_VALUES = 32
MOST_PLACE_CHARS = 500
MOST_ALIKE = 8
"""So many wordings of one thing are remembered; the oldest is forgotten first."""
SHORT_CHARS = 40


class Sighting(Record):
    """One permitted call; ``left`` are digests of the values that it left, where what it changed decides."""

    call: str
    run: str
    at: datetime
    left: dict[str, str] = {}


class Asked(Record):
    """A permitted call as far as it is told of: what it does, and the ``key`` of the action that it is one of.

    ``compared`` says by what calls are known to be the same action: a declared key, their arguments, or what they change as well.
    """

    call: str
    run: str
    workflow: str
    at: datetime
    tool: str
    effect: EffectKind
    permission: str | None
    trigger: str
    key: str
    action: str
    compared: str
    alike: float = 1.0


class Wording(Record):
    """The texts of a call that adds something, and the key of the action that it is one of."""

    key: str
    texts: tuple[str, ...]


class Action(Record):
    """The permitted calls under one key, oldest first; ``dropped`` copies are counted but not listed.

    ``alike`` is how alike the two of them are that differ most.
    """

    sightings: tuple[Sighting, ...] = ()
    dropped: int = 0
    reported_at: datetime | None = None
    alike: float = 1.0


class State(Record):
    """``undone`` calls left no change; ``planned`` says which calls a recovery item undoes; ``asked`` are updates that have not ended.

    ``worded`` are the calls of one occasion in which all is equal but their texts.
    """

    actions: Table[Action] = Table()
    worded: Table[tuple[Wording, ...]] = Table()
    asked: Table[Asked] = Table()
    undone: Table[bool] = Table()
    planned: Table[tuple[str, ...]] = Table()
    runs: Table[Run] = Table()


class DuplicateAction(Detector[State]):
    """Fires at the second permit for the same action within the window, or when an update is seen to have changed the same again."""

    name: ClassVar[str] = "duplicate_action"
    watches = (RunStarted, CallDecided, CallFinished, PlanProposed, ItemFinished)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        match entry.event:
            case CallDecided() as event:
                if event.verdict is not Verdict.ALLOW or event.effect is EffectKind.READ:
                    return state, ()
                return _permitted(state, event, entry, rules)
            case CallFinished() as event:
                if event.outcome is Outcome.FAILED and not event.effects:
                    return _without_call(state, event.call), ()
                return _changed(state, event, rules) if event.call in state.asked else (state, ())
            case RunStarted() as event:
                return _remember_run(state, _run_of(event, event.trigger_id, event.attempt, entry)), ()
            case PlanProposed() as event:
                return _plan(state, event.items), ()
            case ItemFinished(state=ItemState.VERIFIED) as event:
                return _put_back(state, event.item), ()
            case _:
                return state, ()


def _remember_run(state: State, run: Run) -> State:
    return replace(state, runs=state.runs.put(run.id, run, at_most=MOST_RUNS))


def _run_of(event: RunStarted | CallDecided, trigger_id: str, attempt: int, entry: Entry) -> Run:
    """Answer as much of a run's record as a key can be made of."""
    return Run(
        id=event.run,
        workflow=event.workflow,
        version=event.version,
        trigger=event.trigger,
        trigger_id=trigger_id,
        attempt=attempt,
        mode=Mode.ENFORCE,
        status=RunStatus.RUNNING,
        started_at=entry.at,
        by=entry.actor,
    )


def _permitted(
    state: State, event: CallDecided, entry: Entry, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    compiled = rules(event.workflow)
    if compiled is None or event.call in state.undone:
        return state, ()
    alert = compiled.manifest.alerts.duplicate_action
    if not alert.enabled:
        return state, ()
    # A run that began before anybody watched is its own occasion: nothing is known that joins it to another.
    run = state.runs.get(event.run) or _run_of(event, event.run, 1, entry)
    declared = (
        compiled.declared_alert_key(event.tool, event.args, run, event.source or "") if alert.key else None
    )
    action = (
        f"{event.tool}\x1f{event.args_digest}\x1f{run.trigger_id}"
        if declared is None
        else f"key\x1f{declared}"
    )
    adds = event.effect in ADDING
    asked = Asked(
        call=event.call,
        run=event.run,
        workflow=event.workflow,
        at=entry.at,
        tool=event.tool,
        effect=event.effect,
        permission=event.permission,
        trigger=event.trigger,
        key=f"{event.workflow}\x1f{action}",
        action=declared or event.args_digest,
        compared="declared key" if declared is not None else "arguments" if adds else "arguments and changes",
    )
    if declared is None and not adds:
        return replace(state, asked=state.asked.put(event.call, asked, at_most=MOST_CALLS)), ()
    if declared is None:
        state, asked = _by_wording(state, asked, event, run, alert)
    return _count(state, asked, {}, alert)


def _by_wording(
    state: State, asked: Asked, event: CallDecided, run: Run, alert: DuplicateAlert
) -> tuple[State, Asked]:
    """Count the call to an action that was asked for in other words; where there is none, remember how it is worded."""
    parts = taken_apart(event.args)
    if parts is None or asked.key in state.actions:
        return state, asked
    place = f"{event.workflow}\x1f{event.tool}\x1f{run.trigger_id}\x1f{parts.exact}"
    place = place if len(place) <= MOST_PLACE_CHARS else digest_of(place)
    known = state.worded.get(place, ())
    for each in known:
        if each.key in state.actions and (how := alike(parts.texts, each.texts, alert.alike)) is not None:
            return state, replace(asked, key=each.key, compared="similar arguments", alike=how)
    wordings = (*known, Wording(key=asked.key, texts=parts.texts))[-MOST_ALIKE:]
    return replace(state, worded=state.worded.put(place, wordings, at_most=MOST_KEYS)), asked


def _changed(state: State, event: CallFinished, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
    """Count an update once it is known what it changed; one that found something new begins anew."""
    asked = state.asked[event.call]
    state = replace(state, asked=state.asked.without(event.call))
    compiled, values = rules(asked.workflow), dict(islice(_values(event.effects), MOST_VALUES))
    if compiled is None or not values:
        return state, ()
    known = state.actions.get(asked.key)
    if known is not None and not _has_left(known, values):
        state = replace(state, actions=state.actions.without(asked.key))
    left = {name: after for name, (_, after) in values.items()}
    return _count(state, asked, left, compiled.manifest.alerts.duplicate_action)


def _has_left(action: Action, values: Mapping[str, tuple[str, str]]) -> bool:
    """Answer whether any of the values that were found is what one of these calls had left."""
    return any(
        each.left.get(name) == found for each in action.sightings for name, (found, _) in values.items()
    )


def _values(effects: Iterable[Effect]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the name of each value that was changed, and digests of what was found and of what was left.

    What was made is one such value for its type: to make another of it is to do the same again.
    """
    for effect in effects:
        before, after = effect.before.content, effect.after.content
        if effect.operation is Operation.CREATED:
            yield f"{effect.object.system}/{effect.object.type}", ("made", "made")
        elif isinstance(before, dict) and isinstance(after, dict):
            for name in before | after:
                one, other = before.get(name), after.get(name)
                if one != other:
                    yield f"{effect.object_key} {name}", (_mark(one), _mark(other))
        elif effect.operation is Operation.MODIFIED:
            yield effect.object_key, (_mark(before), _mark(after))


def _mark(value: object) -> str:
    """Answer what a value is known again by: itself where it is a short text, and its digest where it is not."""
    if isinstance(value, str) and len(value) <= SHORT_CHARS:
        return f"={value}"
    return repr(value) if value is None or isinstance(value, int) else digest_of(value)


def _count(
    state: State, asked: Asked, left: dict[str, str], alert: DuplicateAlert
) -> tuple[State, tuple[Finding, ...]]:
    known = state.actions.get(asked.key)
    sighting = Sighting(call=asked.call, run=asked.run, at=asked.at, left=left)
    if known is None:
        first = Action(sightings=(sighting,))
        return replace(state, actions=state.actions.put(asked.key, first, at_most=MOST_KEYS)), ()
    if any(each.call == asked.call for each in known.sightings):
        return state, ()
    action = _with_sighting(known, sighting, alert.window)
    if asked.alike < action.alike:
        action = replace(action, alike=asked.alike)
    latest = action.sightings[-1].at
    quiet = known.reported_at is not None and latest - known.reported_at < QUIET
    fires = len(action.sightings) > 1 and not quiet
    # Within the quiet time copies are only counted; the next report lists them all.
    known = replace(action, reported_at=latest) if fires else action
    state = replace(state, actions=state.actions.put(asked.key, known, at_most=MOST_KEYS))
    return state, (_finding(asked, alert, action),) if fires else ()


def _with_sighting(action: Action, sighting: Sighting, window: timedelta) -> Action:
    """Add a sighting and forget those outside the window; the original stays however many copies follow."""
    near = sorted(
        (s for s in (*action.sightings, sighting) if abs(s.at - sighting.at) <= window),
        key=lambda s: (s.at, s.call),
    )
    too_many = max(0, len(near) - MOST_SIGHTINGS)
    return replace(
        action,
        sightings=(near[0], *near[1 + too_many :]),
        dropped=action.dropped + too_many if len(near) > 1 else 0,
    )


def _without_call(state: State, call: str) -> State:
    """Forget a call that left no change: doing it once more is no duplicate."""
    undone = state.undone.put(call, True, at_most=MOST_CALLS)
    # Searched newest first: this is rare, and an index would have to be kept up at every call.
    for key in reversed(state.actions):
        action = state.actions[key]
        left = tuple(sighting for sighting in action.sightings if sighting.call != call)
        if len(left) < len(action.sightings):
            rest = state.actions.without(key)
            actions = rest.put(key, replace(action, sightings=left), at_most=MOST_KEYS) if left else rest
            return replace(state, undone=undone, actions=actions)
    return replace(state, undone=undone)


def _plan(state: State, items: Iterable[Item]) -> State:
    planned = state.planned
    for item in items:
        planned = planned.put(item.id, item.calls, at_most=MOST_CALLS)
    return replace(state, planned=planned)


def _put_back(state: State, item: str) -> State:
    for call in state.planned.get(item, ()):
        state = _without_call(state, call)
    return replace(state, planned=state.planned.without(item))


def _finding(asked: Asked, alert: DuplicateAlert, action: Action) -> Finding:
    original, *copies = action.sightings
    times = len(action.sightings) + action.dropped
    runs = list(dict.fromkeys(sighting.run for sighting in action.sightings))
    where = "in one run" if len(runs) == 1 else f"in {count_of(len(runs), 'run')}"
    by_change, reworded = bool(original.left), action.alike < 1
    said = (
        f"{asked.tool} was called {times} times with the same arguments {where}, and each changed the same again"
        if by_change
        else f"{asked.tool} was permitted {times} times {where} for what is the same action in other words"
        if reworded
        else f"{asked.tool} was permitted {times} times for the same action {where}"
    )
    return Finding(
        type=IncidentType.DUPLICATE_WORK,
        kind=SignalKind.ALERT,
        detector=DuplicateAction.name,
        key=asked.tool,
        workflow=asked.workflow,
        summary=f"{said}, {lasting((copies[-1].at - original.at).total_seconds())} from first to last",
        occurred_at=copies[-1].at,
        facts={
            "rule": DuplicateAction.name,
            "threshold": 1,
            "value": times,
            "window_s": alert.window.total_seconds(),
            **facts_of(asked),
            "action": asked.action,
            "compared": asked.compared,
            "alike": round(action.alike, 2),
            "original": original.call,
            "copies": [sighting.call for sighting in copies],
            "runs": runs,
        },
        run=asked.run,
        call=asked.call,
        # It may have been meant: nothing is held for it.
        hold=None if by_change or reworded else hold_of(alert),
        severity=alert.severity,
    )
