"""Loops that no single run shows: many runs that make the same write, and runs that start each other.

A run starts another where what it was started by (its ``trigger_id``) is the other run, or an object that the other has made, a moment ago. A retry is
started by nobody. Each run by itself may do sensible work; that they come round again and again in quick succession is what is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from stopwork.detect.table import Table
from stopwork.ledger.events import CallDecided, RunStarted
from stopwork.ledger.records import Effect, Record
from stopwork.ledger.words import Operation
from stopwork.manifest.alerts import LoopAlert

LEAST_ROUNDS: Final = 4
"""A round of many turns has come so often before it counts as one."""
LEAST_ID_CHARS: Final = 8
"""A shorter id of an object, 17, is not known to be the same thing where something else is called so."""

MOST_WRITES: Final = 1_024
MOST_MADE: Final = 1_024
MOST_RUNS: Final = 1_024
MOST_TURNS: Final = 24
MOST_KNOWN: Final = 100
DIGEST_CHARS: Final = 16
"""So much of a digest of arguments tells writes apart that are remembered for minutes."""


class Echo(Record):
    """The same write by many runs since ``since``: by how many, and the latest of them with their calls. ``told`` while it goes on."""

    since: datetime
    runs: int
    latest: tuple[tuple[str, str], ...]
    told: bool = False


class Made(Record):
    """Which run has made something, and when."""

    run: str
    workflow: str
    at: datetime


class Chain(Record):
    """Runs that started each other: how many since ``since``, or since that was told, and the workflows of the latest of them."""

    since: datetime
    length: int
    turns: tuple[str, ...]
    runs: tuple[str, ...]


class Between(Record):
    """``echoes`` are the writes that runs have made, ``made`` what runs may be started by, ``chains`` those that were, by their last run."""

    echoes: Table[Echo] = Table()
    made: Table[Made] = Table()
    chains: Table[Chain] = Table()


def cycle_of(turns: tuple[str, ...]) -> tuple[str, ...]:
    """Answer the shortest round that the latest turns repeat, and the last turn alone where they repeat none."""
    for length in range(1, len(turns) // 2 + 1):
        if turns[-length:] == turns[-2 * length : -length]:
            return turns[-length:]
    return turns[-1:]


def written(
    between: Between, event: CallDecided, at: datetime, alert: LoopAlert
) -> tuple[Between, Echo | None]:
    """Answer the state after a write was permitted, and the writes that it makes one too many of."""
    about = f"{event.workflow}\x1f{event.tool}\x1f{event.args_digest[-DIGEST_CHARS:]}"
    known, this = between.echoes.get(about), ((event.run, event.call),)
    if known is None:
        # Of nearly all writes this is the end.
        echoes = between.echoes.put(about, Echo(since=at, runs=1, latest=this), at_most=MOST_WRITES)
        return replace(between, echoes=echoes), None
    if at - known.since > alert.within:
        # One that goes on as it was is not told anew.
        echo = Echo(since=at, runs=1, latest=this, told=known.runs >= alert.repeats)
    elif any(run == event.run for run, _ in known.latest):
        return between, None
    else:
        echo = replace(known, runs=known.runs + 1, latest=(*known.latest, *this)[-MOST_KNOWN:])
    found = not echo.told and echo.runs >= alert.repeats
    if found:
        echo = replace(echo, told=True)
    between = replace(between, echoes=between.echoes.put(about, echo, at_most=MOST_WRITES))
    return between, echo if found else None


def made(between: Between, effects: Iterable[Effect], at: datetime) -> Between:
    """Answer the state after a call has ended: what it made may start something."""
    things = between.made
    for effect in effects:
        if effect.operation is Operation.CREATED:
            line = Made(run=effect.run, workflow=effect.workflow, at=at)
            name = effect.object.id if len(effect.object.id) >= LEAST_ID_CHARS else effect.object_key
            things = things.put(name, line, at_most=MOST_MADE)
    return between if things is between.made else replace(between, made=things)


def started(
    between: Between, event: RunStarted, at: datetime, alert: LoopAlert
) -> tuple[Between, Chain | None]:
    """Answer the state after a run has started, and the chain of runs that comes round again with it."""
    by = between.made.get(event.trigger_id) or between.made.get(event.trigger_id.rpartition("/")[2])
    between = replace(
        between,
        made=between.made.put(
            event.run, Made(run=event.run, workflow=event.workflow, at=at), at_most=MOST_MADE
        ),
    )
    again = event.retry_of is not None or event.attempt > 1 or event.backfill is not None
    if by is None or by.run == event.run or again or at - by.at > alert.within:
        return between, None
    if event.run in between.chains:
        return between, None
    before = between.chains.get(by.run) or Chain(since=by.at, length=1, turns=(by.workflow,), runs=(by.run,))
    chain = Chain(
        since=before.since,
        length=before.length + 1,
        turns=(*before.turns, event.workflow)[-MOST_TURNS:],
        runs=(*before.runs, event.run)[-MOST_KNOWN:],
    )
    round_ = cycle_of(chain.turns)
    comes_round = chain.turns[-LEAST_ROUNDS * len(round_) :] == round_ * LEAST_ROUNDS
    found = chain if comes_round and chain.length >= alert.repeats else None
    kept = chain if found is None else replace(chain, since=at, length=0)
    return replace(between, chains=between.chains.put(event.run, kept, at_most=MOST_RUNS)), found
