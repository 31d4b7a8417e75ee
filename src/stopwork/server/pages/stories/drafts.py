"""The pages of drafted calls, in every state."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations.approval_evidence import FieldNow, ObjectNow, Similar
from stopwork.operations.draft_standing import Standing
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders.controls import argument_fields
from stopwork.server.pages.stories import world as s

changed = msgspec.structs.replace

PEOPLE = ("dana@acme.test", "kim@acme.test")
ASKED = {"account_id": "acc-104", "renewal_risk": "high", "note": "Three tickets in a week."}
DRAFT = r.Draft(
    id="call_0000000031",
    run=s.RUN.id,
    workflow=s.WORKFLOW.id,
    version=3,
    tool="crm.update_account",
    effect=w.EffectKind.UPDATE,
    risk=w.Risk.MEDIUM,
    key="sha256:9b1c",
    has_business_key=True,
    asked=ASKED,
    args=ASKED,
    digest="sha256:5a0f2c8b9d1e",
    requested_at=s.ago(minutes=14),
    requested_by=s.AGENT,
    state=w.DraftState.OPEN,
    reasons=(
        r.Reason(
            kind=w.ReasonKind.STAGE,
            verdict=w.Verdict.DRAFT,
            text="weekly-renewal-risk is at the stage draft only: its changes are drafted, not made",
            source="draft_only",
        ),
    ),
)
MENDED = ASKED | {"renewal_risk": "medium"}
EDITED = changed(
    DRAFT,
    args=MENDED,
    edits=(r.Edit(person="lee@acme.test", at=s.ago(minutes=6), before=ASKED, after=MENDED),),
)
RELEASED = changed(
    EDITED,
    state=w.DraftState.RELEASED,
    release=r.Release(
        person="dana@acme.test",
        at=s.ago(minutes=3),
        reason="Checked with the account's owner.",
        approval="appr_7",
        call="call_0000000044",
    ),
)
FAILED = changed(
    RELEASED,
    state=w.DraftState.FAILED,
    note="not started: the object crm/account/acc-104 could not be read",
    closed_at=s.ago(minutes=1),
    closed_by=s.AGENT,
)
DISCARDED = changed(
    DRAFT,
    id="call_0000000029",
    state=w.DraftState.DISCARDED,
    note="The customer has left.",
    closed_at=s.ago(minutes=2),
    closed_by=s.DANA,
)
SUPERSEDED = changed(
    DRAFT,
    id="call_0000000021",
    state=w.DraftState.SUPERSEDED,
    note="the same work was drafted again: call_0000000031",
    superseded_by=DRAFT.id,
    closed_at=s.ago(minutes=14),
    closed_by=s.AGENT,
)
ACCOUNT = ObjectNow(
    object=s.ACCOUNT,
    image=r.Image.present({"account_id": "acc-104", "renewal_risk": "low", "owner": "kim@acme.test"}),
    differences=(FieldNow(field="renewal_risk", now="low", would="high"),),
)
EARLIER = Similar(
    call=s.UPDATE_CALL.id,
    run=s.RUN.id,
    at=s.ago(days=7),
    args=s.UPDATE_CALL.args,
    verdict=w.Verdict.ALLOW,
    outcome=w.Outcome.SUCCEEDED,
    decided_by=("dana@acme.test",),
)


def draft_stories(frame: Callable[..., c.Frame]) -> Iterator[tuple[str, c.Context]]:
    """Answer the list and the page of a draft in every state."""
    listing = c.DraftsContext(
        frame=frame("Drafts", "drafts"),
        open=(c.DraftRow(draft=EDITED),),
        released=(
            c.DraftRow(
                draft=changed(RELEASED, id="call_0000000030"),
                waits_for="a guard of weekly-renewal-risk, since 2026-01-05 08:28 UTC",
            ),
        ),
        closed=(DISCARDED, SUPERSEDED),
        filters=(
            c.Filter(
                name="workflow", label="Workflow", choices=(c.Choice(value="", label="any", chosen=True),)
            ),
        ),
        paging=c.Paging(shown=2),
    )
    yield "drafts", listing
    yield "drafts-none", changed(listing, open=(), released=(), closed=())
    page = c.DraftContext(
        frame=frame("Draft", "drafts"),
        standing=Standing(
            draft=DRAFT,
            waits_for="dana@acme.test and kim@acme.test to release, edit or discard it",
            approvers=PEOPLE,
            object=ACCOUNT,
            similar=(EARLIER,),
        ),
        workflow=s.WORKFLOW,
        run=s.RUN,
        fields=argument_fields(ASKED),
    )
    yield "draft", page
    yield (
        "draft-held",
        changed(
            page,
            standing=changed(
                page.standing, against=("held by hold_1: tool crm.update_account, the risk is wrong",)
            ),
        ),
    )
    yield (
        "draft-others",
        changed(
            page,
            standing=changed(
                page.standing,
                object=changed(ACCOUNT, image=r.Image.unknown("crm is not connected here"), differences=()),
            ),
            fields=(),
            why_not_release="It can be released by dana@acme.test and kim@acme.test.",
            why_not_decide="It can be edited or discarded by dana@acme.test, lee@acme.test and kim@acme.test.",
        ),
    )
    for name, draft, waits_for, call in (
        ("draft-released", RELEASED, "a guard of weekly-renewal-risk, since 2026-01-05 08:28 UTC", None),
        ("draft-failed", FAILED, "dana@acme.test to release, edit or discard it", None),
        (
            "draft-unknown",
            changed(RELEASED, state=w.DraftState.UNKNOWN, note="its guard has been silent since"),
            "someone to look whether it happened, and to settle the call",
            s.DOUBTFUL_CALL,
        ),
        ("draft-discarded", DISCARDED, "", None),
        ("draft-superseded", SUPERSEDED, "", None),
    ):
        standing = changed(page.standing, draft=draft, waits_for=waits_for, call=call, similar=())
        fields = page.fields if draft is FAILED else ()
        yield name, changed(page, standing=standing, fields=fields)
