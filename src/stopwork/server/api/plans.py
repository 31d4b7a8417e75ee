"""Recovery plans: proposed, looked at, edited, approved, run, and taken back."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from stopwork.incidents.undone import PartlyUndone, partly_undone
from stopwork.ledger import records as r
from stopwork.ledger.words import Remedy
from stopwork.operations import plan_edits, planning
from stopwork.operations.cases import items_in_force
from stopwork.server.api.controls import Reason
from stopwork.server.api.endpoint import Act, Endpoint, Read, Write
from stopwork.server.api.incidents import incident_of, of_incident
from stopwork.server.api.looking import looking_into


class ProposePlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``calls`` are those to be undone; left out, every writing call of the incident, without what earlier plans have settled unless
    ``everything`` is asked for."""

    calls: Annotated[tuple[str, ...], Meta(max_length=50_000)] | None = None
    everything: bool = False


class ApprovePlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``items`` are run; ``accept`` stay as they are, for the reason in ``note``; of the rest what the plan proposes is done.

    Instead, what the rule ``where`` chooses is run, and the rest stays as it is for the reason in ``note``.
    """

    digest: str
    items: tuple[str, ...] | None = None
    accept: tuple[str, ...] = ()
    where: Annotated[str, Meta(max_length=1_000)] = ""
    note: Annotated[str, Meta(max_length=2_000)] = ""


class Rule(Struct, frozen=True, kw_only=True):
    """``where`` is a condition over what an item says, such as ``situation == 'duplicate_records'``."""

    where: Annotated[str, Meta(min_length=1, max_length=1_000)]


class EditItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What should be otherwise: ``fields`` are set, ``args`` given to the tool, ``order`` is the item's turn.

    ``digest`` is that of the plan which was shown.
    """

    digest: str
    reason: Reason
    remedy: Remedy | None = None
    fields: Annotated[dict[str, Any], Meta(max_length=500)] = {}
    args: Annotated[dict[str, Any], Meta(max_length=500)] = {}
    order: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class TakeBackEdit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    digest: str
    reason: Reason


ENDPOINTS = (
    of_incident(
        "POST",
        "/plan",
        "propose_plan",
        "Propose how each changed object is put right",
        Act(
            lambda g: planning.plan(
                g.installation,
                g.actor,
                incident=incident_of(g),
                calls=g.body.calls,
                everything=g.body.everything,
            )
        ),
        r.Plan,
        body=ProposePlan,
        status=201,
    ),
    Endpoint(
        method="GET",
        path="/v1/plans/{plan}",
        name="get_plan",
        summary="One recovery plan",
        does=Read(lambda view, g: view.need(r.Plan, g.path["plan"])),
        answer=r.Plan,
        tag="recovery",
    ),
    Endpoint(
        method="GET",
        path="/v1/plans/{plan}/items",
        name="list_items",
        summary="The items of a plan, in the order in which they run",
        does=looking_into(
            "its plan",
            lambda view, g: list(view.each(r.Item, plan=view.need(r.Plan, g.path["plan"]).id, order="order")),
        ),
        answer=list[r.Item],
        tag="recovery",
    ),
    Endpoint(
        method="GET",
        path="/v1/plans/{plan}/partly-undone",
        name="list_partly_undone",
        summary="The calls that the incident's plans up to this one undo in part: what is taken back, what is not",
        does=Read(lambda view, g: list(partly_undone(items_in_force(view, g.path["plan"])))),
        answer=list[PartlyUndone],
        tag="recovery",
    ),
    Endpoint(
        method="POST",
        path="/v1/plans/{plan}/approve",
        name="approve_plan",
        summary="Approve the plan that was shown, as the business owner",
        does=Write(
            lambda tx, g: planning.approve(
                tx,
                plan=g.path["plan"],
                digest=g.body.digest,
                items=g.body.items,
                accept=g.body.accept,
                where=g.body.where,
                note=g.body.note,
            )
        ),
        body=ApprovePlan,
        answer=r.Plan,
        tag="recovery",
    ),
    Endpoint(
        method="GET",
        path="/v1/plans/{plan}/chosen",
        name="choose_items",
        summary="The items that a rule chooses, as an approval by this rule would",
        does=Read(lambda view, g: planning.chosen(view, plan=g.path["plan"], where=g.query.where)),
        query=Rule,
        answer=planning.Chosen,
        tag="recovery",
    ),
    Endpoint(
        method="POST",
        path="/v1/plans/{plan}/items/{item}",
        name="edit_item",
        summary="Change what an item does, before the plan is approved",
        does=Act(
            lambda g: plan_edits.edit(
                g.installation,
                g.actor,
                plan=g.path["plan"],
                item=g.path["item"],
                **{name: getattr(g.body, name) for name in g.body.__struct_fields__},
            )
        ),
        body=EditItem,
        answer=r.Plan,
        tag="recovery",
    ),
    Endpoint(
        method="POST",
        path="/v1/plans/{plan}/items/{item}/take-back",
        name="take_back_edit",
        summary="Take the last edit of an item back",
        does=Write(
            lambda tx, g: plan_edits.take_back(
                tx,
                plan=g.path["plan"],
                item=g.path["item"],
                digest=g.body.digest,
                reason=g.body.reason,
            )
        ),
        body=TakeBackEdit,
        answer=r.Plan,
        tag="recovery",
    ),
    Endpoint(
        method="POST",
        path="/v1/plans/{plan}/reverse",
        name="reverse_plan",
        summary="Propose the undo of a finished recovery",
        does=Write(
            lambda tx, g: planning.propose_reversal(
                tx, g.installation.manifests, g.installation.systems, plan=g.path["plan"]
            )
        ),
        answer=r.Plan,
        status=201,
        tag="recovery",
    ),
)
