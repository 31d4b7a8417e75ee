"""The stories of approvals: asked, changed by a reviewer, stale, another person's, decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace as changed

from stopwork.control.provenance import Origin, OriginKind
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations.approval_evidence import ApprovalEvidence, FieldNow, ObjectNow, Similar, WillRun
from stopwork.server.pages import contexts as c
from stopwork.server.pages.stories import world as s

_EDITED = {**s.WAITING_CALL.args, "subject": "Your renewal, with the dates we agreed"}
EDITED_APPROVAL = changed(
    s.APPROVAL,
    content={"tool": "mail.send", "args": _EDITED},
    quorum=2,
    approvers=("dana@acme.test", "lee@acme.test", "kim@acme.test"),
    decisions=(r.Decision(person="lee@acme.test", approve=True, note="Clearer so", at=s.ago(minutes=2)),),
    editable=True,
    edits=(
        r.Edit(
            person="lee@acme.test",
            at=s.ago(minutes=2),
            before=s.WAITING_CALL.args,
            after=_EDITED,
            void=(r.Decision(person="dana@acme.test", approve=True, note="", at=s.ago(minutes=4)),),
        ),
    ),
    escalates_at=s.ago(minutes=3),
    escalates_to=("kim@acme.test",),
    escalated_at=s.ago(minutes=3),
)
OBJECT_NOW = ObjectNow(
    object=r.ObjectRef(system="crm", type="contact", id="brightwater"),
    image=r.Image.present({"to": "old@brightwater.test", "name": s.HOSTILE}),
    differences=(FieldNow(field="to", now="old@brightwater.test", would=s.WAITING_CALL.args["to"]),),
)
EVIDENCE = ApprovalEvidence(
    approval=EDITED_APPROVAL,
    will_run=WillRun(
        tool="mail.send",
        effect=s.WAITING_CALL.effect,
        risk=s.WAITING_CALL.risk,
        args=_EDITED,
        exact='{"args":{…},"principal":"weekly-renewal-risk","tool":"mail.send","workflow":"weekly-renewal-risk"}',
        digest=EDITED_APPROVAL.digest,
        asked=s.WAITING_CALL.args,
        edits=EDITED_APPROVAL.edits,
    ),
    origins=(
        Origin(
            field="to",
            value=s.WAITING_CALL.args["to"],
            kind=OriginKind.RESULT,
            record=s.UPDATE_CALL.id,
            what="inbox.search",
            source="inbox",
            within=True,
            untrusted=True,
        ),
        Origin(field="subject", value=_EDITED["subject"], kind=OriginKind.REVIEWER, what="lee@acme.test"),
        Origin(field="body", value=s.HOSTILE, kind=OriginKind.NEW),
        Origin(field="copies", value=1, kind=OriginKind.UNCLEAR),
    ),
    object=OBJECT_NOW,
    similar=(
        Similar(
            call="call_41",
            run=s.RUN.id,
            at=s.ago(days=7),
            args=s.WAITING_CALL.args,
            verdict=w.Verdict.ALLOW,
            outcome=w.Outcome.SUCCEEDED,
            decided_by=("dana@acme.test",),
        ),
        Similar(
            call="call_17",
            run=s.RUN.id,
            at=s.ago(days=14),
            args={"to": s.HOSTILE},
            verdict=w.Verdict.DENY,
            outcome=None,
            decided_by=("kim@acme.test",),
        ),
    ),
)


DECIDED = changed(
    s.APPROVAL,
    id="apr_01ke5b",
    title="Send mail to billing@northgate.test",
    state=w.ApprovalState.REJECTED,
    requested_at=s.ago(days=2),
    decisions=(
        r.Decision(person="dana@acme.test", approve=False, note="The date is wrong", at=s.ago(days=2)),
    ),
)
EXPIRED = changed(
    s.APPROVAL,
    id="apr_01ke4b",
    title="Pay invoice 2214",
    state=w.ApprovalState.EXPIRED,
    requested_at=s.ago(days=3),
)


def approval_stories(frame: Callable[..., c.Frame]) -> Iterator[tuple[str, c.Context]]:
    """Answer the list of questions and one question in each of its states."""
    pending = c.ApprovalRow(approval=s.APPROVAL)
    approvals = frame("Approvals", "approvals")
    foreign = c.ApprovalRow(
        approval=changed(s.APPROVAL, id="apr_2", title="Pay invoice 2214"),
        why_not="Only kim@acme.test may answer.",
    )
    yield (
        "approvals",
        c.ApprovalsContext(
            frame=approvals,
            waiting=(pending,),
            others=(foreign,),
            decided=(DECIDED, EXPIRED),
        ),
    )
    yield "approvals-none", c.ApprovalsContext(frame=approvals, waiting=(), others=(), decided=())
    yield (
        "approval",
        c.ApprovalContext(frame=approvals, row=pending, call=s.WAITING_CALL, workflow=s.WORKFLOW),
    )
    edited = c.ApprovalContext(
        frame=approvals,
        row=c.ApprovalRow(approval=EDITED_APPROVAL),
        call=s.WAITING_CALL,
        workflow=s.WORKFLOW,
        evidence=EVIDENCE,
        fields=(
            c.ArgumentField(name="to", kind="text", text=s.WAITING_CALL.args["to"]),
            c.ArgumentField(name="copies", kind="number", text="1"),
            c.ArgumentField(name="urgent", kind="choice", text="false"),
            c.ArgumentField(name="attachments", kind="json", text='["quote.pdf"]'),
        ),
    )
    yield "approval-edited", edited
    looked_away = r.Image.unknown("crm did not answer within 2 s")
    yield (
        "approval-stale",
        changed(
            edited,
            evidence=changed(
                EVIDENCE,
                stale=("the manifest went from version 3 to 4",),
                object=changed(OBJECT_NOW, image=looked_away, differences=()),
                similar=(),
            ),
            fields=(),
        ),
    )
    yield (
        "approval-own",
        c.ApprovalContext(
            frame=approvals,
            row=changed(pending, why_not="You asked for this yourself; somebody else must answer."),
            call=s.DENIED_CALL,
            workflow=s.WORKFLOW,
        ),
    )
    yield (
        "approval-decided",
        c.ApprovalContext(frame=approvals, row=c.ApprovalRow(approval=DECIDED)),
    )
