"""Records: what is known now, each a fold of the journal (see :mod:`stopwork.ledger.fold`).

A record is frozen; a change is a new record made from an event. ``id`` is the primary key everywhere.
Times are aware and in UTC. Content that came from outside (arguments, results, images) is plain JSON.
"""

from __future__ import annotations

from stopwork.ledger.records.controls import Approval, Credential, Hold, Nag
from stopwork.ledger.records.drafts import Claim, Draft, Release
from stopwork.ledger.records.incidents import (
    Audit,
    Bundle,
    Check,
    ContainmentItem,
    FollowUp,
    Incident,
    Item,
    ItemEdit,
    Message,
    Note,
    Plan,
    Postmortem,
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
    "Audit",
    "Bundle",
    "Call",
    "Captured",
    "Check",
    "Claim",
    "ContainmentItem",
    "Control",
    "Credential",
    "Day",
    "Decision",
    "Draft",
    "Edit",
    "Effect",
    "Factor",
    "FollowUp",
    "Hold",
    "Image",
    "Incident",
    "Item",
    "ItemEdit",
    "Key",
    "LevelTest",
    "ManifestVersion",
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
    "Run",
    "Scope",
    "Signal",
    "Step",
    "Way",
    "Workflow",
]
