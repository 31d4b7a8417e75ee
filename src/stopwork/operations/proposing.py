"""Proposing a pause: the holds that fit an incident or a risk, smallest first, each with what it would have stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from stopwork.incidents.pause import (
    LOOK_BACK,
    Alike,
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
from stopwork.storage.glances import calls_as
from stopwork.storage.view import View

#: What holds look at in a call, but for those on one item.
_TOLD_APART: Final = tuple(name for name in Alike.__struct_fields__ if name not in ("args", "calls"))
_told_apart: Final = attrgetter(*_TOLD_APART)
#: So many of the newest calls of the last days are looked at: a person in need does not wait for more.
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
    offered = proposals(kind, known_facts, manifest, risk=risk, read=read)
    of_items = frozenset(each.scope.name for each in offered if each.scope.item is not None)
    alike, named, since = _seen(view, known.id, now - LOOK_BACK, of_items, most)
    due = runs_due(manifest, now)
    held = {(hold.scope, hold.mode): hold for hold in view.each(Hold, active=True)}
    is_known = bool(known_facts or risk)
    return tuple(
        Offer(
            proposal=each,
            impact=replace(_impact(each, alike, named, runs_due=due), calls_since=since),
            recommended=is_known and number == 0 and (each.scope, each.mode) not in held,
            held=held.get((each.scope, each.mode)),
        )
        for number, each in enumerate(offered)
    )


def _impact(offered: Proposal, alike: Sequence[Alike], named: Sequence[Alike], *, runs_due: int) -> Impact:
    """Answer what a hold would have stopped; for one on an item the calls that read its source are looked at one by one."""
    if offered.scope.item is None:
        return impact(offered.scope, offered.mode, alike, runs_due=runs_due)
    found = impact(offered.scope, offered.mode, named, runs_due=runs_due)
    return replace(found, calls_kept=sum(each.calls for each in alike) - found.calls_stopped)


def _seen(
    view: View, workflow: str, since: datetime, sources: frozenset[str], most: int
) -> tuple[tuple[Alike, ...], tuple[Alike, ...], datetime | None]:
    """Answer the newest calls since then, those that a hold on no item tells apart counted together, and those that read these sources.

    The third is when the oldest of them was asked for, where there are older ones.
    """
    counted: Counter[tuple[Any, ...]] = Counter()
    named = []
    oldest = None
    for number, (at, call) in enumerate(calls_as(view, Alike, workflow=workflow, since=since)):
        if number == most:
            break
        oldest = at
        counted[_told_apart(call)] += 1
        if call.source in sources:
            named.append(call)
    else:
        oldest = None  # there are no older ones
    alike = (
        Alike(**dict(zip(_TOLD_APART, facts, strict=True)), calls=calls) for facts, calls in counted.items()
    )
    return tuple(alike), tuple(named), oldest
