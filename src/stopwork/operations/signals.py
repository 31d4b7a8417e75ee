"""Signals: what was noticed is recorded, joins, opens or proposes an incident, sets the hold that the manifest asks for, and takes autonomy back.

All of that is one transaction: there is never a signal without its incident, nor an incident whose automatic hold is
still to come. The alert rule says what a new cause comes to, and how often it has to be found before; each automatic act carries its name.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from stopwork.detect.detector import Finding
from stopwork.detect.rulebook import Rulebook
from stopwork.incidents import open as opening
from stopwork.incidents.pause import scope_asked_for
from stopwork.incidents.severity import ORDER, Assessment, Circumstances, assess, of_case
from stopwork.incidents.tags import proposed as proposed_tags
from stopwork.ledger import records as r
from stopwork.ledger.events import (
    IncidentOpened,
    SeverityChanged,
    SignalJoined,
    SignalRaised,
    UpdateScheduled,
)
from stopwork.ledger.records import Principal
from stopwork.ledger.records.incidents import searched
from stopwork.ledger.words import (
    UNENDED,
    EffectKind,
    HoldMode,
    IncidentStatus,
    IncidentType,
    PrincipalKind,
    Severity,
    Stage,
    Verdict,
)
from stopwork.manifest.alerts import Alert, Alerts, Opening, Threshold, rule_of_report
from stopwork.manifest.compiled import CompiledManifest
from stopwork.manifest.model import Manifest
from stopwork.operations import returning
from stopwork.operations.cases import gather
from stopwork.operations.holds import pause
from stopwork.operations.manifests import Manifests, known_workflow
from stopwork.operations.people import administrators
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

#: So long is what signals are searched for at most.
MAX_ASKED: Final = 200


class Raised(Struct, frozen=True, kw_only=True):
    """What became of a finding. ``incident`` is ``None`` where it is only logged, ``stage`` where no autonomy was taken back.

    ``opened`` tells that the incident is new, be it open or only proposed.
    """

    signal: str
    incident: str | None
    opened: bool
    hold: str | None
    stage: Stage | None = None


def look_up(view: View, *, text: str = "", limit: int, **conditions: Any) -> list[r.Signal]:
    """Answer a page of the signals that meet every condition, newest first; every word of ``text`` stands in what they say."""
    words = tuple(searched(text[:MAX_ASKED]))
    asked = conditions | ({"words_has": words} if words else {})
    return view.find(r.Signal, order="-raised_at", limit=limit, **asked)


def rules_in_force(view: View, manifests: Manifests) -> Rulebook:
    """Answer the manifests in force, as the detectors ask for them."""

    def of(workflow: str) -> CompiledManifest | None:
        known = view.get(r.Workflow, workflow)
        return manifests.version(view, workflow, known.version) if known else None

    return of


def raise_finding(tx: Tx, manifests: Manifests, finding: Finding) -> Raised:
    """Record a finding as a signal, with its incident and its hold."""
    return settle(tx, manifests, finding, record_finding(tx, finding))


def record_finding(tx: Tx, finding: Finding) -> str:
    """Record a finding as a signal, and nothing that comes of it; answer the signal."""
    signal = tx.new_id("sig")
    tx.record(
        SignalRaised(
            signal=signal,
            kind=finding.kind,
            type=finding.type,
            detector=finding.detector,
            key=opening.cause_key(finding),
            workflow=finding.workflow,
            summary=finding.summary,
            occurred_at=finding.occurred_at,
            facts=finding.facts,
            run=finding.run,
            call=finding.call,
        )
    )
    return signal


def settle(tx: Tx, manifests: Manifests, finding: Finding, signal: str) -> Raised:
    """Answer what becomes of a finding that is recorded as this signal: its incident, its hold, and the autonomy taken back.

    An incident is opened as grave as the finding and its own runs make it, and raised at once to what a later finding says of itself. How
    grave it is with all that joins it is worked out from all its records, of which there may be thousands: permits do not wait for that
    (:mod:`stopwork.worker.grading`).
    """
    home = opening.home_of(finding, open_incidents(tx, finding.workflow))
    logged = Raised(signal=signal, incident=None, opened=False, hold=None)
    before: tuple[r.Signal, ...] = ()
    if home is not None:
        incident = home.id
        _raise_to(tx, home, finding)
    else:
        rule = rule_of(tx, manifests, finding)
        if not finding.alarming or rule.open is Opening.LOG:
            return logged
        before = _before(tx, finding, rule.threshold, but=signal)
        if rule.threshold is not None and len(before) + 1 < rule.threshold.count:
            return logged
        manifest = manifests.current(tx, finding.workflow).manifest
        found = circumstances(tx, manifest, finding.type, _runs(finding), at_least=finding.severity)
        assessment = assess(found)
        if assessment.severity is Severity.SEV3:
            return logged
        unsure = rule.open is Opening.PROPOSE or not finding.verified
        incident = _open(tx, manifests, finding, assessment, proposed=unsure, sent=_sent(found.calls))
    for earlier in before:
        tx.record(
            SignalJoined(incident=incident, workflow=finding.workflow, signal=earlier.id, run=earlier.run)
        )
    tx.record(SignalJoined(incident=incident, workflow=finding.workflow, signal=signal, run=finding.run))
    hold = _hold(tx, manifests, finding, incident)
    stage = None
    # What anybody could have said, as a mail is, takes nobody's autonomy: else whoever can write one does.
    if finding.verified:
        stage = returning.demote(
            tx, manifests, incident=incident, because=finding.summary, rule=_rule_name(finding)
        )
    return Raised(signal=signal, incident=incident, opened=home is None, hold=hold, stage=stage)


def raises(finding: Finding, home: r.Incident) -> bool:
    """Answer whether a finding says of itself that the incident it joins is graver; what anybody could have said does not count."""
    said = finding.severity if finding.alarming and finding.verified else None
    return said is not None and is_graver(said, home.severity)


def _raise_to(tx: Tx, home: r.Incident, finding: Finding) -> None:
    """Raise an incident to what a finding says that is about to join it: how grave the records show it then is worked out later."""
    if finding.severity is None or not raises(finding, home):
        return
    reason = f"{finding.detector} says {finding.severity.name} at least: {finding.summary}"
    set_severity(tx, home, finding.severity, factors=home.factors, reason=reason)


def rule_of(tx: Tx, manifests: Manifests, finding: Finding) -> Alert:
    """Answer the alert rule behind a finding."""
    rule: Alert = getattr(manifests.current(tx, finding.workflow).manifest.alerts, _rule_name(finding))
    return rule


def _rule_name(finding: Finding) -> str:
    by_detector = finding.detector in Alerts.__struct_fields__
    return finding.detector if by_detector else rule_of_report(finding.kind)


def _before(tx: Tx, finding: Finding, threshold: Threshold | None, *, but: str) -> tuple[r.Signal, ...]:
    """Answer the signals of the same cause that a threshold counts and that have no incident, the oldest first."""
    if threshold is None or threshold.count == 1:
        return ()
    recent = tx.find(
        r.Signal,
        key=opening.cause_key(finding),
        raised_at_from=tx.now - threshold.within,
        order="-raised_at",
        limit=threshold.count,
    )
    return tuple(each for each in reversed(recent) if each.id != but and each.incident is None)


def reassess(tx: Tx, manifests: Manifests, incident: str) -> None:
    """Raise the severity when the records now show worse; it never goes down by itself."""
    if (found := graver(tx, manifests, incident)) is not None:
        set_severity(
            tx, tx.need(r.Incident, incident), found.severity, factors=found.factors, reason=found.why
        )


def graver(view: View, manifests: Manifests, incident: str) -> Assessment | None:
    """Answer what the records show of the incident now, where that is worse than its severity says."""
    case = gather(view, manifests, incident)
    found = assess(of_case(case))
    return found if is_graver(found.severity, case.incident.severity) else None


def is_graver(one: Severity, other: Severity) -> bool:
    """Answer whether the one severity is worse than the other."""
    return ORDER.index(one) < ORDER.index(other)


def set_severity(
    tx: Tx, incident: r.Incident, after: Severity, *, factors: tuple[r.Factor, ...], reason: str
) -> None:
    """Record another severity. What becomes graver is reported on as soon as if it had been opened so now."""
    tx.record(
        SeverityChanged(
            incident=incident.id,
            workflow=incident.workflow,
            before=incident.severity,
            after=after,
            factors=factors,
            reason=reason,
        )
    )
    due = opening.first_update_at(after, tx.now)
    if (
        is_graver(after, incident.severity)
        and incident.next_update_at is not None
        and incident.next_update_at > due
    ):
        tx.record(
            UpdateScheduled(
                incident=incident.id,
                workflow=incident.workflow,
                next_update_at=due,
                reason=f"the severity rose to {after}",
            )
        )


def new_incident_id(tx: Tx) -> str:
    """Answer the next id of this UTC day: without a gap and never twice, because the writer is alone."""
    prefix = opening.day_prefix(tx.now)
    earlier = tx.count(r.Incident, id_from=prefix, id_before=prefix + "~")
    return opening.incident_id(tx.now, earlier)


def open_incidents(tx: Tx, workflow: str) -> list[r.Incident]:
    """Answer the incidents of a workflow that have not ended, drills too, the oldest first."""
    return list(tx.each(r.Incident, workflow=workflow, status=UNENDED, order="opened_at"))


def circumstances(
    view: View,
    manifest: Manifest,
    incident_type: IncidentType,
    runs: tuple[str, ...],
    *,
    at_least: Severity | None = None,
) -> Circumstances:
    """Answer what the records hold about runs of which an incident is to be opened."""
    return Circumstances(
        type=incident_type,
        manifest=manifest,
        calls=tuple(view.each(r.Call, run=runs, order="requested_at")) if runs else (),
        effects=tuple(view.each(r.Effect, run=runs, order="at")) if runs else (),
        runs=tuple(known for run in runs if (known := view.get(r.Run, run))),
        holds=tuple(view.each(r.Hold, active=True)),
        at_least=at_least,
    )


def _runs(finding: Finding) -> tuple[str, ...]:
    """Answer every run that the finding is about: the original's run belongs to the incident as well as the copy's."""
    named = finding.facts.get("runs", ())
    listed = [run for run in named if isinstance(run, str)] if isinstance(named, list | tuple) else []
    return tuple(dict.fromkeys([*listed, *([finding.run] if finding.run else [])]))


def _open(
    tx: Tx, manifests: Manifests, finding: Finding, assessment: Assessment, *, proposed: bool, sent: bool
) -> str:
    known = known_workflow(tx, finding.workflow)
    incident = new_incident_id(tx)
    event: IncidentOpened = opening.opening(
        incident=incident,
        cause=opening.cause_key(finding),
        incident_type=finding.type,
        manifest=manifests.version(tx, known.id, known.version).manifest,
        version=known.version,
        assessment=assessment,
        noticed_by=finding.noticed_by or opening.detected_by(finding.kind),
        detected_at=tx.now,
        now=tx.now,
        # Whoever reports something has not taken the command by that.
        opener=Principal(kind=PrincipalKind.SYSTEM, id=finding.detector),
        administrators=administrators(tx, tx.now),
        runs=_runs(finding),
        tools=opening.tools_of(finding),
        title=finding.title,
        status=IncidentStatus.PROPOSED if proposed else IncidentStatus.INVESTIGATING,
        rule=_rule_name(finding),
        tags=proposed_tags(finding.type, finding.kind, sent=sent),
    )
    tx.record(event)
    return incident


def _sent(calls: tuple[r.Call, ...]) -> bool:
    return any(call.effect is EffectKind.SEND and call.verdict is Verdict.ALLOW for call in calls)


def _hold(tx: Tx, manifests: Manifests, finding: Finding, incident: str) -> str | None:
    scope = scope_asked_for(finding, manifests.current(tx, finding.workflow).manifest)
    if scope is None:
        return None
    reason = f"{finding.detector}: {finding.summary}"
    return pause(
        tx, scope=scope, mode=HoldMode.BLOCK, reason=reason, incident=incident, rule=_rule_name(finding)
    ).hold.id
