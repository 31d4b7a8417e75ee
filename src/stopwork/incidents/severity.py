"""How bad an incident is: nine factors from the records, the worst proposed, and never lowered lightly.

The rules are a table (:data:`RULES`): for each factor its levels, of which the first whose test holds counts.
Then the floor of the incident's type (:data:`FLOOR`) counts, and whatever the manifest asks for at least.
Where the agent changed or sent something in a sensitive domain the result goes up by one level. A factor that
the records cannot tell has no level and says why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct

from stopwork.control.holds import answer, covers
from stopwork.incidents.case import Case
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.manifest.model import Manifest, SensitiveClass

VOLUME: Final = 50
"""From this many changed objects on, people can no longer look at each of them."""

ORDER: Final = tuple(w.Severity)
_SHOWN: Final = 20


class Circumstances(Struct, frozen=True, kw_only=True):
    """What the records hold about an incident, before or after it is opened."""

    type: w.IncidentType
    manifest: Manifest
    calls: tuple[r.Call, ...] = ()
    effects: tuple[r.Effect, ...] = ()
    runs: tuple[r.Run, ...] = ()
    holds: tuple[r.Hold, ...] = ()
    root_cause: str = ""
    patched: bool = False
    at_least: w.Severity | None = None


class Assessment(Struct, frozen=True, kw_only=True):
    """A proposed severity with its nine factors; ``raised_by`` are the sensitive domains that raised it."""

    severity: w.Severity
    factors: tuple[r.Factor, ...]
    why: str
    raised_by: tuple[str, ...] = ()


class Match(Struct, frozen=True):
    """Why a rule holds, and the ids of the records that show it."""

    why: str
    records: tuple[str, ...] = ()


Test = Callable[[Circumstances], Match | None]
Rule = tuple[w.Severity | None, Test]


def of_case(case: Case) -> Circumstances:
    """Answer the circumstances of an incident that is open."""
    return Circumstances(
        type=case.incident.type,
        manifest=case.manifests.get(case.incident.version, case.current),
        calls=case.calls,
        effects=case.effects,
        runs=case.runs,
        holds=case.holds,
        root_cause=case.incident.root_cause,
        patched=case.workflow.version > case.incident.version,
    )


def beyond_factors(case: Case) -> tuple[str, ...]:
    """Answer in sentences what else the severity of an incident comes from than from the worst of its factors."""
    incident = case.incident
    proposed = assess(of_case(case))
    floor = FLOOR[incident.type]
    said = []
    if ORDER.index(floor) < ORDER.index(worst(factor.level for factor in incident.factors)):
        said.append(f"{incident.type.replace('_', ' ').capitalize()} is {floor.upper()} at least.")
    if proposed.raised_by:
        said.append(f"One level higher, because {listed(proposed.raised_by)} may be affected.")
    if ORDER.index(incident.severity) < ORDER.index(proposed.severity):
        said.append(
            f"By the records it is {proposed.severity.upper()} now. A person, an alert rule or earlier records said"
            f" {incident.severity.upper()}, and the higher one holds until containment is verified and somebody says why it is less."
        )
    elif ORDER.index(incident.severity) > ORDER.index(proposed.severity):
        said.append(
            f"The records would say {proposed.severity.upper()}; a person has lowered it, with a reason."
        )
    return tuple(said)


def worst(levels: Iterable[w.Severity | None]) -> w.Severity:
    """Answer the gravest of these levels; ``sev3`` when there is none."""
    return min((level for level in levels if level is not None), key=ORDER.index, default=w.Severity.SEV3)


def assess(found: Circumstances) -> Assessment:
    """Answer the severity to propose, and why."""
    factors = tuple(_factor(factor, found) for factor in w.SeverityFactor)
    by_factors = worst(factor.level for factor in factors)
    level = worst((by_factors, FLOOR[found.type], found.at_least))
    raised_by = _sensitive(found) if _touched(found) else ()
    severity = ORDER[max(0, ORDER.index(level) - 1)] if raised_by else level
    reasons = [factor.why for factor in factors if factor.level is level]
    if not reasons:
        reasons = [f"{found.type.replace('_', ' ')} is {level} at least"]
    if raised_by:
        reasons.append(f"raised by one level because {listed(raised_by)} may be affected")
    return Assessment(severity=severity, factors=factors, why="; ".join(reasons), raised_by=raised_by)


def check_change(incident: r.Incident, after: w.Severity, *, reason: str) -> None:
    """Raise ``Conflict`` or ``Invalid`` unless the severity may become ``after``.

    Raising is free to any responder. Lowering needs verified containment and a written reason: between two
    levels the higher one holds until then.
    """
    if after is incident.severity:
        raise Conflict(
            f"{incident.id} is {after} already",
            hint="Nothing needs to change.",
            found=incident.severity.value,
        )
    if ORDER.index(after) < ORDER.index(incident.severity):
        return
    if incident.contained_at is None:
        raise Conflict(
            f"{incident.id} stays {incident.severity.name} until its containment is verified",
            hint="Finish the containment checklist; each item says how it was verified.",
            expected="contained",
            found=incident.status.value,
        )
    if not reason.strip():
        raise Invalid(
            "a lower severity needs a written reason",
            hint="Say in a sentence what makes it less grave.",
            field="reason",
        )


def _factor(factor: w.SeverityFactor, found: Circumstances) -> r.Factor:
    for level, test in RULES[factor]:
        match = test(found)
        if match is not None:
            return r.Factor(factor=factor, level=level, why=match.why, records=match.records[:_SHOWN])
    return r.Factor(factor=factor, level=None, why="The records cannot tell.")


# --- what the records show -------------------------------------------------------------------------


def _permitted(found: Circumstances) -> tuple[r.Call, ...]:
    return tuple(call for call in found.calls if call.verdict is w.Verdict.ALLOW)


def _writes(found: Circumstances) -> tuple[r.Call, ...]:
    """The calls that changed something or may have."""
    changed = {effect.call for effect in found.effects}
    return tuple(
        call
        for call in _permitted(found)
        if call.id in changed
        or (call.effect is not w.EffectKind.READ and call.outcome is not w.Outcome.FAILED)
    )


def _outside(found: Circumstances) -> tuple[r.Call, ...]:
    def external(call: r.Call) -> bool:
        tool = found.manifest.tools.get(call.tool)
        return call.effect is w.EffectKind.SEND or (tool is not None and tool.external)

    return tuple(call for call in _writes(found) if external(call))


def _final(found: Circumstances) -> tuple[r.Call, ...]:
    """The writes that nobody can take back."""
    return tuple(call for call in _writes(found) if call.effect in FINAL or _without_undo(found, call))


def _without_undo(found: Circumstances, call: r.Call) -> bool:
    tool = found.manifest.tools.get(call.tool)
    return tool is not None and tool.undo is not None and tool.undo.none is not None


def _sensitive(found: Circumstances) -> tuple[str, ...]:
    read = {call.source for call in found.calls if call.source}
    classes = [*found.manifest.data_classes]
    for name, source in found.manifest.sources.items():
        if name in read:
            classes += source.data_classes
    return tuple(dict.fromkeys(name.replace("_", " ") for name in classes if name in set(SensitiveClass)))


def _touched(found: Circumstances) -> bool:
    return bool(_writes(found)) or found.type in EXPOSING


def _ids(records: Iterable[r.Call | r.Hold | r.Run]) -> tuple[str, ...]:
    return tuple(record.id for record in records)


def _objects(found: Circumstances) -> tuple[str, ...]:
    return tuple(dict.fromkeys(effect.object_key for effect in found.effects))


# --- the tests of the table ------------------------------------------------------------------------


def _always(why: str) -> Test:
    return lambda _found: Match(why)


def _of_type(types: frozenset[w.IncidentType], why: str) -> Test:
    return lambda found: Match(why) if found.type in types else None


def _sent_outside(found: Circumstances) -> Match | None:
    calls = _outside(found)
    return (
        Match(f"{count_of(len(calls), 'call')} reached people outside the team", _ids(calls))
        if calls
        else None
    )


def _sensitive_outside(found: Circumstances) -> Match | None:
    classes, calls = _sensitive(found), _outside(found)
    return Match(f"{listed(classes)} may have left the team", _ids(calls)) if classes and calls else None


def _sensitive_handled(found: Circumstances) -> Match | None:
    classes = _sensitive(found)
    return Match(f"the workflow handles {listed(classes)}") if classes and found.runs else None


def _no_classes(found: Circumstances) -> Match | None:
    return Match("the manifest declares no data classes") if not found.manifest.data_classes else None


def _paid_or_approved(found: Circumstances) -> Match | None:
    calls = [call for call in _writes(found) if call.effect in (w.EffectKind.PAY, w.EffectKind.APPROVE)]
    return (
        Match(f"{count_of(len(calls), 'payment or approval', 'payments or approvals')} made", _ids(calls))
        if calls
        else None
    )


def _domain_changed(found: Circumstances) -> Match | None:
    domains, calls = found.manifest.impact, _writes(found)
    return Match(f"changes in a {listed(domains)} domain", _ids(calls)) if domains and calls else None


def _no_domain(found: Circumstances) -> Match | None:
    return Match("the manifest declares no field of business") if not found.manifest.impact else None


def _unauthorised(found: Circumstances) -> Match | None:
    calls = _writes(found)
    if found.type not in UNAUTHORISED or not calls:
        return None
    return Match(f"{count_of(len(calls), 'write')} by a run that went beyond what it may do", _ids(calls))


def _written(found: Circumstances) -> Match | None:
    calls = _writes(found)
    return Match(f"{count_of(len(calls), 'call')} wrote or may have written", _ids(calls)) if calls else None


def _many_objects(found: Circumstances) -> Match | None:
    objects = _objects(found)
    return Match(f"{count_of(len(objects), 'object')} changed", objects) if len(objects) >= VOLUME else None


def _some_objects(found: Circumstances) -> Match | None:
    objects = _objects(found)
    return Match(f"{count_of(len(objects), 'object')} changed", objects) if objects else None


def _unseen_objects(found: Circumstances) -> Match | None:
    calls = _writes(found)
    return (
        Match("writes are recorded, but not yet which objects they changed", _ids(calls)) if calls else None
    )


def _final_outside(found: Circumstances) -> Match | None:
    outside = {call.id for call in _outside(found)}
    calls = [call for call in _final(found) if call.id in outside or call.effect is w.EffectKind.PAY]
    return (
        Match(f"{count_of(len(calls), 'action')} outside the team cannot be taken back", _ids(calls))
        if calls
        else None
    )


def _cannot_undo(found: Circumstances) -> Match | None:
    calls = _final(found)
    return Match(f"{count_of(len(calls), 'action')} cannot be undone", _ids(calls)) if calls else None


def _unknown_before(found: Circumstances) -> Match | None:
    effects = [effect for effect in found.effects if effect.before.state is w.ImageState.UNKNOWN]
    objects = tuple(effect.object_key for effect in effects)
    return (
        Match(f"what {count_of(len(objects), 'object')} held before is not known", objects)
        if effects
        else None
    )


def _holding(found: Circumstances) -> list[r.Hold]:
    """The active holds that concern this workflow."""
    name = found.manifest.workflow
    return [
        hold
        for hold in found.holds
        if hold.active
        and name
        == (hold.scope.name if hold.scope.kind is w.ScopeKind.WORKFLOW else hold.scope.workflow or name)
    ]


def _unheld(found: Circumstances) -> tuple[r.Call, ...]:
    """The writes that no hold would keep from being made again."""

    def stopped(hold: r.Hold, call: r.Call) -> bool:
        return covers(hold.scope, call) and answer(hold.mode, call.effect) is not w.Verdict.ALLOW

    holds = _holding(found)
    return tuple(call for call in _writes(found) if not any(stopped(hold, call) for hold in holds))


def _in_flight(found: Circumstances) -> Match | None:
    calls = [call for call in found.calls if call.in_flight]
    return Match(f"{count_of(len(calls), 'call')} still in flight", _ids(calls)) if calls else None


def _running_free(found: Circumstances) -> Match | None:
    runs = [run for run in found.runs if run.status is w.RunStatus.RUNNING]
    holds = _holding(found)
    if not runs or any(hold.scope.kind in WHOLE for hold in holds):
        return None
    held = f"only {listed(str(hold.scope) for hold in holds)} is held" if holds else "nothing is held"
    return Match(f"{count_of(len(runs), 'run')} going on and {held}", _ids(runs))


def _held(found: Circumstances) -> Match | None:
    holds = _holding(found)
    return Match(f"held: {listed(str(hold.scope) for hold in holds)}", _ids(holds)) if holds else None


def _cause_known(found: Circumstances) -> Match | None:
    return Match(found.root_cause) if found.root_cause else None


def _patched(found: Circumstances) -> Match | None:
    return Match("a newer version of the manifest is in force") if found.patched else None


def _repeats_writes(found: Circumstances) -> Match | None:
    calls = _unheld(found)
    return Match("the next run could write the same again", _ids(calls)) if calls else None


FINAL: Final = frozenset({w.EffectKind.SEND, w.EffectKind.PAY, w.EffectKind.APPROVE, w.EffectKind.TRIGGER})
WHOLE: Final = frozenset({w.ScopeKind.EVERYTHING, w.ScopeKind.WORKFLOW})
"""The scopes of holds after which a run goes on with nothing; after any other it still reads, spends and writes elsewhere."""
EXPOSING: Final = frozenset({w.IncidentType.SENSITIVE_DATA_EXPOSURE, w.IncidentType.EXTERNAL_SEND})
UNAUTHORISED: Final = frozenset(
    {w.IncidentType.APPROVAL_BYPASS, w.IncidentType.TOOL_MISUSE, w.IncidentType.PROMPT_INJECTION}
)

FLOOR: Final = {
    w.IncidentType.MISSED_WORKFLOW: w.Severity.SEV3,
    w.IncidentType.DUPLICATE_WORK: w.Severity.SEV2,
    w.IncidentType.STALE_OR_WRONG_INPUT: w.Severity.SEV2,
    w.IncidentType.TOOL_MISUSE: w.Severity.SEV2,
    w.IncidentType.APPROVAL_BYPASS: w.Severity.SEV1,
    w.IncidentType.BAD_WRITEBACK: w.Severity.SEV2,
    w.IncidentType.EXTERNAL_SEND: w.Severity.SEV1,
    w.IncidentType.SENSITIVE_DATA_EXPOSURE: w.Severity.SEV1,
    w.IncidentType.COST_RUNAWAY: w.Severity.SEV3,
    w.IncidentType.PROMPT_INJECTION: w.Severity.SEV1,
    w.IncidentType.POLICY_DRIFT: w.Severity.SEV2,
}
"""The level that an incident of each type has at least."""

RULES: Final[dict[w.SeverityFactor, tuple[Rule, ...]]] = {
    w.SeverityFactor.EXTERNAL_EXPOSURE: (
        (w.Severity.SEV1, _sent_outside),
        (w.Severity.SEV1, _of_type(EXPOSING, "reported as having reached people who should not see it")),
        (w.Severity.SEV3, _always("nothing that the guard saw left the team")),
    ),
    w.SeverityFactor.SENSITIVE_DATA: (
        (w.Severity.SEV1, _sensitive_outside),
        (w.Severity.SEV3, _sensitive_handled),
        (None, _no_classes),
        (w.Severity.SEV3, _always("no sensitive class of data is declared")),
    ),
    w.SeverityFactor.DOMAIN_IMPACT: (
        (w.Severity.SEV1, _paid_or_approved),
        (w.Severity.SEV2, _domain_changed),
        (None, _no_domain),
        (w.Severity.SEV3, _always("nothing was changed in a field of business that the manifest names")),
    ),
    w.SeverityFactor.PRODUCTION_WRITES: (
        (w.Severity.SEV1, _unauthorised),
        (w.Severity.SEV2, _written),
        (w.Severity.SEV3, _always("nothing was written")),
    ),
    w.SeverityFactor.AFFECTED_VOLUME: (
        (w.Severity.SEV1, _many_objects),
        (w.Severity.SEV2, _some_objects),
        (None, _unseen_objects),
        (w.Severity.SEV3, _always("no object changed")),
    ),
    w.SeverityFactor.REVERSIBILITY: (
        (w.Severity.SEV1, _final_outside),
        (w.Severity.SEV2, _cannot_undo),
        (w.Severity.SEV2, _unknown_before),
        (w.Severity.SEV3, _always("what changed can be put back")),
    ),
    w.SeverityFactor.STILL_RUNNING: (
        (w.Severity.SEV2, _in_flight),
        (w.Severity.SEV2, _running_free),
        (w.Severity.SEV3, _held),
        (w.Severity.SEV3, _always("no run is going on")),
    ),
    w.SeverityFactor.ROOT_CAUSE_KNOWN: (
        (w.Severity.SEV3, _cause_known),
        (None, _always("no root cause is recorded")),
    ),
    w.SeverityFactor.COULD_REPEAT_NEXT_RUN: (
        (w.Severity.SEV3, _patched),
        (w.Severity.SEV2, _repeats_writes),
        (w.Severity.SEV3, _held),
        (w.Severity.SEV3, _always("the next run would write nothing")),
    ),
}
"""For each factor its levels; the first whose test holds counts. ``None`` where the records cannot tell."""
