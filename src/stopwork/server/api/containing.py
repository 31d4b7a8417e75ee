"""Containment: the checklist, the hooks that do it, the people who have it, and the credentials that it is about."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from stopwork.incidents.offers import HookOffer
from stopwork.kernel.errors import Invalid
from stopwork.ledger import records as r
from stopwork.ledger.words import ContainmentState
from stopwork.operations import containment, hooking
from stopwork.operations.inventory import ListedCredential, inventory
from stopwork.server.api.controls import Reason
from stopwork.server.api.endpoint import Act, Endpoint, Given, Read, Write
from stopwork.server.api.incidents import incident_of, known_incident, of_incident
from stopwork.storage.transaction import Tx

ItemId = Annotated[str, Meta(min_length=1, max_length=200)]


class ContainmentDone(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``done``, ``not_applicable`` or ``failed``, in the name of whoever sends it."""

    state: ContainmentState
    verified_how: Reason


class RunHook(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``hook`` is one of them; left out, every one that serves the item and has not done it. ``despite`` is why it cannot wait for the evidence."""

    item: ItemId
    hook: Annotated[str, Meta(max_length=80)] = ""
    despite: Annotated[str, Meta(max_length=2_000)] = ""


class VerifyItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    item: ItemId


class AssignItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``to`` is the address of somebody whom this server knows: an owner, one who can sign in, or whom the manifest names for it."""

    item: ItemId
    to: Annotated[str, Meta(min_length=3, max_length=200)]
    due_at: datetime | None = None


def _item(given: Given) -> str:
    """Answer the item that the body names; ``Invalid`` for one of another incident."""
    item: str = given.body.item
    if not item.startswith(f"{incident_of(given)}/"):
        raise Invalid(
            f"{item} is no item of {incident_of(given)}", hint="Name one of its list.", field="item"
        )
    return item


def _checklist(tx: Tx, given: Given) -> list[r.ContainmentItem]:
    return containment.checklist(
        tx,
        given.installation.manifests,
        incident=incident_of(given),
        offers=hooking.offers(given.installation.hooks),
    )


ENDPOINTS: Final = (
    of_incident(
        "POST",
        "/containment",
        "propose_containment",
        "The containment checklist; proposed on first use",
        Write(_checklist),
        list[r.ContainmentItem],
    ),
    of_incident(
        "GET",
        "/containment",
        "get_containment",
        "The containment checklist as it stands",
        Read(lambda view, g: containment.listing(view, known_incident(view, g))),
        list[r.ContainmentItem],
    ),
    of_incident(
        "POST",
        "/containment/run",
        "run_containment",
        "Make one item safe by a hook, or by a hold, and ask what shows whether it is",
        Act(
            lambda g: hooking.run(
                g.installation, g.actor, item=_item(g), hook=g.body.hook, despite=g.body.despite
            )
        ),
        r.ContainmentItem,
        body=RunHook,
    ),
    of_incident(
        "POST",
        "/containment/verify",
        "verify_containment",
        "Ask the probes of one item, and look what the records show; nothing else is done",
        Act(lambda g: hooking.verify(g.installation, g.actor, item=_item(g))),
        r.ContainmentItem,
        body=VerifyItem,
    ),
    of_incident(
        "POST",
        "/containment/assign",
        "assign_containment",
        "Give one item to a named person",
        Write(
            lambda tx, g: containment.assign(
                tx, g.installation.manifests, item=_item(g), to=g.body.to, due_at=g.body.due_at
            )
        ),
        r.ContainmentItem,
        body=AssignItem,
    ),
    Endpoint(
        method="POST",
        path="/v1/containment/{item:path}",
        name="record_containment",
        summary="Record in one's own name how one containment item ended, and how that was verified",
        does=Write(
            lambda tx, g: containment.record(
                tx, item=g.path["item"], state=g.body.state, verified_how=g.body.verified_how
            )
        ),
        body=ContainmentDone,
        answer=r.ContainmentItem,
        tag="incidents",
    ),
    Endpoint(
        method="GET",
        path="/v1/hooks",
        name="list_hooks",
        summary="What this server can do to make something safe, without any credential",
        does=Read(lambda _view, g: list(hooking.offers(g.installation.hooks))),
        answer=list[HookOffer],
        tag="incidents",
    ),
    Endpoint(
        method="GET",
        path="/v1/workflows/{workflow}/credentials",
        name="list_workflow_credentials",
        summary="The credentials that a workflow works with, by name, and who else uses them",
        does=Read(lambda view, g: list(inventory(view, g.installation.manifests, g.path["workflow"]))),
        answer=list[ListedCredential],
        tag="workflows",
    ),
)
