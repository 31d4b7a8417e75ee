"""What the sections of the incident page hold in the stories."""

from __future__ import annotations

import msgspec

from stopwork.incidents.affected import AffectedObject
from stopwork.incidents.communicate import Told
from stopwork.incidents.similar import Similar
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations.similarities import SimilarCalls
from stopwork.server.pages import contexts as c
from stopwork.server.pages.stories import aftermath as a
from stopwork.server.pages.stories import world as s

changed = msgspec.structs.replace


def fields_of(item: r.Item) -> tuple[c.FieldChange, ...]:
    """Answer what an item would do, field by field."""
    return tuple(
        c.FieldChange(name=name, before=left, after=back) for name, (left, back) in item.changes.items()
    )


PROPOSED = c.RecoverPanel(
    plan=a.PLAN,
    items=tuple(c.ItemRow(item=item, fields=fields_of(item)) for item in a.ITEMS),
    approver="dana@acme.test",
    may_approve=True,
)


def _ran() -> c.RecoverPanel:
    first, second, third, fourth = a.ITEMS
    outcome = (
        c.ItemRow(
            item=changed(first, state=w.ItemState.VERIFIED, finished_at=s.ago(minutes=2)),
            fields=fields_of(first),
        ),
        c.ItemRow(
            item=changed(
                second, state=w.ItemState.CONFLICT, note="kim@acme.test set it to 2026-07-15 at 08:25 UTC."
            ),
            fields=(
                c.FieldChange(
                    name="renewal_date",
                    before="2026-06-30",
                    after="2025-06-30",
                    now="2026-07-15",
                    now_known=True,
                ),
            ),
            conflict="kim@acme.test set it to 2026-07-15 at 08:25 UTC",
        ),
        c.ItemRow(
            item=changed(third, state=w.ItemState.FAILED, note="The CRM answered 503 three times."),
            fields=fields_of(third),
        ),
        c.ItemRow(item=changed(fourth, state=w.ItemState.ACCEPTED), fields=()),
    )
    plan = changed(
        a.PLAN, state=w.PlanState.RUNNING, approved_by="dana@acme.test", approved_at=s.ago(minutes=3)
    )
    return changed(PROPOSED, plan=plan, items=outcome)


RAN = _ran()


def _asked_again() -> c.RecoverPanel:
    """Answer the plan after that: what could not be put right, and a task that is proposed to stay."""
    first, second, third, fourth = RAN.items
    conflict = "it was changed by somebody else since"
    again = changed(second.item, state=w.ItemState.PROPOSED, keep=conflict, earlier="item_0002", note="")
    retried = changed(third.item, state=w.ItemState.PROPOSED, earlier="item_0003")
    stays = changed(
        third.item,
        id="item_0009",
        preview="Close task task-3317, made by crm.create_task",
        state=w.ItemState.PROPOSED,
        keep="it is the original of 1 copy; only copies are taken back",
        note="",
    )
    return changed(
        PROPOSED,
        items=(
            changed(second, item=again, conflict=conflict, ticked=False),
            changed(third, item=retried),
            c.ItemRow(item=stays, fields=(), ticked=False),
        ),
        decided=(first.item, fourth.item),
    )


ASKED_AGAIN = _asked_again()


def _affected(
    ref: r.ObjectRef, operation: w.Operation, calls: tuple[r.Call, ...], *fields: c.FieldChange
) -> c.AffectedRow:
    found = AffectedObject(
        object=ref,
        operation=operation,
        before=r.Image.unknown("story"),
        after=r.Image.unknown("story"),
        runs=(s.RUN.id,),
        calls=tuple(call.id for call in calls),
        effects=(),
        approvals=tuple(call.approval for call in calls if call.approval),
        reversible=operation is not w.Operation.SENT,
        transient=operation is w.Operation.DELETED,
    )
    return c.AffectedRow(object=found, fields=fields, calls=tuple((call.id, call.run) for call in calls))


OBJECTS = (
    _affected(
        s.ACCOUNT,
        w.Operation.MODIFIED,
        (s.UPDATE_CALL,),
        c.FieldChange(
            name="renewal_date", before="2026-03-31", after="2025-03-31", now="2025-03-31", now_known=True
        ),
        c.FieldChange(name="renewal_risk", before="low", after="high", now="medium", now_known=True),
    ),
    _affected(
        s.COPY,
        w.Operation.CREATED,
        (s.CREATE_CALL, s.COPY_CALL),
        c.FieldChange(name="title", before=None, after="Prepare renewal of Brightwater Logistics"),
    ),
    _affected(
        r.ObjectRef(system="mail", type="message", id="msg-88"),
        w.Operation.SENT,
        (s.WAITING_CALL,),
        c.FieldChange(name="to", before=None, after="ops@acme.test", before_known=False),
    ),
    _affected(msgspec.structs.replace(s.TASK, id="task-3320"), w.Operation.DELETED, (s.COPY_CALL,)),
)

SIMILAR = SimilarCalls(
    of=(s.COPY_CALL.id,),
    found=1,
    calls=(
        Similar(
            call=s.CREATE_CALL,
            like=s.COPY_CALL.id,
            score=9,
            why=("same tool, crm.create_task", "same arguments by name and kind"),
        ),
    ),
)


