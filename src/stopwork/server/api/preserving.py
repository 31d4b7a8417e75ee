"""Preserving: the bundles of an incident, who handled its evidence, and its legal hold."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from stopwork.ledger import records as r
from stopwork.operations import attaching, custody, legal_hold
from stopwork.server.api.controls import Reason
from stopwork.server.api.endpoint import Read, Write
from stopwork.server.api.incidents import incident_of, known_incident, of_incident


class HoldReason(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


ENDPOINTS: Final = (
    of_incident(
        "GET",
        "/bundles",
        "list_bundles",
        "The sealed bundles, oldest first, with what is missing from each",
        Read(
            lambda view, g: sorted(
                view.each(r.Bundle, incident=known_incident(view, g)), key=lambda bundle: bundle.at
            )
        ),
        list[r.Bundle],
    ),
    of_incident(
        "GET",
        "/custody",
        "get_custody",
        "Who sealed, held, looked at and took out the evidence, when and why",
        Read(lambda view, g: list(custody.custody(view, known_incident(view, g)))),
        list[custody.CustodyLine],
    ),
    of_incident(
        "GET",
        "/attachments",
        "list_attachments",
        "What people added to the evidence; the bundle holds the contents",
        Read(lambda view, g: attaching.attachments(view, known_incident(view, g))),
        list[r.BlobRef],
    ),
    of_incident(
        "GET",
        "/legal-hold",
        "get_legal_hold",
        "The legal hold on everything that belongs to the incident; null when it never had one",
        Read(lambda view, g: view.get(r.LegalHold, known_incident(view, g))),
        r.LegalHold | None,
    ),
    of_incident(
        "POST",
        "/legal-hold",
        "set_legal_hold",
        "Keep everything that belongs to the incident",
        Write(lambda tx, g: legal_hold.hold(tx, incident=incident_of(g), reason=g.body.reason)),
        r.LegalHold,
        body=HoldReason,
    ),
    of_incident(
        "POST",
        "/legal-hold/lift",
        "lift_legal_hold",
        "End the legal hold; only the legal owner or an administrator may",
        Write(lambda tx, g: legal_hold.lift(tx, incident=incident_of(g), reason=g.body.reason)),
        r.LegalHold,
        body=HoldReason,
    ),
)
