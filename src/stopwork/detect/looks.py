"""What is looked at for sensitive data: the arguments and results of calls and the facts of steps, each with where it goes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any, TypeAlias

from stopwork.detect.outside import (
    MOST_RECEIVERS,
    addressed,
    company_of,
    goes_out,
    leaves,
    receivers_in,
    receivers_of,
)
from stopwork.ledger.events import CallDecided, CallFinished, StepRecorded
from stopwork.ledger.records import Record
from stopwork.ledger.words import EffectKind, StepKind, Verdict
from stopwork.manifest.compiled import CompiledManifest
from stopwork.manifest.model import Manifest

MOST_ITEM_CHARS = 500

Looked: TypeAlias = CallDecided | CallFinished | StepRecorded


class Place(StrEnum):
    """Where a value stood; the graver the later."""

    READ = "read"
    WRITTEN = "written"
    SENT = "sent"


class Look(Record):
    """What is looked at: a record that has content, and whom or what it went to."""

    workflow: str
    run: str
    record: str
    what: str
    at: datetime
    place: Place
    call: str | None = None
    tool: str | None = None
    source: str | None = None
    item: str | None = None
    effect: EffectKind | None = None
    permission: str | None = None
    trigger: str | None = None
    to: tuple[str, ...] = ()
    approved: bool = False
    refused: Verdict | None = None


def content_of(event: Looked) -> Any:
    """Answer what an event holds that an agent has read or written; nothing where it holds nothing."""
    match event:
        case CallDecided():
            return event.args
        case CallFinished():
            return {"result": event.result, "error": event.error} if event.result or event.error else None
        case StepRecorded():
            return event.facts


def look_at(event: Looked, at: datetime, compiled: CompiledManifest) -> Look:
    """Answer the record that an event is about, with its place."""
    match event:
        case CallDecided():
            return _look_at_call(event, at, compiled)
        case CallFinished():
            tool = compiled.manifest.tools.get(event.tool)
            return Look(
                workflow=event.workflow,
                run=event.run,
                record=event.call,
                what=f"the {'result' if event.result else 'error'} of {event.tool}",
                at=at,
                place=Place.READ,
                call=event.call,
                tool=event.tool,
                source=tool.source if tool else None,
                effect=tool.effect if tool else None,
            )
        case StepRecorded():
            to = _addressed_to(event, compiled.manifest)
            return Look(
                workflow=event.workflow,
                run=event.run,
                record=event.step,
                what=f"the {event.kind.value.replace('_', ' ')} {event.name}",
                at=at,
                place=Place.SENT if to else Place.READ,
                source=event.source,
                item=_item(event),
                to=to,
            )


def _look_at_call(event: CallDecided, at: datetime, compiled: CompiledManifest) -> Look:
    place, to = Place.WRITTEN, tuple[str, ...]()
    if event.tool in compiled.manifest.tools and event.effect is not EffectKind.READ:
        receivers = receivers_of(compiled, event)
        to = leaves(compiled, event, receivers)
        place = Place.SENT if goes_out(compiled, event, to, receivers) else Place.WRITTEN
    return Look(
        workflow=event.workflow,
        run=event.run,
        record=event.call,
        what=f"the arguments of {event.tool}",
        at=at,
        place=place,
        call=event.call,
        tool=event.tool,
        source=event.source,
        effect=event.effect,
        permission=event.permission,
        trigger=event.trigger,
        to=to,
        approved=event.approval is not None,
        refused=None if event.verdict is Verdict.ALLOW else event.verdict,
    )


def _addressed_to(event: StepRecorded, manifest: Manifest) -> tuple[str, ...]:
    """Answer the people outside that a message of the agent names as its receivers."""
    if event.kind is not StepKind.MESSAGE:
        return ()
    company = company_of(manifest)
    every = (each for text in addressed(event.facts) for each in receivers_in(text))
    return tuple(each for each in islice(dict.fromkeys(every), MOST_RECEIVERS) if not company.has(each))


def _item(event: StepRecorded) -> str | None:
    item = event.facts.get("item")
    return str(item)[:MOST_ITEM_CHARS] if isinstance(item, str | int) and event.source else None
