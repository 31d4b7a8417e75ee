"""Notices credentials, and data of restricted classes, where nobody declared them: in what an agent reads, in what it writes, in what leaves.

A source, a tool or the workflow may be declared to hold a class of data (``data_classes``): reading it there is in order. What leaves the
company is in order only where the tool that carries it is declared for the class, and nothing is that stands in an address (URL). A value is
followed from where it was first seen: when it turns up in the arguments of a later call, the finding names both.

No value is kept or told. It is known again by a digest under a salt that each installation has for itself, and shown by its kind and the last
few characters. Bank accounts are what payments and invoices are made of: reading one is only logged. What is in doubt, and what was refused, is
logged as well; numbers of which nothing says what they are, are not told at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, ClassVar, Final

from msgspec.structs import replace

from stopwork.detect.detector import Detector, Finding, once
from stopwork.detect.looks import Look, Place, content_of, look_at
from stopwork.detect.outside import company_of
from stopwork.detect.patterns import Doubt, Kind, Sight, sights
from stopwork.detect.rulebook import Rulebook, at_least, hold_of, weighs
from stopwork.detect.table import Table
from stopwork.kernel.phrases import listed
from stopwork.ledger.events import CallDecided, CallFinished, Entry, StepRecorded
from stopwork.ledger.records import Record
from stopwork.ledger.words import EffectKind, IncidentType, Severity, SignalKind
from stopwork.manifest.compiled import CompiledManifest
from stopwork.manifest.model import Manifest

MOST_TRACES = 4_096
MOST_PLACES = 20
MOST_NAMED = 10

CLASSES: Final = {
    Kind.CREDENTIAL: "credentials",
    Kind.CARD: "payment_cards",
    Kind.ACCOUNT: "banking_details",
    Kind.IDENTIFIER: "national_ids",
}
"""The class of data of each kind of value, as a manifest declares it."""


class Sighting(Record):
    """One record in which a value stood. ``to`` is where the record went."""

    record: str
    what: str
    field: str
    place: Place
    run: str
    at: datetime
    to: tuple[str, ...] = ()


class Trace(Record):
    """Where one value has been, by the time it was there; ``origin`` is the source or tool that it came from."""

    origin: str
    sightings: tuple[Sighting, ...]


class State(Record):
    """``traces`` are by digest of the value; ``told`` says when something was reported last."""

    salt: str = ""
    traces: Table[Trace] = Table()
    told: Table[datetime] = Table()


class SensitiveData(Detector[State]):
    """Fires when a value of a class stands where it was not declared, and again wherever the same value goes."""

    name: ClassVar[str] = "sensitive_data"
    watches = (CallDecided, CallFinished, StepRecorded)
    state_type = State

    def step(self, state: State, entry: Entry, rules: Rulebook) -> tuple[State, tuple[Finding, ...]]:
        event: Any = entry.event
        content = content_of(event)
        compiled = rules(event.workflow) if content else None
        if compiled is None or not compiled.manifest.alerts.sensitive_data.enabled:
            return state, ()
        # Of nearly all records this is the end.
        if not (every := sights(content, compiled.restricted)):
            return state, ()
        seen = [sight for sight in every if sight.doubt is not Doubt.NO_CONTEXT]
        if not seen:
            return state, ()
        return _judge(state, look_at(event, entry.at, compiled), seen, compiled)


def _judge(
    state: State, look: Look, seen: Sequence[Sight], compiled: CompiledManifest
) -> tuple[State, tuple[Finding, ...]]:
    """Follow each value, and tell of those that stand where they were not declared: one finding for one origin and place."""
    manifest = compiled.manifest
    # Random to anybody outside, and the same whenever the journal is read again.
    state = state if state.salt else replace(state, salt=f"{look.run}/{look.record}")
    undeclared: dict[tuple[str, Place, bool], list[tuple[Sight, Trace]]] = {}
    for sight in seen:
        digest = _digest(state.salt, sight)
        place, to = _place_of(sight, look, manifest)
        known = state.traces.get(digest)
        if known is not None and any(each.record == look.record for each in known.sightings):
            continue
        sighting = Sighting(
            record=look.record,
            what=look.what,
            field=sight.field,
            place=place,
            run=look.run,
            at=look.at,
            to=to[:MOST_NAMED],
        )
        trace = _with_sighting(known, sighting, look)
        if look.refused is None:
            state = replace(state, traces=state.traces.put(digest, trace, at_most=MOST_TRACES))
        if not _is_declared(sight, place, look, manifest):
            grave = _is_alarming(sight, place, look)
            undeclared.setdefault((trace.origin, place, grave), []).append((sight, trace))
    told, findings = state.told, list[Finding]()
    for (origin, place, grave), values in undeclared.items():
        kinds = sorted({_class_of(sight) for sight, _ in values})
        told, new = once(told, [_finding(look, origin, place, grave, values, manifest)], place, *kinds)
        findings += new
    return (replace(state, told=told) if findings else state), tuple(findings)


def _digest(salt: str, sight: Sight) -> str:
    key = blake2b(salt.encode(), digest_size=32).digest()
    return blake2b(f"{sight.kind}\x1f{sight.value}".encode(), key=key, digest_size=12).hexdigest()


def _place_of(sight: Sight, look: Look, manifest: Manifest) -> tuple[Place, tuple[str, ...]]:
    """Answer where a value stood; in an address that is asked for it leaves, even by a call that reads."""
    asked_for = look.place is Place.WRITTEN and look.call is not None
    if sight.host and asked_for and not company_of(manifest).has(f"https://{sight.host}"):
        return Place.SENT, (sight.host,)
    return look.place, look.to


def _with_sighting(known: Trace | None, sighting: Sighting, look: Look) -> Trace:
    if known is None:
        return Trace(origin=look.source or look.tool or "the agent", sightings=(sighting,))
    every = sorted((*known.sightings, sighting), key=lambda each: each.at)
    # Where it came from is kept, and where it went last.
    return replace(known, sightings=(every[0], *every[1:][-MOST_PLACES:]))


def _class_of(sight: Sight) -> str:
    return sight.name if sight.kind is Kind.RESTRICTED else CLASSES[sight.kind]


def _is_declared(sight: Sight, place: Place, look: Look, manifest: Manifest) -> bool:
    tool = manifest.tools.get(look.tool) if look.tool else None
    held = list(tool.data_classes) if tool and not (place is Place.SENT and sight.host) else []
    if place is not Place.SENT:
        source = manifest.sources.get(look.source) if look.source else None
        held += [*manifest.data_classes, *(source.data_classes if source else ())]
        if sight.kind is Kind.ACCOUNT and look.effect is EffectKind.PAY:
            return True
    return _class_of(sight) in held


def _is_alarming(sight: Sight, place: Place, look: Look) -> bool:
    if sight.doubt is not None or look.refused is not None:
        return False
    # Whoever approved a message with an account in it has read the account; a card's number is overlooked.
    return sight.kind is not Kind.ACCOUNT or (place is Place.SENT and not look.approved)


def _finding(
    look: Look,
    origin: str,
    place: Place,
    grave: bool,
    values: Sequence[tuple[Sight, Trace]],
    manifest: Manifest,
) -> Finding:
    alert = manifest.alerts.sensitive_data
    classes = sorted({_class_of(sight) for sight, _ in values})
    _, trace = values[0]
    first, went = trace.sightings[0], [each for each in trace.sightings if each.place is not Place.READ]
    left = place is Place.SENT and look.refused is None
    to = list(dict.fromkeys(receiver for each in went if each.record == look.record for receiver in each.to))
    tool = manifest.tools.get(look.tool) if look.tool else None
    return Finding(
        type=IncidentType.SENSITIVE_DATA_EXPOSURE,
        kind=SignalKind.SECURITY,
        detector=SensitiveData.name,
        key=f"from {origin}",
        workflow=look.workflow,
        summary=_summary(look, place, [sight for sight, _ in values], first, to),
        occurred_at=look.at,
        facts={
            "rule": _rule(look, place),
            "threshold": sorted(tool.data_classes)
            if tool and place is Place.SENT
            else sorted(manifest.data_classes),
            "value": classes,
            "shown": list(_shown(sight for sight, _ in values)),
            "values": len(values),
            "in_doubt": sorted({str(sight.doubt) for sight, _ in values if sight.doubt}),
            "field": values[0][0].field,
            "first_seen": _told(first),
            "went_to": [_told(each) for each in went],
            "to": to,
            "source": look.source or (origin if origin in manifest.sources else None),
            "item": look.item,
            "tool": look.tool,
            "permission": look.permission,
            "trigger": look.trigger,
            "verdict": str(look.refused) if look.refused else None,
            "runs": list(dict.fromkeys((first.run, look.run))),
        },
        run=look.run,
        call=look.call,
        hold=hold_of(alert) if left and grave else None,
        severity=at_least(alert, Severity.SEV1 if left else Severity.SEV2) if grave else alert.severity,
        alarming=grave or (weighs(alert) and look.refused is None and not any(s.doubt for s, _ in values)),
    )


def _rule(look: Look, place: Place) -> str:
    if place is Place.SENT:
        return f"tools.{look.tool}.data_classes" if look.tool else "alerts.sensitive_data"
    return f"sources.{look.source}.data_classes" if look.source else "data_classes"


def _summary(look: Look, place: Place, seen: list[Sight], first: Sighting, to: list[str]) -> str:
    what = listed(_shown(seen), most=3)
    doubt = f" ({listed(sorted({str(sight.doubt) for sight in seen}))})" if all(s.doubt for s in seen) else ""
    came = f"; first seen in {first.what} ({first.record})" if first.record != look.record else ""
    refused = f", which was answered with {look.refused}" if look.refused else ""
    if place is Place.SENT:
        whom = f" to {listed(to)}" if to else ", out of the company"
        return (
            f"{what}{doubt} left in {look.what}{whom}{refused}{came}"
            if not refused
            else (f"{what}{doubt} was to leave in {look.what}{whom}{refused}{came}")
        )
    return f"{what}{doubt} stood in {look.what}{refused}, and nothing there is declared to hold {listed(sorted({_class_of(s) for s in seen}))}{came}"


def _shown(seen: Iterable[Sight]) -> Iterator[str]:
    yield from list(dict.fromkeys(sight.shown for sight in seen))[:MOST_NAMED]


def _told(sighting: Sighting) -> dict[str, Any]:
    return {
        "record": sighting.record,
        "where": sighting.what,
        "field": sighting.field,
        "run": sighting.run,
        "at": sighting.at.isoformat(),
        "to": list(sighting.to),
    }