def _told(audience: w.Audience, why: str, *, needed: bool = True) -> Told:
    return Told(audience=audience, needed=needed, why=why, recipients=())


AUDIENCES = (
    c.AudienceRow(told=_told(w.Audience.BUSINESS_OWNER, "Told at every incident."), message=a.MESSAGE),
    c.AudienceRow(
        told=_told(w.Audience.TECHNICAL_OWNER, "Told at every incident."),
        message=changed(
            a.MESSAGE,
            audience=w.Audience.TECHNICAL_OWNER,
            recipients=("lee@acme.test",),
            state=w.MessageState.FAILED,
            approved_by="dana@acme.test",
            approved_at=s.ago(minutes=2),
            delivery={"lee@acme.test": "refused"},
            error="The mail server refused the address.",
        ),
    ),
    c.AudienceRow(
        told=_told(w.Audience.AFFECTED_INTERNAL_USERS, "People use the tasks that were duplicated."),
        message=changed(
            a.MESSAGE,
            audience=w.Audience.AFFECTED_INTERNAL_USERS,
            recipients=("success@acme.test", "sales@acme.test"),
            state=w.MessageState.APPROVED,
            approved_by="dana@acme.test",
            approved_at=s.ago(minutes=1),
        ),
    ),
    c.AudienceRow(
        told=_told(w.Audience.LEGAL_COMPLIANCE, "Customer commitments were touched."),
        message=changed(
            a.MESSAGE,
            audience=w.Audience.LEGAL_COMPLIANCE,
            recipients=("legal@acme.test",),
            state=w.MessageState.SENDING,
            approved_by="dana@acme.test",
            approved_at=s.ago(minutes=1),
        ),
    ),
    c.AudienceRow(told=_told(w.Audience.SECURITY, "Customer commitments were touched.")),
)

NOT_TOLD = (
    _told(w.Audience.EXTERNAL_PARTIES, "nothing reached anyone outside", needed=False),
    _told(w.Audience.EXECUTIVES, "only at SEV0 and SEV1", needed=False),
)

LEARN = c.LearnPanel(
    fields=(
        c.PostmortemField(
            name="summary",
            label="Summary",
            value="A retry after a time-out repeated task creation; a stale export gave wrong dates.",
            prefilled=True,
        ),
        c.PostmortemField(
            name="timeline",
            label="Timeline",
            value="08:17:14 UTC detected\n08:17:14 UTC paused\n08:23 UTC sealed",
            prefilled=True,
        ),
        c.PostmortemField(
            name="root_cause",
            label="Root cause",
            value="",
            hint="Why did the system allow it? Name no person.",
        ),
        c.PostmortemField(
            name="control_gap",
            label="Control gap",
            value="crm.create_task declares no idempotency key.",
            prefilled=True,
        ),
    ),
    follow_ups=(a.CALM_FOLLOW_UPS[0],),
    proposed=(w.RemediationClass.IDEMPOTENCY, w.RemediationClass.INPUT_FRESHNESS),
    mandatory=True,
    shallow="The only remedy is a prompt edit. Name a control that would have stopped it.",
)

CHECK_STATES = (
    (w.ReenableCheck.PAUSED_OR_NARROWED, w.CheckState.PASSED, "crm.create_task is held.", "", ""),
    (w.ReenableCheck.AUDIT_COMPLETE, w.CheckState.PASSED, "Twelve questions answered.", "", ""),
    (
        w.ReenableCheck.RECORDS_CORRECTED,
        w.CheckState.EXCEPTED,
        "1 conflict left as it is: the owner's newer date is right.",
        "dana@acme.test",
        "",
    ),
    (w.ReenableCheck.ROOT_CAUSE_KNOWN, w.CheckState.PASSED, "Recorded.", "", ""),
    (
        w.ReenableCheck.CONTROL_PATCHED,
        w.CheckState.PASSED,
        "Version 4 gives crm.create_task a key.",
        "",
        "",
    ),
    (
        w.ReenableCheck.PERMISSIONS_REDUCED,
        w.CheckState.FAILED,
        "Version 4 has the same permissions.",
        "",
        "Attest in my name",
    ),
    (
        w.ReenableCheck.TESTS_ADDED,
        w.CheckState.ATTESTED,
        "Replay of the duplicate is a test now.",
        "lee@acme.test",
        "Attest in my name",
    ),
    (w.ReenableCheck.MONITORING_UPDATED, w.CheckState.PASSED, "A freshness alert is declared.", "", ""),
    (w.ReenableCheck.RUNBOOK_UPDATED, w.CheckState.UNKNOWN, "Records cannot tell.", "", "Attest in my name"),
    (
        w.ReenableCheck.OWNER_APPROVED,
        w.CheckState.FAILED,
        "dana@acme.test has not signed.",
        "",
        "Sign the return",
    ),
    (w.ReenableCheck.FIRST_RUN_MONITORED, w.CheckState.FAILED, "No run yet at this stage.", "", ""),
)
