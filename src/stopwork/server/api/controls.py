"""What people control: manifests, holds, approvals, stages."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from msgspec import Meta, Struct
from msgspec.structs import asdict

from stopwork.incidents.prepare import Preparedness
from stopwork.kernel.errors import Denied
from stopwork.ledger import records as r
from stopwork.ledger.words import ApprovalState, HoldMode, Outcome, PauseRisk, PrincipalKind, ScopeKind, Stage
from stopwork.manifest.diff import Change
from stopwork.operations import (
    approvals,
    holds,
    manifests,
    pause_tests,
    preparedness,
    proposing,
    returning,
    settling,
)
from stopwork.operations.approval_evidence import ApprovalEvidence, evidence
from stopwork.operations.renaming import Lookalike
from stopwork.server.api.endpoint import Access, Act, Endpoint, Given, Page, Read, Write
from stopwork.server.api.looking import looking_at
from stopwork.storage.view import View

Reason = Annotated[str, Meta(min_length=1, max_length=2_000)]
Manifest = Annotated[str, Meta(max_length=300_000)]


class ManifestText(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    text: Manifest
    filename: Annotated[str, Meta(max_length=500)] = "stopwork.yaml"


class ApplyManifest(ManifestText, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``expected_version`` is the version that was compared with; 0 when there was none.

    ``another`` says that a new workflow is not one that is held, under a new name.
    """

    reason: Annotated[str, Meta(max_length=2_000)] = ""
    expected_version: int | None = None
    another: bool = False


class Warned(Struct, frozen=True, kw_only=True):
    line: int
    field: str
    message: str


class Applied(Struct, frozen=True, kw_only=True):
    """A manifest's version, what it changes against the one in force and what it warns of.

    ``unchanged`` when it is that version, or proposed, already. ``proposed`` when it waits for one of ``signers``, because of the fields
    that ``loosens`` names. ``lookalikes`` are held workflows that this one could be another name of.
    """

    workflow: str
    version: int
    in_force: int
    unchanged: bool
    proposed: bool
    signers: tuple[str, ...]
    loosens: tuple[str, ...]
    lookalikes: tuple[Lookalike, ...]
    changes: tuple[Change, ...]
    warnings: tuple[Warned, ...]


