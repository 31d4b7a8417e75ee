"""Planning a recovery: a plan is proposed from what is sealed, and the owner decides about each of its items.

Nothing here touches a system but to look at it; :mod:`stopwork.operations.recovering` runs what was approved.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import asdict

from stopwork.incidents.attempt import reverse_plan
from stopwork.incidents.case import Case
from stopwork.incidents.followup import still_open, stuck
from stopwork.incidents.lifecycle import require_before
from stopwork.incidents.net import Net, images_of
from stopwork.incidents.recover import propose_plan
from stopwork.incidents.remedies import Means, Offer, Undoing
from stopwork.incidents.unfinished import NAMED
from stopwork.kernel.canonical import digest_of
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger.events import PlanApproved, PlanProposed
from stopwork.ledger.records import Call, Effect, Image, Incident, Item, ObjectRef, Plan, Principal, Run
from stopwork.ledger.words import IncidentStatus, IncidentType, ItemState, Phase, PlanState, Remedy
from stopwork.manifest.compiled import Prepared
from stopwork.manifest.expressions import ExpressionError
from stopwork.operations.cases import gather
from stopwork.operations.installation import Installation
from stopwork.operations.looking import look
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import refuse_agent, require_business_owner, require_person
from stopwork.operations.plans import finish, items_of, require_sealed
from stopwork.operations.settling import unseen_effects
from stopwork.operations.standing import move
from stopwork.storage.transaction import Tx
from stopwork.storage.view import entry_of
from stopwork.systems.base import System, invoking, restoring

_UNDER_WAY: Final = (PlanState.APPROVED, PlanState.RUNNING, PlanState.PAUSED)
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
    objects = store.read(lambda view: stuck(gather(view, manifests, incident).items))
    now = look(installation.systems, objects)
    return store.write(
        lambda tx: propose(
            tx,
            manifests,
            installation.systems,
            incident=incident,
            calls=calls,
            everything=everything,
            now=now,
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
) -> Plan:
    """Propose how each object that the chosen calls changed is put right; without a choice, all writing calls of the incident.

    Without a choice, what earlier plans have put right or left as it is for a reason is not proposed again, unless ``everything``
    is asked for; ``now`` is what objects hold that could not be put right. Raises ``Conflict`` before the evidence is sealed and
    the audit is complete, while a plan is being run, and when earlier plans have left nothing to decide.
    """
    require_person(tx, "propose a recovery")
    case = gather(tx, manifests, incident)
    require_before(case, Phase.RECOVER)
    if case.plan is not None and case.plan.state in _UNDER_WAY:
        raise Conflict(f"{case.plan.id} is {case.plan.state}", hint="Let it finish first.", plan=case.plan.id)
    known = {call.id for call in case.calls}
    chosen = set(calls) if calls is not None else known
    if unknown := sorted(chosen - known):
        raise Invalid(
            f"{unknown[0]} is no call of this incident", hint="Choose from its calls.", field="calls"
        )
    _require_sealed_calls(tx, case, chosen)
    copies = _copies(case)
    plan = tx.new_id("plan")
    items = propose_plan(
        case.incident,
        _histories(tx, manifests, case, chosen | {copies[each] for each in chosen & copies.keys()}),
        chosen=chosen,
        plan=plan,
        means=Means(
            undoing=_undoing(tx, manifests),
            restores=restoring(systems),
            invokes=invoking(systems),
            recovery=case.current.recovery,
            offers=_offers(tx, manifests, case),
            copies=copies,
            only_copies=calls is None and case.incident.type is IncidentType.DUPLICATE_WORK,
        ),
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


def _require_sealed_calls(tx: Tx, case: Case, chosen: Collection[str]) -> None:
    """Raise ``Conflict`` when one of the calls went on after the seal: cleaning it up would destroy what is not preserved."""
    runs = tuple(dict.fromkeys(call.run for call in case.calls if call.id in chosen))
    sealed = case.bundle.tree_size if case.bundle else 0
    for row in tx.stored(after=sealed, run=runs, kinds=_CALL_ENTRIES) if runs else ():
        call = getattr(entry_of(row.body).event, "call", None)
        if call in chosen:
            raise Conflict(
                f"{call} went on after the evidence was sealed",
                hint=f"Seal it again, then propose: stopwork incident seal {case.incident.id}",
                call=call,
            )


def _record_plan(tx: Tx, incident: Incident, plan: str, items: Sequence[Item]) -> Plan:
    tx.record(
        PlanProposed(
            incident=incident.id,
            workflow=incident.workflow,
            plan=plan,
            digest=digest_of(list(items)),
            items=tuple(items),
        )
    )
    return tx.need(Plan, plan)


def propose_reversal(tx: Tx, *, plan: str) -> Plan:
    """Propose the undo of a finished recovery."""
    require_person(tx, "propose a recovery")
    known = tx.need(Plan, plan)
    if known.state is not PlanState.FINISHED:
        raise Conflict(f"{plan} is {known.state}", hint="Only a finished plan can be taken back.", plan=plan)
    new_plan = tx.new_id("plan")
    items = reverse_plan(items_of(tx, plan), plan=new_plan, new_id=tx.new_id)
    return _record_plan(tx, tx.need(Incident, known.incident), new_plan, items)


def approve(
    tx: Tx,
    *,
    plan: str,
    digest: str,
    items: Collection[str] | None = None,
    accept: Collection[str] = (),
    note: str = "",
) -> Plan:
    """Approve a plan as the business owner: every item is run or stays as the plan proposes, or as is said here.

    ``items`` names those that are run, ``accept`` those that stay as they are, with a reason in ``note``; what only people can do is
    accepted in the same way. ``digest`` is that of the plan which was shown. A plan of which nothing is run is finished at once.
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
    by_hand = {item.id for item in every.values() if item.remedy.by_people}
    accepted = set(accept) | (by_hand - set(items or ()))
    to_stay = {item.id for item in every.values() if item.keep} - accepted
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
            note=note.strip() or "nothing to run; it is told or left as it is",
            kept=tuple(sorted(kept)),
        )
    )
    if incident.status in (IncidentStatus.INVESTIGATING, IncidentStatus.CONTAINED):
        move(tx, incident.id, IncidentStatus.RECOVERING, reason=f"{plan} approved")
    return finish(tx, plan)


