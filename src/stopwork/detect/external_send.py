"""Notices messages that go to somebody they should not go to, and more of them than ever.

Whom a tool may write to stands in the manifest (``only_to``). Where it says nothing, what is usual decides, once enough has been sent: the
first message that leaves the company at all, or the first to a company that nobody has written to where new ones hardly ever come up. How
often they do is taken from how many were written to just once (Good and Turing): a workflow that writes to new customers every day is never
unusual in that. The most receivers of a run and of a day are compared with those before.

What a person has approved, receivers and all, is not unusual, whatever else it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from msgspec.structs import replace

from stopwork.detect.detector import Detector, Finding, facts_of, once
from stopwork.detect.outside import domain_of, leaves, matches, receivers_of, shown
from stopwork.detect.rulebook import Rulebook, at_least, hold_of, weighs
from stopwork.detect.table import Table
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.events import CallDecided, Entry, RunFinished
from stopwork.ledger.records import Record
from stopwork.ledger.words import EffectKind, IncidentType, Severity, SignalKind, Verdict
from stopwork.manifest.alerts import SendAlert
from stopwork.manifest.model import Manifest

MOST_TOOLS = 1_024
MOST_RUNS = 1_024
MOST_CALLS = 4_096
MOST_COMPANIES = 1_000
MOST_NAMED = 20
HISTORY = 40
LEAST_RUNS, LEAST_DAYS = 5, 7
#: So many receivers in a run, or in a day, are no mass.
NOTICEABLE_RUN, NOTICEABLE_DAY = 25, 100
#: Where fewer than this share of messages go to a new company, a new one is unusual.
RARELY_NEW = 0.01
#: A list that has not grown in so many times the messages that are learned from does not grow.
CERTAIN = 3


class Habit(Record):
    """What is usual for one tool. ``companies`` counts messages by the company outside they went to; runs and days are told by their receivers."""

    messages: int = 0
    companies: dict[str, int] = {}
    runs: tuple[int, ...] = ()
    days: tuple[int, ...] = ()
    day: str = ""
    today: int = 0
    told_today: bool = False


class Sent(Record):
    """What one run has sent by one tool; ``told`` once that it is too much."""

    workflow: str
    tool: str
    receivers: int = 0
    told: bool = False


class State(Record):
    """``calls`` are those counted already; ``of_run`` names what each run has sent."""

    habits: Table[Habit] = Table()
    sent: Table[Sent] = Table()
    of_run: Table[tuple[str, ...]] = Table()
    calls: Table[bool] = Table()
    told: Table[datetime] = Table()


class Sending(Record):
    """One permitted message, with the receivers that are outside."""

    event: CallDecided
    at: datetime
    receivers: tuple[str, ...]
    outside: tuple[str, ...]


class Period(StrEnum):
    """For how long something is told only once."""

    RUN = "run"
    DAY = "day"


class Unusual(Record):
    """What is wrong with a message. ``sure`` where a limit is broken that somebody wrote down."""

    rule: str
    summary: str
    threshold: Any
    value: Any
    about: str
    once: Period | None = None
    sure: bool = False
    alarming: bool = True


class ExternalSend(Detector[State]):
    """Fires at the permit, so that what it holds is the next message and not the one after."""

    name: ClassVar[str] = "external_send"
    watches = (CallDecided, RunFinished)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        match entry.event:
            case CallDecided() as event:
                if event.verdict is not Verdict.ALLOW or event.effect is EffectKind.READ:
                    return state, ()
                return _permitted(state, event, entry.at, rules)
            case RunFinished() as event if event.run in state.of_run:
                return _learn_run(state, event.run), ()
            case _:
                return state, ()


def _permitted(
    state: State, event: CallDecided, at: datetime, rules: Rulebook
) -> tuple[State, tuple[Finding, ...]]:
    compiled = rules(event.workflow)
    tool = compiled.manifest.tools.get(event.tool) if compiled else None
    if compiled is None or tool is None:
        return state, ()
    if event.effect is not EffectKind.SEND and not (tool.recipients or tool.destination or tool.only_to):
        return state, ()
    manifest = compiled.manifest
    if not manifest.alerts.external_send.enabled or event.call in state.calls:
        return state, ()
    receivers = receivers_of(compiled, event)
    sending = Sending(event=event, at=at, receivers=receivers, outside=leaves(compiled, event, receivers))
    habit = _today(state.habits.get(_name(event), Habit()), at)
    sent_key = f"{event.run}\x1f{event.tool}"
    sent = state.sent.get(sent_key, Sent(workflow=event.workflow, tool=event.tool))
    sent = replace(sent, receivers=sent.receivers + len(sending.outside))
    habit = replace(habit, today=habit.today + len(sending.outside))
    unusual = list(_what_is_unusual(sending, habit, sent, manifest))
    told_of = {each.once for each in unusual}
    sent = replace(sent, told=sent.told or Period.RUN in told_of)
    habit = replace(habit, told_today=habit.told_today or Period.DAY in told_of)
    tools = state.of_run.get(event.run, ())
    state = replace(
        state,
        habits=state.habits.put(_name(event), _learned(habit, sending), at_most=MOST_TOOLS),
        sent=state.sent.put(sent_key, sent, at_most=MOST_RUNS),
        of_run=state.of_run
        if sent_key in tools
        else state.of_run.put(event.run, (*tools, sent_key), at_most=MOST_RUNS),
        calls=state.calls.put(event.call, True, at_most=MOST_CALLS),
    )
    return _tell(state, sending, unusual, manifest.alerts.external_send)


def _name(event: CallDecided) -> str:
    return f"{event.workflow}\x1f{event.tool}"


def _what_is_unusual(sending: Sending, habit: Habit, sent: Sent, manifest: Manifest) -> Iterator[Unusual]:
    tool, alert = sending.event.tool, manifest.alerts.external_send
    allowed = manifest.tools[tool].only_to
    if allowed:
        yield from _not_allowed(sending, allowed)
    elif sending.event.approval is None and habit.messages >= alert.after:
        yield from _first_time(sending, habit, alert.after)
    if not sent.told:
        yield from _mass_of_a_run(sent, habit, alert)
    if not habit.told_today:
        limit = _limit(habit.days, LEAST_DAYS, NOTICEABLE_DAY, alert)
        if limit is not None and habit.today > limit:
            yield Unusual(
                rule="receivers outside in a day",
                summary=f"{tool} has written to {habit.today} receivers outside the company today, where {limit:.0f} is the most to expect",
                threshold=limit,
                value=habit.today,
                about="many",
                once=Period.DAY,
            )


def _not_allowed(sending: Sending, allowed: tuple[str, ...]) -> Iterator[Unusual]:
    patterns = [pattern.lower() for pattern in allowed]
    others = [each for each in sending.receivers if not any(matches(pattern, each) for pattern in patterns)]
    if others:
        approved = sending.event.approval is not None
        yield Unusual(
            rule=f"tools.{sending.event.tool}.only_to",
            summary=f"{sending.event.tool} writes to {listed(map(shown, others))}, and may write only to {listed(allowed)}"
            + ("; a person approved it" if approved else ""),
            threshold=list(allowed),
            value=others[:MOST_NAMED],
            about="not allowed",
            sure=not approved,
            alarming=not approved,
        )


def _first_time(sending: Sending, habit: Habit, after: int) -> Iterator[Unusual]:
    tool = sending.event.tool
    new = list(dict.fromkeys(each for each in map(domain_of, sending.outside) if each not in habit.companies))
    if not new:
        return
    if not habit.companies:
        yield Unusual(
            rule="first message outside",
            summary=f"{tool} writes to {listed(map(shown, new))}: the first of {habit.messages + 1} messages that leaves the company",
            threshold=0,
            value=sending.outside[:MOST_NAMED],
            about="outside",
        )
        return
    once = sum(count == 1 for count in habit.companies.values())
    if once <= RARELY_NEW * habit.messages:
        yield Unusual(
            rule="first message to a company",
            summary=f"{tool} writes to {listed(map(shown, new))} for the first time; its last {habit.messages} messages went to "
            f"{count_of(len(habit.companies), 'other company', 'other companies')}",
            threshold=RARELY_NEW,
            value=sending.outside[:MOST_NAMED],
            about="new",
            # One more on a list that grows now and then is no incident by itself.
            alarming=not once and habit.messages >= CERTAIN * after,
        )


def _mass_of_a_run(sent: Sent, habit: Habit, alert: SendAlert) -> Iterator[Unusual]:
    written = alert.run_recipients
    limit = float(written) if written is not None else _limit(habit.runs, LEAST_RUNS, NOTICEABLE_RUN, alert)
    if limit is None or sent.receivers <= limit:
        return
    most = "is the most allowed" if written is not None else "is the most to expect"
    yield Unusual(
        rule="alerts.external_send.run_recipients" if written is not None else "receivers outside in a run",
        summary=f"{sent.tool} has written to {sent.receivers} receivers outside the company in this run, where {limit:.0f} {most}",
        threshold=limit,
        value=sent.receivers,
        about="many",
        once=Period.RUN,
        sure=written is not None,
    )


def _limit(past: tuple[int, ...], least: int, noticeable: int, alert: SendAlert) -> float | None:
    """Answer the most to expect: so many times what the second busiest has reached, because one alone may have been the last incident."""
    if len(past) < least:
        return None
    return max(noticeable, alert.over_usual * sorted(past)[-2])


def _today(habit: Habit, at: datetime) -> Habit:
    day = at.date().isoformat()
    if day <= habit.day:
        return habit  # a late entry counts for the day on which it is heard of
    days = (*habit.days, habit.today)[-HISTORY:] if habit.day else ()
    return replace(habit, day=day, days=days, today=0, told_today=False)


def _learned(habit: Habit, sending: Sending) -> Habit:
    companies = habit.companies
    if sending.outside:
        companies = dict(companies)
        for company in dict.fromkeys(map(domain_of, sending.outside)):
            companies[company] = companies.get(company, 0) + 1
        if len(companies) > MOST_COMPANIES:
            # Those written to once are forgotten first; that so many were is what makes a new one usual.
            rare = sorted(companies, key=lambda name: companies[name])[: len(companies) - MOST_COMPANIES]
            companies = {name: count for name, count in companies.items() if name not in rare}
    return replace(habit, messages=habit.messages + 1, companies=companies)


def _learn_run(state: State, run: str) -> State:
    habits, sent = state.habits, state.sent
    for key in state.of_run[run]:
        done = sent.get(key)
        if done is None:
            continue
        name = f"{done.workflow}\x1f{done.tool}"
        habit = habits.get(name, Habit())
        habits = habits.put(
            name, replace(habit, runs=(*habit.runs, done.receivers)[-HISTORY:]), at_most=MOST_TOOLS
        )
        sent = sent.without(key)
    return replace(state, habits=habits, sent=sent, of_run=state.of_run.without(run))


def _tell(
    state: State, sending: Sending, unusual: list[Unusual], alert: SendAlert
) -> tuple[State, tuple[Finding, ...]]:
    told, findings = state.told, list[Finding]()
    for each in unusual:
        told, new = once(told, [_finding(sending, each, alert)], each.about)
        findings += new
    return (replace(state, told=told) if findings else state), tuple(findings)


def _finding(sending: Sending, unusual: Unusual, alert: SendAlert) -> Finding:
    event = sending.event
    return Finding(
        type=IncidentType.EXTERNAL_SEND,
        kind=SignalKind.POLICY_VIOLATION if unusual.sure else SignalKind.ALERT,
        detector=ExternalSend.name,
        key=event.tool,
        workflow=event.workflow,
        summary=unusual.summary,
        occurred_at=sending.at,
        facts={
            "rule": unusual.rule,
            "threshold": unusual.threshold,
            "value": unusual.value,
            **facts_of(event),
            "recipients": list(sending.receivers[:MOST_NAMED]),
            "outside": list(sending.outside[:MOST_NAMED]),
            "receivers": len(sending.receivers),
            "approval": event.approval,
        }
        | ({"destination": sending.outside[0]} if event.destinations and len(sending.outside) == 1 else {}),
        run=event.run,
        call=event.call,
        hold=hold_of(alert) if unusual.sure else None,
        severity=at_least(alert, Severity.SEV1) if unusual.sure else alert.severity,
        alarming=unusual.alarming or (weighs(alert) and event.approval is None),
    )
