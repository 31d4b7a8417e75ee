"""Proposing a pause: the holds that fit an incident or a risk, smallest first, each with what it would have stopped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from stopwork.incidents.pause import (
    LOOK_BACK,
    Impact,
    Proposal,
    facts_of,
    impact,
    proposals,
    runs_due,
)
from stopwork.ledger.records import Call, Hold, Incident, Scope, Signal
from stopwork.ledger.words import IncidentType, PauseRisk, ScopeKind
from stopwork.operations.manifests import Manifests, known_workflow
from stopwork.operations.scopes import require_shared
from stopwork.storage.view import View

MAX_CALLS: Final = 20_000
#: So many of the newest calls of an incident are looked at for the items that they read.
MAX_SUSPECTS: Final = 500


class Offer(Struct, frozen=True, kw_only=True):
    """One hold to choose, and its effect on the last seven days' calls and the next seven days' runs.

    ``held`` is the active hold that is it already. ``recommended`` is the smallest that removes the risk; none is where nothing
    says what the risk is, or where that hold is set.
    """

    proposal: Proposal
    impact: Impact
    recommended: bool
    held: Hold | None = None


def offers(
    view: View,
    manifests: Manifests,
    *,
    workflow: str,
    now: datetime,
    incident: str | None = None,
    risk: PauseRisk | None = None,
    facts: Mapping[str, Any] | None = None,
    most: int = MAX_CALLS,
) -> tuple[Offer, ...]:
    """Answer the holds to choose from, smallest first; ``facts`` that are given stand before the incident's own.

    Of more than ``most`` calls the newest are looked at, and each offer says where they begin.
    """
    known = known_workflow(view, workflow)
    known_facts = dict(facts or {})
    kind = IncidentType.TOOL_MISUSE
    read: tuple[Call, ...] = ()
    if incident is not None:
        home = view.need(Incident, incident)
        require_shared(Scope(kind=ScopeKind.WORKFLOW, name=known.id), home)
        known_facts = facts_of(view.each(Signal, incident=incident)) | known_facts
        kind = home.type
        if home.runs:
            read = tuple(view.find(Call, run=home.runs, order="-requested_at", limit=MAX_SUSPECTS))
    manifest = manifests.version(view, known.id, known.version).manifest
    calls = view.find(
        Call,
        workflow=known.id,
        requested_at_from=now - LOOK_BACK,
        order="-requested_at",
        limit=most + 1,
    )
    since = calls[most - 1].requested_at if len(calls) > most else None
    calls = calls[:most]
    due = runs_due(manifest, now)
    held = {(hold.scope, hold.mode): hold for hold in view.each(Hold, active=True)}
    is_known = bool(known_facts or risk)
    return tuple(
        Offer(
            proposal=each,
            impact=impact(each.scope, each.mode, calls, runs_due=due, calls_since=since),
            recommended=is_known and number == 0 and (each.scope, each.mode) not in held,
            held=held.get((each.scope, each.mode)),
        )
        for number, each in enumerate(proposals(kind, known_facts, manifest, risk=risk, read=read))
    )
