"""Planning a recovery: a plan is proposed from what is sealed, and the owner decides about each of its items.

Nothing here touches a system but to look at it; :mod:`stopwork.operations.recovering` runs what was approved.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from msgspec import Struct

from stopwork.incidents.case import Case
from stopwork.incidents.choosing import choose
from stopwork.incidents.followup import still_open, stuck
from stopwork.incidents.lifecycle import require_before
from stopwork.incidents.reach import lacking
from stopwork.incidents.recover import propose_plan
from stopwork.incidents.references import Reference
from stopwork.incidents.reversal import reverse_plan
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger.events import PlanApproved, PlanExtended, PlanProposed
from stopwork.ledger.records import Image, Incident, Item, ObjectRef, Plan, Principal
from stopwork.ledger.words import IncidentStatus, ItemState, Phase, PlanState
from stopwork.operations.audits import audited
from stopwork.operations.cases import gather
from stopwork.operations.installation import Installation
from stopwork.operations.looking import look, references
from stopwork.operations.manifests import Manifests
from stopwork.operations.means import histories, means_of, reaches_of
from stopwork.operations.people import refuse_agent, require_business_owner, require_person
from stopwork.operations.plans import digest_of_items, entries_of, finish, items_of, require_sealed
from stopwork.operations.standing import move
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View, entry_of
from stopwork.systems.base import System

_CALL_ENTRIES: Final = ("call.decided", "call.attempted", "call.finished", "call.effects_observed")


def plan(
    installation: Installation,
    actor: Principal,
    *,
    incident: str,
    calls: Collection[str] | None = None,
    everything: bool = False,
) -> Plan:
    """Look at what could not be put right so far, then propose a plan in view of it; see :func:`propose`."""
    refuse_agent(actor, "propose a recovery")
    store, manifests = installation.store, installation.manifests
    case = store.read(lambda view: _case(view, manifests, incident, calls))
    now = look(installation.systems, stuck(case.items))
    declared = references(installation.systems, (effect.object for effect in case.effects))
    return store.write(
        lambda tx: propose(
            tx,
            manifests,
            installation.systems,
            incident=incident,
            calls=calls,
            everything=everything,
            now=now,
            declared=declared,
        ),
        actor=actor,
    )


def propose(
    tx: Tx,
    manifests: Manifests,
    systems: Mapping[str, System],
    *,
    incident: str,
    calls: Collection[str] | None = None,
    everything: bool = False,
    now: Mapping[ObjectRef, Image] | None = None,
    declared: Mapping[str, tuple[Reference, ...]] | None = None,
) -> Plan:
    """Propose how each object that the chosen calls changed is put right; without a choice, all that the newest audit is about.

    Without a choice, what earlier plans have put right or left as it is for a reason is not proposed again, unless ``everything``
    is asked for; ``now`` is what objects hold that could not be put right, ``declared`` what systems say about which object refers to
    which. Raises ``Conflict`` before the evidence is sealed and
    the audit is complete, while a plan is being run, and when earlier plans have left nothing to decide.
    """
    require_person(tx, "propose a recovery")
    case = _case(tx, manifests, incident, calls)
    require_before(case, Phase.RECOVER)
    _require_none_under_way(tx, incident)
    known = {call.id for call in case.calls}
    chosen = set(calls) if calls is not None else known
    if unknown := sorted(chosen - known):
        raise Invalid(
            f"{unknown[0]} is no call of this incident", hint="Choose from its calls.", field="calls"
        )
    _require_sealed_calls(tx, case, chosen)
    means = means_of(tx, manifests, systems, case, by_choice=calls is not None, references=declared or {})
    originals = {means.copies[each] for each in chosen & means.copies.keys()}
    plan = tx.new_id("plan")
    items = propose_plan(
        case.incident,
        histories(tx, manifests, case, chosen | originals),
        chosen=chosen,
        plan=plan,
        means=means,
        new_id=tx.new_id,
    )
    earlier = [item for item in case.items if item.state is not ItemState.PROPOSED]
    if earlier and calls is None:
        items = still_open(items, earlier, now or {}, everything=everything)
        if not items:
            raise Conflict(
                "nothing is left: every object is put right or stays as it is for a reason",
                hint=f"To decide again about all of them: stopwork recover plan {incident} --all",
                incident=incident,
            )
    return _record_plan(tx, case.incident, plan, items)


def _case(view: View, manifests: Manifests, incident: str, calls: Collection[str] | None) -> Case:
    case = audited(view, manifests, incident)
    beyond = calls is not None and not set(calls) <= {call.id for call in case.calls}
    return gather(view, manifests, incident) if beyond else case


def _require_none_under_way(tx: Tx, incident: str) -> None:
    """Raise ``Conflict`` while a plan of the incident is approved and not over: two would change the same objects in turns."""
    for known in tx.each(Plan, incident=incident, order="proposed_at"):
        if known.state not in (PlanState.PROPOSED, PlanState.FINISHED):
            raise Conflict(
                f"{known.id} is {known.state}", hint="Let it finish, or cancel it, first.", plan=known.id
            )


def _require_sealed_calls(tx: Tx, case: Case, chosen: Collection[str]) -> None:
    """Raise ``Conflict`` when one of the calls went on after the seal: cleaning it up would destroy what is not preserved."""
    runs = tuple(dict.fromkeys(call.run for call in case.calls if call.id in chosen))
    sealed = case.bundle.tree_size if case.bundle else 0
    beyond = not set(runs) <= set(case.incident.runs)
    if beyond and case.audit and case.bundle and case.bundle.at < case.audit.at:
        raise Conflict(
            "the audit reaches beyond the incident's runs, and its evidence was sealed before",
            hint=f"Seal it again, then propose: stopwork incident seal {case.incident.id}",
            incident=case.incident.id,
        )
    for row in tx.stored(after=sealed, run=runs, kinds=_CALL_ENTRIES) if runs else ():
        call = getattr(entry_of(row.body).event, "call", None)
        if call in chosen:
            raise Conflict(
                f"{call} went on after the evidence was sealed",
                hint=f"Seal it again, then propose: stopwork incident seal {case.incident.id}",
                call=call,
            )


def _record_plan(tx: Tx, incident: Incident, plan: str, items: Sequence[Item]) -> Plan:
    about = {"incident": incident.id, "workflow": incident.workflow, "plan": plan}
    first, *more = entries_of(items)
    tx.record(PlanProposed(**about, digest=digest_of_items(items), items=first))
    for part in more:
        tx.record(PlanExtended(**about, items=part))
    return tx.need(Plan, plan)


def propose_reversal(tx: Tx, manifests: Manifests, systems: Mapping[str, System], *, plan: str) -> Plan:
    """Propose the undo of a finished recovery; of a plan that is only proposed, of the one that was finished before it.

    What a system has no way to change back is left to people.

    Raises ``Conflict`` while another plan of its incident is approved or being run.
    """
    require_person(tx, "propose a recovery")
    known = tx.need(Plan, plan)
    if known.state is PlanState.PROPOSED:
        before = tx.find(
            Plan, incident=known.incident, state=PlanState.FINISHED, order="-proposed_at", limit=1
        )
        known = next(iter(before), known)
    if known.state is not PlanState.FINISHED:
        raise Conflict(f"{plan} is {known.state}", hint="Only a finished plan can be taken back.", plan=plan)
    _require_none_under_way(tx, known.incident)
    new_plan = tx.new_id("plan")
    lacks = lacking(reaches_of(gather(tx, manifests, known.incident), systems))
    items = reverse_plan(items_of(tx, known.id), plan=new_plan, new_id=tx.new_id, lacks=lacks)
    return _record_plan(tx, tx.need(Incident, known.incident), new_plan, items)


class Chosen(Struct, frozen=True, kw_only=True):
    """What a rule chooses of the plan with this digest: ``items`` would be run, ``rest`` would stay as they are."""

    plan: str
    digest: str
    where: str
    items: tuple[str, ...]
    rest: tuple[str, ...]


def chosen(view: View, *, plan: str, where: str) -> Chosen:
    """Answer what a rule chooses, so that it is seen before it is signed; ``Invalid`` for a rule that cannot be told."""
    known, items = view.need(Plan, plan), items_of(view, plan)
    found = tuple(item.id for item in choose(items, where))
    return Chosen(
        plan=plan,
        digest=known.digest,
        where=where,
        items=found,
        rest=tuple(item.id for item in items if item.id not in set(found)),
    )


def approve(
    tx: Tx,
    *,
    plan: str,
    digest: str,
    items: Collection[str] | None = None,
    accept: Collection[str] = (),
    where: str = "",
    note: str = "",
) -> Plan:
    """Approve a plan as the business owner: every item is run or stays as the plan proposes, or as is said here.

    ``items`` names those that are run, ``accept`` those that stay as they are, with a reason in ``note``; what only people can do, and
    what needs nothing, stays without that reason unless it is named. Instead of both, ``where`` is a rule
    (:mod:`stopwork.incidents.choosing`): what it chooses is run, and the rest stays, for the plan's reason or for the one in ``note``.
    ``digest`` is that of the plan which was shown. A plan of which nothing is run is finished at once.
    """
    known = tx.need(Plan, plan)
    incident = tx.need(Incident, known.incident)
    require_business_owner(tx, incident, "approve a recovery")
    require_sealed(incident)
    if known.state is not PlanState.PROPOSED:
        raise Conflict(f"{plan} is {known.state} already", hint="A plan is approved once.", plan=plan)
    if known.digest != digest or incident.plan != plan:
        raise Conflict(
            "this is not the plan you saw", hint="Open the plan again.", expected=known.digest, found=digest
        )
    every = {item.id: item for item in items_of(tx, plan)}
    if where:
        if items is not None or accept:
            raise Invalid("choose by a rule or one by one", hint="Leave one of them out.", field="where")
        items = {item.id for item in choose(every.values(), where)}
        accept = {item.id for item in every.values() if not (item.keep or item.remedy.by_people)} - items
    accepted = set(accept)
    by_hand = {item.id for item in every.values() if item.remedy.by_people} - set(items or ())
    to_stay = ({item.id for item in every.values() if item.keep} | by_hand) - accepted
    chosen = set(items) if items is not None else set(every) - accepted - to_stay
    kept = to_stay - chosen
    if unknown := sorted((chosen | accepted) - every.keys()):
        raise Invalid(f"{unknown[0]} is no item of {plan}", hint="Choose from its items.", field="items")
    if undecided := sorted(every.keys() - chosen - accepted - kept):
        raise Invalid(
            f"{len(undecided)} items are neither approved nor accepted",
            hint="Decide about every item; accept those that stay, with a reason.",
            field="items",
            undecided=undecided,
        )
    if chosen & accepted:
        raise Invalid("an item is both approved and accepted", hint="Decide one way.", field="accept")
    if set(accept) and not note.strip():
        raise Invalid("say why these objects stay as they are", hint="One sentence is enough.", field="note")
    tx.record(
        PlanApproved(
            incident=incident.id,
            workflow=incident.workflow,
            plan=plan,
            digest=digest,
            items=tuple(sorted(chosen)),
            accepted=tuple(sorted(accepted)),
            note=note.strip(),
            kept=tuple(sorted(kept)),
            where=where,
        )
    )
    if incident.status in (IncidentStatus.INVESTIGATING, IncidentStatus.CONTAINED):
        move(tx, incident.id, IncidentStatus.RECOVERING, reason=f"{plan} approved")
    return finish(tx, plan)
