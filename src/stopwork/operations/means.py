"""What a recovery plan is made from: the effects on the objects that calls changed, and what can be done about each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any

from msgspec.structs import asdict

from stopwork.incidents.case import Case
from stopwork.incidents.departed import ARGUMENTS, departed
from stopwork.incidents.net import Net, images_of
from stopwork.incidents.reach import Reach, lacking
from stopwork.incidents.references import Reference
from stopwork.incidents.remedies import Means, Offer, Undoing
from stopwork.incidents.unfinished import NAMED
from stopwork.ledger.records import Call, Effect, ObjectRef, Run, Signal
from stopwork.ledger.words import ImageState, IncidentType, Remedy
from stopwork.manifest.compiled import Prepared
from stopwork.manifest.expressions import ExpressionError
from stopwork.operations.manifests import Manifests
from stopwork.operations.settling import unseen_effects
from stopwork.storage.transaction import Tx
from stopwork.systems.base import System
from stopwork.systems.reach import heard, reach_of


def means_of(
    tx: Tx,
    manifests: Manifests,
    systems: Mapping[str, System],
    case: Case,
    *,
    by_choice: bool,
    references: Mapping[str, tuple[Reference, ...]],
) -> Means:
    """Answer what there is to put the objects of a case right; of repeated work only the copies go, unless calls were chosen."""
    reaches = reaches_of(case, systems)
    return Means(
        undoing=_undoing(tx, manifests),
        restores=frozenset(name for name, reach in reaches.items() if reach.restores),
        invokes=frozenset(name for name, reach in reaches.items() if reach.invokes),
        lacks=lacking(reaches),
        recovery=case.current.recovery,
        offers=_offers(tx, manifests, case),
        copies=_copies(tx, manifests, case),
        only_copies=not by_choice and case.incident.type is IncidentType.DUPLICATE_WORK,
        references=dict(references),
    )


def reaches_of(case: Case, systems: Mapping[str, System]) -> dict[str, Reach]:
    """Answer how far recovery reaches into each system: from here, or from the agent's process, as that has told of itself last.

    Of one that told nothing it is supposed that it can put back what its guard has seen.
    """
    seen = (
        effect.object.system
        for effect in case.effects
        if effect.source != ARGUMENTS and ImageState.PRESENT in (effect.before.state, effect.after.state)
    )
    reaches = {name: Reach() for name in seen}
    for run in case.runs:
        reaches |= heard(run.runtime.get("systems", {}))
    return reaches | {name: reach_of(system) for name, system in systems.items()}


def histories(tx: Tx, manifests: Manifests, case: Case, chosen: Collection[str]) -> list[Effect]:
    """Answer every effect on the objects that the chosen calls changed, in the order in which they happened.

    What calls may have changed whose end nobody saw counts like any other effect.
    """
    objects = dict.fromkeys(effect.object_key for effect in case.effects if effect.call in chosen)
    found = [effect for key in objects for effect in tx.each(Effect, object_key=key, order="at")]
    calls = {call.id: call for call in (*case.calls, *tx.each(Call, in_flight=True))}
    unseen = unseen_effects(tx, manifests, calls.values(), found)
    found += [
        effect for effect in (*unseen, *departed(calls.values(), found)) if effect.object_key in objects
    ]
    return sorted(found, key=lambda effect: (effect.at, effect.id))


def _undoing(tx: Tx, manifests: Manifests) -> Callable[[Effect], Undoing]:
    def undoing(effect: Effect) -> Undoing:
        call = tx.need(Call, effect.call)
        rules = manifests.version(tx, call.workflow, call.version)
        tool = rules.manifest.tools.get(call.tool)
        if tool is None:
            return Undoing(kind=call.effect)
        left = (
            effect.source == ARGUMENTS
        )  # no system has it, and what the manifest says of the call is about it
        named = (
            left
            or effect.source in NAMED
            or (tool.object is not None and tool.object.type == effect.object.type)
        )
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
            system=undo.system if undo and not left else None,
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


def _copies(tx: Tx, manifests: Manifests, case: Case) -> dict[str, str]:
    """Answer which call repeated which: as the duplicate signals of the incident say, and those that a signal came too early to name."""
    copies: dict[str, str] = {}
    for signal in case.signals:
        original = signal.facts.get("original")
        if not isinstance(original, str):
            continue
        named = (each for each in signal.facts.get("copies", ()) if each != original)
        for copy in (*named, *_not_named(tx, manifests, case, signal, original)):
            copies.setdefault(copy, original)
    return copies


def _not_named(tx: Tx, manifests: Manifests, case: Case, signal: Signal, original: str) -> Iterator[str]:
    """Yield the calls that did what those of a duplicate signal did, and were permitted after it was raised and before its hold stood.

    They are known by what the signal compared: the declared key, or the arguments on one occasion.
    """
    first = next((call for call in case.calls if call.id == original), None)
    compared, window_s = signal.facts.get("compared"), signal.facts.get("window_s")
    if first is None or not isinstance(window_s, (int, float)):
        return
    runs = {run.id: run for run in case.runs}
    until = signal.occurred_at + timedelta(seconds=window_s)
    for call in case.permitted:
        run, began = runs.get(call.run), runs.get(first.run)
        if run is None or call.tool != first.tool or not first.requested_at < call.requested_at <= until:
            continue
        if compared == "declared key":
            rules = manifests.version(tx, call.workflow, call.version)
            key = rules.declared_alert_key(call.tool, call.args, run, call.source or "")
            same = key == signal.facts.get("action")
        else:
            same = (
                compared == "arguments"
                and call.args_digest == first.args_digest
                and began is not None
                and began.trigger_id == run.trigger_id
            )
        if same:
            yield call.id
