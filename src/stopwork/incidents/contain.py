"""Contain: what must be made safe besides the pause, from what the incident touched, each with its reason.

An area in which nothing was touched is not proposed; a list that asks for everything is not read at three in
the morning. An item is done only when a record or a probe shows it, or somebody says how it was verified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

from stopwork.control.holds import answer, covers
from stopwork.incidents.case import Case
from stopwork.incidents.inventory import Used, used
from stopwork.incidents.offers import HOLD, HookOffer
from stopwork.incidents.pause import facts_of
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.records import Call, ContainmentItem, ContainmentPlace, Hold, Scope
from stopwork.ledger.records.containment import standing_of
from stopwork.ledger.words import (
    ApprovalState,
    ContainmentArea,
    ContainmentProof,
    ContainmentState,
    EffectKind,
    HookKind,
    IncidentType,
    PlaceKind,
    PrincipalKind,
    RunStatus,
    ScopeKind,
    Verdict,
)
from stopwork.manifest.credentials import CredentialKind
from stopwork.manifest.model import Manifest, Trust

MOST_ITEMS_PER_AREA: Final = 20
#: So many places of one item are told apart.
MOST_PLACES: Final = 100
ENDED: Final = frozenset({ContainmentState.DONE, ContainmentState.NOT_APPLICABLE})
#: What a person may record of an item; the other states follow from its hooks and from the records.
BY_WORD: Final = (ContainmentState.DONE, ContainmentState.NOT_APPLICABLE, ContainmentState.FAILED)

# In these the agent, or someone through it, may hold a credential for too much.
_CREDENTIAL_RISK: Final = frozenset(
    {
        IncidentType.TOOL_MISUSE,
        IncidentType.APPROVAL_BYPASS,
        IncidentType.PROMPT_INJECTION,
        IncidentType.SENSITIVE_DATA_EXPOSURE,
    }
)
# In these what the agent read is itself suspect.
_INPUT_RISK: Final = frozenset(
    {
        IncidentType.STALE_OR_WRONG_INPUT,
        IncidentType.PROMPT_INJECTION,
        IncidentType.SENSITIVE_DATA_EXPOSURE,
    }
)
_BY_PEOPLE: Final = frozenset({"schedule", "manual"})


class _Draft(NamedTuple):
    """An item before it has a number. ``hooks`` are those that the manifest names for it; ``places`` those that the records can tell of."""

    what: str
    why: str
    verified_how: str = ""
    target: str = ""
    system: str = ""
    scope: Scope | None = None
    hooks: tuple[str, ...] = ()
    places: tuple[ContainmentPlace, ...] = ()


_LOOK: Final = _Draft(
    what="Look whether anything of this incident is still going on",
    why="the records show nothing else that could",
)


def propose(case: Case, offers: Iterable[HookOffer] = ()) -> tuple[ContainmentItem, ...]:
    """Answer the checklist of an incident, with the hooks among ``offers`` that serve each item.

    What an active hold makes safe is done, and says by which.
    """
    known = {offer.name: offer for offer in offers}
    items = []
    for area, drafts in _AREAS.items():
        numbered = enumerate(islice(drafts(case), MOST_ITEMS_PER_AREA), start=1)
        items += [_item(case, area, number, draft, known) for number, draft in numbered]
    if all(item.state is ContainmentState.DONE for item in items):
        # Records alone never end this phase: a person has to have looked.
        last = sum(item.area is ContainmentArea.QUEUES for item in items) + 1
        items.append(_item(case, ContainmentArea.QUEUES, last, _LOOK, known))
    return tuple(items)


def in_order(items: Iterable[ContainmentItem]) -> tuple[ContainmentItem, ...]:
    """Answer items as they are listed: the areas in the order in which harm spreads, and each by its numbers."""
    order = {area: place for place, area in enumerate(_AREAS)}
    return tuple(sorted(items, key=lambda each: (order[each.area], int(each.id.rpartition("/")[2]))))


def check_ending(item: ContainmentItem, state: ContainmentState, verified_how: str) -> None:
    """Raise ``Invalid`` unless a person may record the item so: every ending says how one knows, and a probe is not overruled."""
    if state not in BY_WORD:
        raise Invalid(
            f"{item.id} cannot be recorded as {state}",
            hint=f"Record it as {', '.join(BY_WORD)}.",
            field="state",
        )
    if not verified_how.strip():
        raise Invalid(
            f"say how {item.id} was verified",
            hint="One sentence: what was looked at, and what was seen.",
            field="verified_how",
        )
    denied = [place.name for place in item.places if place.probed is False]
    if state is ContainmentState.DONE and denied:
        raise Conflict(
            f"the probe of {listed(denied)} says that {item.id} is not safe",
            hint="Mend it and let the probe look again; a probe is not overruled by a word.",
            item=item.id,
        )


def complete(items: Iterable[ContainmentItem]) -> bool:
    """Answer whether every item has come to a good end, of which a person has seen to one; a list without items is not complete."""
    found = tuple(items)
    return all(item.state in ENDED for item in found) and any(
        item.by is not None and item.by.kind is PrincipalKind.PERSON for item in found
    )


def who_can(manifest: Manifest) -> tuple[str, ...]:
    """Answer whom a manifest names as able to make something safe: the holders of its credentials and whoever can stop what it sets off."""
    found = (
        *(each.holder for each in manifest.credentials.values()),
        *(each.owner for each in manifest.downstream),
    )
    return tuple(dict.fromkeys(filter(None, found)))


def _item(
    case: Case, area: ContainmentArea, number: int, draft: _Draft, offers: Mapping[str, HookOffer]
) -> ContainmentItem:
    workflow = case.incident.workflow
    serving = [
        offer
        for offer in offers.values()
        if offer.name in draft.hooks or offer.serves(area, draft.target, workflow)
    ]
    done = ContainmentPlace(
        kind=PlaceKind.HOLD,
        name=str(draft.scope),
        state=ContainmentState.DONE,
        proof=ContainmentProof.RECORDS,
        note=draft.verified_how,
    )
    places = (
        # A hold is seen in the records, whoever has set it and how: what would set it is no place of its own.
        *(offer.place() for offer in serving if offer.kind is not HookKind.HOLD),
        *((done,) if draft.verified_how else draft.places[:MOST_PLACES]),
    )
    state = standing_of(places)
    return ContainmentItem(
        id=f"{case.incident.id}/{area}/{number}",
        incident=case.incident.id,
        area=area,
        what=draft.what,
        why="; ".join((draft.why, *_about_hooks(draft, serving, offers))),
        state=state,
        automatic=state is ContainmentState.DONE,
        verified_how=draft.verified_how if state is ContainmentState.DONE else "",
        proof=ContainmentProof.RECORDS if state is ContainmentState.DONE else None,
        target=draft.target,
        system=draft.system,
        scope=draft.scope,
        places=places,
    )


def _about_hooks(
    draft: _Draft, serving: Iterable[HookOffer], offers: Mapping[str, HookOffer]
) -> Iterator[str]:
    """Yield what one has to know of the hooks that are no places of the item."""
    holding = [each.name for each in serving if each.kind is HookKind.HOLD and each is not HOLD]
    if holding and draft.scope is not None:
        yield f"{listed(holding)} can hold it"
    elif named := [name for name in holding if name in draft.hooks]:
        yield f"{listed(named)} would set a hold, and nothing here can be held"
    if missing := [name for name in draft.hooks if name not in offers]:
        yield f"no hook {listed(missing)} on this server"


def _calls_by_tool(case: Case) -> dict[str, list[Call]]:
    grouped: dict[str, list[Call]] = {}
    for call in case.writes:
        grouped.setdefault(call.tool, []).append(call)
    return grouped


def _hold_on(case: Case, call: Call) -> Hold | None:
    """Answer the active hold under which this call would not run again."""
    return next(
        (
            hold
            for hold in case.holds
            if hold.active
            and covers(hold.scope, call)
            and answer(hold.mode, call.effect) is not Verdict.ALLOW
        ),
        None,
    )


def _within(case: Case, kind: ScopeKind, name: str, item: str | None = None) -> Scope:
    return Scope(kind=kind, name=name, workflow=case.incident.workflow, item=item)


def _each(kind: PlaceKind, names: Iterable[str]) -> tuple[ContainmentPlace, ...]:
    return tuple(ContainmentPlace(kind=kind, name=name) for name in names)


def _write_tools(case: Case) -> Iterator[_Draft]:
    for tool, calls in _calls_by_tool(case).items():
        hold = _hold_on(case, calls[-1])
        in_flight = [call for call in calls if call.in_flight]
        sends = calls[-1].effect is EffectKind.SEND
        did, doing = (
            ("sent or may have sent", "sending") if sends else ("wrote or may have written", "writing")
        )
        why = f"{count_of(len(calls), 'call')} of it {did}"
        held = hold is not None and not in_flight
        declared = case.current.tools.get(tool)
        yield _Draft(
            what=f"Keep {tool} from {doing} until its records are audited",
            why=why,
            verified_how=f"Hold {hold.id} on {hold.scope} refuses it; no call is in flight."
            if hold and held
            else "",
            target=tool,
            system=declared.object.system if declared and declared.object else "",
            scope=_within(case, ScopeKind.TOOL, tool),
        )


def _oauth_grants(case: Case) -> Iterator[_Draft]:
    """The grants that something was written with; a permission that the inventory gives to another kind of credential is no grant."""
    listed_ones = {name for each in case.current.credentials.values() for name in each.permissions}
    for each in used(case):
        if each.credential.kind is CredentialKind.OAUTH_GRANT and each.wrote:
            yield _of_credential(each, f"Reduce the grant {each.known_as} to what the workflow needs")
    tools: dict[str, list[str]] = {}
    for call in case.writes:
        if call.permission and call.permission not in listed_ones:
            known = tools.setdefault(call.permission, [])
            if call.tool not in known:
                known.append(call.tool)
    for permission, names in tools.items():
        yield _Draft(
            what=f"Reduce the grant {permission} to what the workflow needs",
            why=f"{listed(names)} wrote with it",
            target=permission,
        )


def _secrets(case: Case) -> Iterator[_Draft]:
    if case.incident.type not in _CREDENTIAL_RISK:
        return
    known = [each for each in used(case) if each.credential.kind is CredentialKind.SECRET]
    for each in known:
        of = f" of {each.credential.system}" if each.credential.system else ""
        yield _of_credential(each, f"Revoke or rotate {each.known_as}{of}")
    in_inventory = {each.system for each in case.current.credentials.values()}
    for system in case.incident.affected_systems or case.current.systems:
        if system not in in_inventory:
            yield _Draft(
                what=f"Revoke or rotate the credential for {system}",
                why="it was in reach of calls that should not have run",
                system=system,
            )


def _of_credential(each: Used, what: str) -> _Draft:
    return _Draft(
        what=what,
        why=each.why,
        target=each.known_as,
        system=each.credential.system or "",
        hooks=each.credential.hooks,
    )


def _browser_sessions(case: Case) -> Iterator[_Draft]:
    sessions = [each for each in used(case) if each.credential.kind is CredentialKind.BROWSER_SESSION]
    for each in sessions:
        yield _of_credential(each, f"End the browser session {each.known_as}")
    known = {call.tool for each in sessions for call in each.calls}
    for tool in dict.fromkeys(call.tool for call in case.permitted if "browser" in call.tool.lower()):
        if tool not in known:
            yield _Draft(
                what=f"End the browser sessions that {tool} opened",
                why="a session outlives the run",
                target=tool,
            )


def _queues(case: Case) -> Iterator[_Draft]:
    running = [run.id for run in case.runs if run.status is RunStatus.RUNNING]
    if running:
        yield _Draft(
            what=f"End or let finish {listed(running)}",
            why=f"{count_of(len(running), 'run')} going on",
            places=_each(PlaceKind.RUN, running),
        )
    flying = [call.id for call in case.calls if call.in_flight]
    if flying:
        yield _Draft(
            what="Wait for, or look up, the calls in flight",
            why=f"{count_of(len(flying), 'call')} without an outcome: {listed(flying)}",
            places=_each(PlaceKind.CALL, flying),
        )
    waiting = [a.id for a in case.approvals if a.state in (ApprovalState.PENDING, ApprovalState.APPROVED)]
    if waiting:
        yield _Draft(
            what="Reject the approvals that are still open",
            why=f"{count_of(len(waiting), 'approval')} could still let a call run: {listed(waiting)}",
            places=_each(PlaceKind.APPROVAL, waiting),
        )
    repeats = case.incident.type in (IncidentType.DUPLICATE_WORK, IncidentType.MISSED_WORKFLOW)
    if repeats:
        yield _Draft(
            what="Freeze retries and backfills of the workflow",
            why="another attempt would do the same work again before it is known what was done",
            target=case.incident.workflow,
        )


def _webhooks(case: Case) -> Iterator[_Draft]:
    through = {trigger: each for each in used(case) for trigger in each.triggers}
    for trigger in dict.fromkeys(run.trigger for run in case.runs if run.trigger not in _BY_PEOPLE):
        each = through.get(trigger)
        yield _Draft(
            what=f"Disable the inbound trigger {trigger}",
            why=each.why if each else "it started a run of this incident",
            target=each.known_as if each else trigger,
            system=(each.credential.system or "") if each else "",
            scope=_within(case, ScopeKind.TRIGGER, trigger),
            hooks=each.credential.hooks if each else (),
        )


def _retrieval(case: Case) -> Iterator[_Draft]:
    facts = facts_of(case.signals)
    source, item = str(facts.get("source") or ""), str(facts.get("item") or "")
    if source and item:
        yield _Draft(
            what=f"Keep the item {item} of {source} from being read",
            why="a signal of this incident names it",
            target=item,
            system=source,
            scope=_within(case, ScopeKind.SOURCE, source, item),
        )
    read = dict.fromkeys(
        source for source in (*(s.source for s in case.steps), *(c.source for c in case.calls)) if source
    )
    for name in read:
        declared = case.current.sources.get(name)
        scope = _within(case, ScopeKind.SOURCE, name)
        if declared is None:
            yield _Draft(
                what=f"Block the source {name}",
                why="the runs read it and the manifest does not name it",
                target=name,
                scope=scope,
            )
        elif case.incident.type in _INPUT_RISK or declared.trust is Trust.EXTERNAL:
            trust = "outside text" if declared.trust is Trust.EXTERNAL else "input"
            yield _Draft(
                what=f"Block the source {name} until it is checked",
                why=f"the runs worked from its {trust}",
                target=name,
                scope=scope,
            )


def _notifications(case: Case) -> Iterator[_Draft]:
    sends = [call for call in case.permitted if call.effect is EffectKind.SEND]
    for tool in dict.fromkeys(call.tool for call in sends):
        number = sum(1 for call in sends if call.tool == tool)
        yield _Draft(
            what=f"Stop what {tool} still has to deliver, until it is reviewed",
            why=f"{count_of(number, 'message')} sent in the runs of this incident",
            target=tool,
        )


def _downstream(case: Case) -> Iterator[_Draft]:
    used = {call.tool for call in case.writes}
    for automation in case.current.downstream:
        tools = [tool for tool in automation.tools if tool in used]
        if tools:
            owner = f"; {automation.owner} can stop it" if automation.owner else ""
            yield _Draft(
                what=f"Disable {automation.name}",
                why=f"it reacts to {listed(tools)}, and would carry the damage on{owner}",
                target=automation.name,
                hooks=automation.hooks,
            )


_AREAS: Final[dict[ContainmentArea, Callable[[Case], Iterator[_Draft]]]] = {
    ContainmentArea.WRITE_TOOLS: _write_tools,
    ContainmentArea.QUEUES: _queues,
    ContainmentArea.NOTIFICATIONS: _notifications,
    ContainmentArea.DOWNSTREAM_AUTOMATIONS: _downstream,
    ContainmentArea.RETRIEVAL: _retrieval,
    ContainmentArea.WEBHOOKS: _webhooks,
    ContainmentArea.OAUTH_GRANTS: _oauth_grants,
    ContainmentArea.SECRETS: _secrets,
    ContainmentArea.BROWSER_SESSIONS: _browser_sessions,
}
"""The nine areas, in the order in which harm spreads."""
