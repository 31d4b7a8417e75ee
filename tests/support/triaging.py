"""An office whose rule proposes instead of opening: what the stories about sorting incidents begin with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from stopwork.detect.detector import Finding
from stopwork.ledger import records as r
from stopwork.ledger.words import IncidentType, ScopeKind, Severity, SignalKind
from stopwork.operations import signals, triage
from stopwork.storage.transaction import Tx
from tests.support.office import LEE, MANIFEST, WORKFLOW, Office

T = TypeVar("T")

#: Added to the alert rules of the office's manifest, and below everything else in it.
PROPOSES: Final = "  policy_violation: {open: propose}\n"
DEMOTES: Final = "stages: {demote: {to: read_only, on: [policy_violation]}}\n"


def office_where(folder: Path, rules: str = PROPOSES, **more: Any) -> Office:
    """Answer an office with these alert rules besides its own."""
    return Office(folder, manifest=MANIFEST + rules, **more)


def noticed(office: Office, key: str = "crm.set_discount", **changes: Any) -> signals.Raised:
    """Let a detector notice something."""
    usual: dict[str, Any] = {
        "type": IncidentType.TOOL_MISUSE,
        "kind": SignalKind.POLICY_VIOLATION,
        "detector": "policy_violation",
        "key": key,
        "workflow": WORKFLOW,
        "summary": "it does what it should not",
        "facts": {"tool": key},
        "severity": Severity.SEV1,
        "occurred_at": office.clock.now(),
    }
    finding = Finding(**(usual | changes))
    return office.write(lambda tx: signals.raise_finding(tx, office.inst.manifests, finding))


def held(office: Office, key: str = "crm.set_discount", **changes: Any) -> signals.Raised:
    """Let a detector notice something whose rule holds the tool at once."""
    return noticed(office, key, hold=ScopeKind.TOOL, **changes)


def new_incident(office: Office, key: str = "crm.set_discount", **changes: Any) -> str:
    """Let a detector notice something new, and answer its incident."""
    raised = noticed(office, key, **changes)
    if raised.incident is None or not raised.opened:
        raise AssertionError(f"no incident came of it: {raised}")
    return raised.incident


def incident(office: Office, incident_id: str) -> r.Incident:
    return office.read(lambda view: view.need(r.Incident, incident_id))


def does(office: Office, work: Callable[[Tx], T], *, by: r.Principal = LEE) -> T:
    return office.write(work, actor=by)


def accept(office: Office, incident_id: str, *, by: r.Principal = LEE) -> r.Incident:
    return does(office, lambda tx: triage.accept(tx, incident=incident_id), by=by)


def decline(
    office: Office, incident_id: str, reason: str = "it was the test run", *, by: r.Principal = LEE
) -> triage.Declined:
    return does(office, lambda tx: triage.decline(tx, incident=incident_id, reason=reason), by=by)


def merge(
    office: Office, incident_id: str, into: str, reason: str = "one cause", *, by: r.Principal = LEE
) -> r.Incident:
    return does(
        office,
        lambda tx: triage.merge(tx, office.inst.manifests, incident=incident_id, into=into, reason=reason),
        by=by,
    )
