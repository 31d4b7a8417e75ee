"""Notices calls whose arguments are unlike all that a tool was given before, once enough of its calls are known.

For most tools that is logged, once, and known from then on. It is alarming for tools that nobody takes back, those of high risk and payments, where so much
is known that it is no chance; what happens again in several runs is known then. A call that people approved is not unusual, however
new it is: it teaches. While they are still to be asked it is logged, so that they can see it.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from msgspec import to_builtins
from msgspec.structs import replace

from stopwork.detect.arguments import Habit, Unlike, has_news, learned, unlike
from stopwork.detect.detector import Detector, Finding, facts_of, once
from stopwork.detect.rulebook import Rulebook, at_least, hold_of, insists
from stopwork.detect.table import Table
from stopwork.ledger.events import CallDecided, Entry
from stopwork.ledger.records import Record
from stopwork.ledger.words import EffectKind, IncidentType, Risk, Severity, SignalKind, Verdict
from stopwork.manifest.alerts import ArgumentsAlert
from stopwork.manifest.model import Tool

LEARNED_WHOLLY = 256
ONE_IN = 16
"""After so many calls only one in sixteen is learned from, where nothing about it is new: what is usual is known by then."""

RUNS_TO_KNOW = 3
"""What was told in so many runs is known."""

MOST_TOOLS = 1_024
MOST_UNLIKE = 20


class State(Record):
    """``habits`` are of the tools of each workflow; ``told`` says when one was reported last."""

    habits: Table[Habit] = Table()
    told: Table[datetime] = Table()


class UnusualArguments(Detector[State]):
    """Fires when a tool is called with arguments unlike those of all its calls before."""

    name: ClassVar[str] = "unusual_arguments"
    watches = (CallDecided,)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        event = entry.event
        if not isinstance(event, CallDecided) or event.renewed:
            return state, ()
        if event.verdict is not Verdict.ALLOW and event.verdict is not Verdict.WAIT:
            return state, ()
        compiled = rules(event.workflow)
        tool = compiled.manifest.tools.get(event.tool) if compiled else None
        if compiled is None or tool is None or not compiled.manifest.alerts.unusual_arguments.enabled:
            return state, ()
        alert = compiled.manifest.alerts.unusual_arguments
        about = f"{event.workflow}\x1f{event.tool}"
        habit = state.habits.get(about) or Habit()
        if event.verdict is Verdict.ALLOW and event.approval is not None:
            return _keep(state, about, learned(habit, event.args, event.run)), ()
        found = [
            *unlike(habit, event.args, after=alert.after, declared=tool.args_schema.get("properties", ()))
        ]
        if found:
            return _judged(state, about, habit, found[:MOST_UNLIKE], event, entry.at, tool, alert)
        if event.verdict is Verdict.ALLOW and (
            habit.calls < LEARNED_WHOLLY or entry.seq % ONE_IN == 0 or has_news(habit, event.args)
        ):
            return _keep(state, about, learned(habit, event.args, event.run)), ()
        return state, ()


def _keep(state: State, about: str, habit: Habit) -> State:
    return replace(state, habits=state.habits.put(about, habit, at_most=MOST_TOOLS))


def _judged(
    state: State,
    about: str,
    habit: Habit,
    found: list[Unlike],
    event: CallDecided,
    at: datetime,
    tool: Tool,
    alert: ArgumentsAlert,
) -> tuple[State, tuple[Finding, ...]]:
    waits = event.verdict is Verdict.WAIT
    grave = not waits and is_irrevocable(tool) and any(each.sure for each in found)
    if not waits:
        told = habit.told | {each.name: _in_run(habit, each, event.run) for each in found}
        known = not grave or all(len(told[each.name]) >= RUNS_TO_KNOW for each in found)
        habit = (
            replace(learned(habit, event.args, event.run), told={})
            if known
            else replace(habit, told=dict(list(told.items())[-MOST_UNLIKE:]))
        )
        state = _keep(state, about, habit)
    told_at, new = once(state.told, [_finding(found, habit, event, at, alert, grave=grave)])
    return (replace(state, told=told_at) if new else state), new


def is_irrevocable(tool: Tool) -> bool:
    """Answer whether a wrong call of this tool is not simply taken back."""
    if not tool.writes:
        return False
    said = tool.undo is not None and tool.undo.none is not None
    return tool.risk is Risk.HIGH or tool.effect is EffectKind.PAY or said


def _in_run(habit: Habit, each: Unlike, run: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*habit.told.get(each.name, ()), run)))[-RUNS_TO_KNOW:]


def _finding(
    found: list[Unlike], habit: Habit, event: CallDecided, at: datetime, alert: ArgumentsAlert, *, grave: bool
) -> Finding:
    first = next((each for each in found if each.sure), found[0])
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    asked = "; people are asked about it" if event.verdict is Verdict.WAIT else ""
    return Finding(
        type=IncidentType.TOOL_MISUSE,
        kind=SignalKind.ALERT,
        detector=UnusualArguments.name,
        key=event.tool,
        workflow=event.workflow,
        summary=f"{event.tool} was called as it never was in {habit.calls} calls: {first.argument} {first.why}{more}{asked}",
        occurred_at=at,
        facts={
            "rule": f"{UnusualArguments.name}: {first.name}",
            "threshold": first.expected,
            "value": first.value,
            "unit": first.argument,
            **facts_of(event),
            "verdict": event.verdict.value,
            "calls_known": habit.calls,
            "arguments": to_builtins(found),
        },
        run=event.run,
        call=event.call,
        hold=hold_of(alert) if grave else None,
        severity=at_least(alert, Severity.SEV2 if grave else Severity.SEV3),
        alarming=grave or insists(alert),
    )