class SetHold(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    scope: r.Scope
    reason: Reason
    mode: HoldMode = HoldMode.BLOCK
    incident: str | None = None


class LiftHold(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


class HoldFilter(Page, frozen=True, kw_only=True):
    active: bool | None = None
    incident: str | None = None


class ProposalFilter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of the danger: an incident, a risk, or what has to do with it."""

    incident: str | None = None
    risk: PauseRisk | None = None
    tool: str | None = None
    trigger: str | None = None
    permission: str | None = None
    source: str | None = None
    destination: str | None = None


class ApprovalFilter(Page, frozen=True, kw_only=True):
    state: ApprovalState | None = None
    incident: str | None = None


class Decide(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``digest`` is that of the content which the person was shown. ``args`` are approved in the place of those that were."""

    approve: bool
    digest: str
    args: dict[str, Any] | None = None
    note: Annotated[str, Meta(max_length=2_000)] = ""


class ChangeStage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    stage: Stage
    reason: Reason
    incident: str | None = None


class Reconcile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``result`` is what a later call with the same key is answered; without one it is denied."""

    outcome: Outcome
    note: Reason
    result: Any = None


def _applied(found: manifests.Preview) -> Applied:
    return Applied(
        workflow=found.workflow,
        version=found.version,
        in_force=found.in_force,
        unchanged=found.unchanged,
        proposed=found.proposed,
        signers=found.signers,
        loosens=found.loosens,
        lookalikes=found.lookalikes,
        changes=found.changes,
        warnings=tuple(
            Warned(line=each.line, field=each.field, message=each.message) for each in found.loaded.warnings
        ),
    )


Owned = TypeVar("Owned", r.Workflow, r.Hold, r.Approval)


def _own(given: Given, record: Owned) -> Owned:
    """Answer the record to whoever may see it: an agent sees what is about its own workflow only."""
    if given.actor.kind is PrincipalKind.AGENT and given.actor.id != _workflow_of(record):
        raise Denied(
            f"{given.actor} sees what is about its own workflow only",
            hint="Ask as a person, or with a token of that workflow.",
            found=given.actor.id,
        )
    return record


def _offers(view: View, given: Given) -> tuple[proposing.Offer, ...]:
    known = {name: found for name, found in asdict(given.query).items() if found is not None}
    return proposing.offers(
        view,
        given.installation.manifests,
        workflow=given.path["workflow"],
        now=given.installation.store.clock.now(),
        incident=known.pop("incident", None),
        risk=known.pop("risk", None),
        facts=known,
    )


def _workflow_of(record: r.Workflow | r.Hold | r.Approval) -> str | None:
    if isinstance(record, r.Workflow):
        return record.id
    if isinstance(record, r.Approval):
        return record.workflow
    return record.scope.name if record.scope.kind is ScopeKind.WORKFLOW else record.scope.workflow


def page_of(query: Page, **conditions: Any) -> dict[str, Any]:
    """Answer the arguments of a paged search: the page, and the conditions that were given."""
    given = {name: value for name, value in conditions.items() if value is not None}
    return {"limit": query.limit, "after": query.after, **given}


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/v1/manifests/preview",
        name="preview_manifest",
        summary="Check a manifest and show what applying it would change",
        does=Read(
            lambda view, g: _applied(
                manifests.preview(
                    view,
                    g.body.text,
                    author=g.actor.id,
                    now=g.installation.store.clock.now(),
                    filename=g.body.filename,
                )
            )
        ),
        body=ManifestText,
        answer=Applied,
        tag="manifests",
    ),
    Endpoint(
        method="POST",
        path="/v1/manifests",
        name="apply_manifest",
        summary="Make a manifest the version in force, or propose it where a second person has to sign",
        does=Write(
            lambda tx, g: _applied(
                manifests.apply(
                    tx,
                    g.body.text,
                    reason=g.body.reason,
                    filename=g.body.filename,
                    expected_version=g.body.expected_version,
                    another=g.body.another,
                )
            )
        ),
        body=ApplyManifest,
        answer=Applied,
        tag="manifests",
    ),
    Endpoint(
        method="GET",
        path="/v1/workflows",
        name="list_workflows",
        summary="List workflows",
        does=Read(lambda view, g: view.find(r.Workflow, **page_of(g.query))),
        query=Page,
        answer=list[r.Workflow],
        tag="workflows",
    ),
    Endpoint(
        method="GET",
        path="/v1/workflows/{workflow}",
        name="get_workflow",
        summary="One workflow",
        does=Read(lambda view, g: _own(g, manifests.known_workflow(view, g.path["workflow"]))),
        answer=r.Workflow,
        access=Access.ANY,
        tag="workflows",
    ),
    Endpoint(
        method="GET",
        path="/v1/workflows/{workflow}/preparedness",
        name="get_preparedness",
        summary="How ready a workflow is for its next incident",
        does=Read(
            lambda view, g: preparedness.assess(
                view,
                g.installation.manifests,
                workflow=g.path["workflow"],
                now=g.installation.store.clock.now(),
            )
        ),
        answer=Preparedness,
        tag="workflows",
    ),
    Endpoint(
        method="GET",
        path="/v1/workflows/{workflow}/pause-proposals",
        name="propose_pause",
        summary="The holds to choose from, smallest first, with what each would have stopped",
        does=Read(_offers),
        query=ProposalFilter,
        answer=list[proposing.Offer],
        tag="holds",
    ),
    Endpoint(
        method="POST",
        path="/v1/workflows/{workflow}/pause-test",
        name="test_pause",
        summary="Prove that a pause stops a workflow, at each of the four levels, without stopping it",
        does=Act(lambda g: pause_tests.run(g.installation, g.actor, workflow=g.path["workflow"])),
        answer=r.PauseTest,
        tag="workflows",
    ),
    Endpoint(
        method="POST",
        path="/v1/workflows/{workflow}/stage",
        name="change_stage",
        summary="Take autonomy away from a workflow, or give it the next stage where no incident has stopped it",
        does=Write(
            lambda tx, g: returning.change_stage(
                tx,
                workflow=g.path["workflow"],
                stage=g.body.stage,
                reason=g.body.reason,
                incident=g.body.incident,
            ),
            urgent=True,
        ),
        body=ChangeStage,
        answer=r.Workflow,
        tag="workflows",
    ),
    Endpoint(
        method="POST",
        path="/v1/holds",
        name="set_hold",
        summary="Pause a scope; answers what is closed, in flight and not confirmed",
        does=Write(
            lambda tx, g: holds.pause(
                tx, scope=g.body.scope, reason=g.body.reason, mode=g.body.mode, incident=g.body.incident
            ),
            urgent=True,
        ),
        body=SetHold,
        answer=holds.Pause,
        access=Access.ANY,
        status=201,
        tag="holds",
    ),
    Endpoint(
        method="GET",
        path="/v1/holds",
        name="list_holds",
        summary="List holds",
        does=Read(
            lambda view, g: view.find(
                r.Hold, order="-id", **page_of(g.query, active=g.query.active, incident=g.query.incident)
            )
        ),
        query=HoldFilter,
        answer=list[r.Hold],
        tag="holds",
    ),
    Endpoint(
        method="GET",
        path="/v1/holds/{hold}",
        name="get_hold",
        summary="What a hold has achieved so far",
        does=Read(
            lambda view, g: holds.status(
                view, _own(g, view.need(r.Hold, g.path["hold"])), now=g.installation.store.clock.now()
            )
        ),
        answer=holds.Pause,
        access=Access.ANY,
        tag="holds",
    ),
    Endpoint(
        method="POST",
        path="/v1/holds/{hold}/lift",
        name="lift_hold",
        summary="Lift a hold that belongs to no open incident, as a second person",
        does=Write(lambda tx, g: holds.lift(tx, hold=g.path["hold"], reason=g.body.reason)),
        body=LiftHold,
        answer=r.Hold,
        tag="holds",
    ),
    Endpoint(
        method="GET",
        path="/v1/approvals",
        name="list_approvals",
        summary="List approvals, newest first",
        does=looking_at(
            "approvals",
            lambda view, g: view.find(
                r.Approval,
                order="-requested_at",
                **page_of(g.query, state=g.query.state, incident=g.query.incident),
            ),
        ),
        query=ApprovalFilter,
        answer=list[r.Approval],
        tag="approvals",
    ),
    Endpoint(
        method="GET",
        path="/v1/approvals/{approval}",
        name="get_approval",
        summary="One approval with exactly what it is about",
        does=looking_at("approval", lambda view, g: _own(g, view.need(r.Approval, g.path["approval"]))),
        answer=r.Approval,
        access=Access.ANY,
        tag="approvals",
    ),
    Endpoint(
        method="GET",
        path="/v1/approvals/{approval}/evidence",
        name="get_approval_evidence",
        summary="What an approver decides by: what will run, where its values came from, the object now, similar calls",
        does=Read(
            lambda view, g: evidence(
                view,
                g.installation.manifests,
                g.installation.systems,
                approval=g.path["approval"],
            )
        ),
        answer=ApprovalEvidence,
        tag="approvals",
    ),
    Endpoint(
        method="POST",
        path="/v1/approvals/{approval}/decide",
        name="decide_approval",
        summary="Approve or reject the exact content that was shown, or approve it with other arguments",
        does=Write(
            lambda tx, g: approvals.answer(
                tx,
                g.installation.manifests,
                approval=g.path["approval"],
                approve=g.body.approve,
                args=g.body.args,
                note=g.body.note,
                digest=g.body.digest,
            )
        ),
        body=Decide,
        answer=r.Approval,
        tag="approvals",
    ),
    Endpoint(
        method="POST",
        path="/v1/calls/{call}/reconcile",
        name="reconcile_call",
        summary="Settle a call whose outcome is unknown, after someone has looked",
        does=Act(
            lambda g: settling.settle(
                g.installation,
                g.actor,
                call=g.path["call"],
                outcome=g.body.outcome,
                note=g.body.note,
                result=g.body.result,
            )
        ),
        body=Reconcile,
        answer=r.Call,
        tag="calls",
    ),
)