def _histories(tx: Tx, manifests: Manifests, case: Case, chosen: Collection[str]) -> list[Effect]:
    """Answer every effect on the objects that the chosen calls changed, in the order in which they happened.

    What calls may have changed whose end nobody saw counts like any other effect.
    """
    objects = dict.fromkeys(effect.object_key for effect in case.effects if effect.call in chosen)
    found = [effect for key in objects for effect in tx.each(Effect, object_key=key, order="at")]
    calls = {call.id: call for call in (*case.calls, *tx.each(Call, in_flight=True))}
    unseen = unseen_effects(tx, manifests, calls.values(), found)
    found += [effect for effect in unseen if effect.object_key in objects]
    return sorted(found, key=lambda effect: (effect.at, effect.id))


def _undoing(tx: Tx, manifests: Manifests) -> Callable[[Effect], Undoing]:
    def undoing(effect: Effect) -> Undoing:
        call = tx.need(Call, effect.call)
        rules = manifests.version(tx, call.workflow, call.version)
        tool = rules.manifest.tools.get(call.tool)
        if tool is None:
            return Undoing(kind=call.effect)
        named = effect.source in NAMED or (tool.object is not None and tool.object.type == effect.object.type)
        # A system that undoes a call puts back all that the call changed there, whether a scan or the manifest named it.
        everywhere = tool.undo is not None and tool.undo.system == effect.object.system
        undo = tool.undo if named or everywhere else None
        args = {}
        none = undo.none if undo else None
        if undo is not None and undo.tool is not None:
            try:
                args = rules.undo_args(
                    call.tool, call.args, call.result, effect.object, tx.need(Run, call.run)
                )
            except ExpressionError as error:
                none = f"the arguments of {undo.tool} cannot be worked out: {error}"
        return Undoing(
            kind=call.effect,
            external=tool.external,
            system=undo.system if undo else None,
            tool=undo.tool if undo and not none else None,
            args=args,
            none=none,
        )

    return undoing


def _offers(tx: Tx, manifests: Manifests, case: Case) -> Callable[[Net, ObjectRef | None], list[Offer]]:
    rules = manifests.version(tx, case.workflow.id, case.workflow.version)

    def offers(net: Net, original: ObjectRef | None) -> list[Offer]:
        prepared = rules.remedies(net.object)
        if not prepared:
            return []
        call = tx.need(Call, net.effects[-1].call)
        known = rules.remedy_values(
            call.tool, call.args, call.result, net.object, tx.need(Run, call.run), call.source or ""
        )
        known |= {"left": net.left.content, "before": images_of(net.effects[0])[0].content}
        if original is not None:
            known |= {f"original.{name}": value for name, value in asdict(original).items()}
        return [_offer(each, known) for each in prepared]

    return offers


def _offer(prepared: Prepared, known: Mapping[str, Any]) -> Offer:
    rule, remedy = prepared.rule, Remedy(prepared.rule.remedy.value)
    try:
        values = prepared.worked_out(known)
    except ExpressionError as error:
        return Offer(remedy=remedy, why_not=f"how to {remedy} it cannot be worked out: {error}")
    if rule.tool is not None:
        return Offer(remedy=remedy, tool=rule.tool, args=values)
    return Offer(remedy=remedy, fields=values)


def _copies(case: Case) -> dict[str, str]:
    """Answer which call repeated which, as the duplicate signals of the incident say."""
    copies: dict[str, str] = {}
    for signal in case.signals:
        original = signal.facts.get("original")
        for copy in signal.facts.get("copies", ()):
            if isinstance(original, str) and copy != original:
                copies[copy] = original
    return copies
