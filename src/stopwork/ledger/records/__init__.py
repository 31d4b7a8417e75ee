"""Records: what is known now, each a fold of the journal (see :mod:`stopwork.ledger.fold`).

A record is frozen; a change is a new record made from an event. ``id`` is the primary key everywhere.
Times are aware and in UTC. Content that came from outside (arguments, results, images) is plain JSON.
"""

from __future__ import annotations

from stopwork.ledger.records.audits import (
    Audit,
    AuditCompleteness,
    AuditFollowed,
    AuditLink,
    AuditScope,
    SystemSeen,
)
from stopwork.ledger.records.backfills import Backfill, BackfillCheck, BackfillFinding
from stopwork.ledger.records.blobs import BlobRef
from stopwork.ledger.records.checklists import Asked
from stopwork.ledger.records.containment import ContainmentItem, ContainmentPlace
from stopwork.ledger.records.controls import Approval, Credential, Hold, Nag
from stopwork.ledger.records.drafts import Claim, Draft, Release
from stopwork.ledger.records.feeds import FeedChange
from stopwork.ledger.records.incidents import (
    Bundle,
    Check,
    Drift,
    Drifted,
    FollowUp,
    Incident,
    Item,
    ItemEdit,
    LastLook,
    Message,
    Note,
    Plan,
    Postmortem,
    Rest,
    Signal,
    Way,
)
from stopwork.ledger.records.parts import (
    Answer,
    Captured,
    Decision,
    Edit,
    Factor,
    Image,
    ObjectRef,
    Observed,
    Principal,
    Reason,
    Record,
    Scope,
)
from stopwork.ledger.records.pause_tests import LevelTest, PauseTest
from stopwork.ledger.records.preserving import LegalHold
from stopwork.ledger.records.reports import TracedTool
from stopwork.ledger.records.steering import Suspicion, Vetted, thing_of
from stopwork.ledger.records.telling import Response, Telling
from stopwork.ledger.records.timeline import Correction, Mark
from stopwork.ledger.records.work import (
    Call,
    Control,
    Day,
    Effect,
    Key,
    ManifestVersion,
    Point,
    Run,
    Step,
    Workflow,
)

__all__ = [
    "Answer",
    "Approval",
    "Asked",
    "Audit",
    "AuditCompleteness",
    "AuditFollowed",
    "AuditLink",
    "AuditScope",
    "Backfill",
    "BackfillCheck",
    "BackfillFinding",
    "BlobRef",
    "Bundle",
    "Call",
    "Captured",
    "Check",
    "Claim",
    "ContainmentItem",
    "ContainmentPlace",
    "Control",
    "Correction",
    "Credential",
    "Day",
    "Decision",
    "Draft",
    "Drift",
    "Drifted",
    "Edit",
    "Effect",
    "Factor",
    "FeedChange",
    "FollowUp",
    "Hold",
    "Image",
    "Incident",
    "Item",
    "ItemEdit",
    "Key",
    "LastLook",
    "LegalHold",
    "LevelTest",
    "ManifestVersion",
    "Mark",
    "Message",
    "Nag",
    "Note",
    "ObjectRef",
    "Observed",
    "PauseTest",
    "Plan",
    "Point",
    "Postmortem",
    "Principal",
    "Reason",
    "Record",
    "Release",
    "Response",
    "Rest",
    "Run",
    "Scope",
    "Signal",
    "Step",
    "Suspicion",
    "SystemSeen",
    "Telling",
    "TracedTool",
    "Vetted",
    "Way",
    "Workflow",
    "thing_of",
]
