"""Hooking: running the operator's hooks for the items of a containment, each at most once at a time, and asking their probes.

That a hook begins is durable before it runs. Where a server ends in between, the place is in doubt: at once where only one process has the
store, and else once the hook's time is over. Its probe is asked before anything is done again, and where there is none a person has to look. The evidence comes first: before it is sealed a hook
runs only for a reason, which is recorded. A hold waits for nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from stopwork.hooks.base import Answer, Ended, Facts, Hook, Hooks
from stopwork.incidents.contain import ENDED
from stopwork.incidents.offers import HOLD, HookOffer, fitting
from stopwork.incidents.preserve import UNDER_WAY
from stopwork.kernel.errors import Conflict, Invalid, NotFound
from stopwork.kernel.phrases import listed
from stopwork.ledger.events import HookEnded, HookStarted
from stopwork.ledger.records import ContainmentItem, ContainmentPlace, Incident, Principal
from stopwork.ledger.records.containment import standing_of
from stopwork.ledger.words import ContainmentState, HookKind, IncidentStatus, PlaceKind, PrincipalKind
from stopwork.operations import holds, proving
from stopwork.operations.containment import completes, contained, open_item
from stopwork.operations.installation import Installation
from stopwork.operations.people import refuse_agent, require_person
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

log = logging.getLogger(__name__)

AS_CONTAINMENT: Final = Principal(kind=PrincipalKind.SYSTEM, id="containment")
#: So often a hook is tried for one item; then people do it.
MAX_TRIES: Final = 5
#: How much longer than its parts a hook may take before it is in doubt: the time it takes to write its end down.
MARGIN: Final = timedelta(seconds=5)
_STATE = ContainmentState


def offers(hooks: Hooks) -> tuple[HookOffer, ...]:
    """Answer what the hooks of a server can do; a hold it can always set."""
    return (HOLD, *(hook.offer for hook in hooks.values()))


def run(
    installation: Installation, actor: Principal, *, item: str, hook: str = "", despite: str = ""
) -> ContainmentItem:
    """Make an item safe by this hook, or by every one that serves it and has not: then ask what shows whether it is.

    ``despite`` is why that cannot wait for the evidence. ``Conflict`` where nothing on this server makes it safe, where it runs already,
    where a person has to look first, and of a hook in a drill.
    """
    refuse_agent(actor, "run a hook")
    store = installation.store
    chosen = store.read(lambda view: _chosen(view, installation, item, hook))
    for offer in chosen:
        if offer.kind is HookKind.HOLD:
            store.write(partial(_hold, item=item, offer=offer), actor=actor, urgent=True)
            continue
        known = installation.hooks[offer.name]
        with _running(installation, item, offer.name):
            begun = store.write(partial(_begin, item=item, hook=known, despite=despite), actor=actor)
            ended = _carried_out(known, begun)
            store.write(partial(_end, begun=begun, ended=ended), actor=actor)
    return store.write(lambda tx: _look(tx, installation, item), actor=actor)


def verify(installation: Installation, actor: Principal, *, item: str) -> ContainmentItem:
    """Ask the probes of the item's hooks, and look what the records show; nothing is changed but what is known."""
    store = installation.store
    known = store.read(lambda view: _verifiable(view, actor, item))
    hooks = [
        (place, installation.hooks[place.name])
        for place in known.places
        if place.kind is PlaceKind.HOOK and place.name in installation.hooks and not place.running
    ]
    asked = [(place, hook) for place, hook in hooks if hook.probe is not None]
    if not asked and not any(place.kind is not PlaceKind.HOOK for place in known.places) and not known.scope:
        if running := [place.name for place in known.places if place.running]:
            raise Conflict(
                f"{listed(running)} is running for {item}",
                hint="Wait for its end, and look again.",
                item=item,
            )
        raise Conflict(
            f"nothing but people can tell whether {item} is safe",
            hint="Look, and record what you saw: done, not_applicable or failed.",
            item=item,
        )
    for place, hook in asked:
        facts = store.read(partial(_facts, item=item, hook=place.name, number=place.tries))
        ended = replace(_probed(hook, facts, place.state), looked=True)
        begun = _Begun(item=item, hook=hook.offer.name, number=place.tries, facts=facts)
        store.write(partial(_end, begun=begun, ended=ended), actor=actor)
    return store.write(lambda tx: _look(tx, installation, item), actor=actor)


def keep_watch(installation: Installation) -> None:
    """Say what is in doubt by now, and what the records have come to show of what is still to do."""
    store = installation.store
    now = store.clock.now()

    def due(view: View) -> tuple[list[tuple[str, ContainmentPlace]], list[str]]:
        late, seen = [], []
        under_way = {each.id: each.status for each in view.each(Incident, status=UNDER_WAY)}
        for item in view.each(ContainmentItem, incident=tuple(under_way)) if under_way else ():
            late += [(item.id, each) for each in item.places if _is_lost(installation, item, each, now)]
            open_one = under_way[item.incident] is IncidentStatus.INVESTIGATING and item.state not in ENDED
            if open_one and proving.look(view, installation.manifests, item, now=now) is not None:
                seen.append(item.id)
        return late, seen

    late, seen = store.read(due)
    for item, place in late:
        store.write(partial(_doubt, item=item, hook=place.name, number=place.tries), actor=AS_CONTAINMENT)
    for item in seen:
        store.write(partial(_look, installation=installation, item=item), actor=AS_CONTAINMENT)


@contextmanager
def _running(installation: Installation, item: str, hook: str) -> Iterator[None]:
    """Let it be known meanwhile that this process runs the hook."""
    installation.running_hooks.append((item, hook))
    try:
        yield
    finally:
        installation.running_hooks.remove((item, hook))


def _is_lost(
    installation: Installation, item: ContainmentItem, place: ContainmentPlace, now: datetime
) -> bool:
    """Answer whether a hook was begun that nobody runs any more."""
    if place.until is None:
        return False
    # Another server may be running it, and only its time ends it for sure: a lease would lapse as well where that server does not reach the
    # database for a while, and what still runs would be run twice.
    elsewhere = installation.store.shared
    return place.until < now or not (elsewhere or (item.id, place.name) in installation.running_hooks)


class _Begun(Struct, frozen=True, kw_only=True):
    """A hook that is about to run, or whose probe is about to be asked; ``looks_first`` where an earlier try may have taken hold."""

    item: str
    hook: str
    number: int
    facts: Facts
    looks_first: bool = False


class _End(Struct, frozen=True, kw_only=True):
    """How that ended; ``looked`` where only the probe was asked."""

    state: ContainmentState
    note: str
    probed: bool | None = None
    looked: bool = False


def _chosen(view: View, installation: Installation, item: str, hook: str) -> list[HookOffer]:
    known, incident = open_item(view, item)
    known_offers = offers(installation.hooks)
    if hook:
        named = [each for each in known_offers if each.name == hook]
        if not named:
            raise NotFound(
                f"this server has no hook {hook}",
                hint=f"It has {', '.join(each.name for each in known_offers)}.",
                hook=hook,
            )
        if not fitting(tuple(named), known, incident.workflow):
            raise Invalid(f"{hook} does not serve {item}", hint="Choose one that does.", field="hook")
        return named
    done = {(each.kind, each.name) for each in known.places if each.state is _STATE.DONE}
    serving = [
        each
        for each in fitting(known_offers, known, incident.workflow)
        if each.kind is not HookKind.HOLD and (PlaceKind.HOOK, each.name) not in done
    ]
    if known.scope is not None and (PlaceKind.HOLD, str(known.scope)) not in done:
        # The operator's own way of holding goes before the one that every server has.
        fit = fitting(known_offers, known, incident.workflow)
        serving.insert(0, [each for each in fit if each.kind is HookKind.HOLD][-1])
    if not serving:
        raise Conflict(
            f"nothing on this server makes {item} safe"
            if known.state not in ENDED
            else f"{item} is {known.state}",
            hint="Give it to a person, who records how it ended.",
            item=item,
        )
    return serving


def _hold(tx: Tx, item: str, offer: HookOffer) -> None:
    require_person(tx, "contain an incident")
    known, incident = open_item(tx, item)
    if known.scope is None:
        raise Invalid(f"{item} is nothing that can be held", hint="Choose another hook.", field="hook")
    holds.pause(tx, scope=known.scope, mode=offer.mode, reason=known.what, incident=incident.id)


def _begin(tx: Tx, item: str, hook: Hook, despite: str) -> _Begun:
    """Record that the hook begins, where it may."""
    require_person(tx, "run a hook")
    known, incident = open_item(tx, item)
    name = hook.offer.name
    if incident.practice:
        raise Conflict(
            f"{incident.id} is for practice, and what {name} does would be real",
            hint="Record the item as not_applicable, and say what you would have run.",
            incident=incident.id,
        )
    place = known.place(PlaceKind.HOOK, name) or hook.offer.place()
    if place.until is not None and place.until >= tx.now:
        raise Conflict(
            f"{name} is running for {item} already, started by {place.by}",
            hint="Wait for it: nothing is done twice.",
            item=item,
            until=place.until.isoformat(),
        )
    if place.state is _STATE.DONE or known.state in ENDED:
        raise Conflict(
            f"{item} is {known.state}", hint="Let its probe look again, or record it as failed.", item=item
        )
    if incident.sealed_at is None and not despite.strip():
        raise Conflict(
            f"the evidence of {incident.id} is not sealed, and {name} may destroy some",
            hint=f"Seal it first: stopwork incident seal {incident.id}. Where harm is going on, say why it "
            "cannot wait. A hold never waits.",
            incident=incident.id,
        )
    in_doubt = place.state is _STATE.IN_DOUBT or place.until is not None
    if in_doubt and hook.probe is None:
        raise Conflict(
            f"whether {name} took hold of {item} is not known",
            hint="Look, and record it as done, or as failed: then it may run again.",
            item=item,
        )
    if place.runs >= MAX_TRIES:
        raise Conflict(
            f"{name} was tried {place.runs} times for {item}",
            hint="Do it by hand, and let its probe look, or record how it ended.",
            item=item,
        )
    number = place.tries + 1
    asked_twice = hook.probe.question.within_s if in_doubt and hook.probe else 0.0
    tx.record(
        HookStarted(
            incident=incident.id,
            workflow=incident.workflow,
            item=item,
            hook=name,
            kind=hook.offer.kind,
            number=number,
            until=tx.now + timedelta(seconds=hook.within_s + asked_twice) + MARGIN,
            has_probe=hook.probe is not None,
            before_capture="" if incident.sealed_at is not None else despite.strip(),
        )
    )
    return _Begun(
        item=item, hook=name, number=number, facts=_facts(tx, item, name, number), looks_first=in_doubt
    )


def _facts(view: View, item: str, hook: str, number: int) -> Facts:
    known = view.need(ContainmentItem, item)
    return Facts(
        incident=known.incident,
        workflow=view.need(Incident, known.incident).workflow,
        item=known.id,
        area=known.area.value,
        target=known.target,
        system=known.system,
        what=known.what,
        key=f"{known.id}/{hook}/{number}",
    )


def _carried_out(hook: Hook, begun: _Begun) -> _End:
    """Do it, outside any transaction, and ask the probe; where an earlier try may have taken hold, ask that first."""
    try:
        if begun.looks_first and hook.probe is not None:
            safe, how = hook.probe.look(begun.facts)
            if safe is not False:
                state = _STATE.DONE if safe else _STATE.IN_DOUBT
                return _End(state=state, note=f"It was not run again. {how}", probed=safe, looked=True)
        if hook.deed is None:
            raise Invalid(f"{begun.hook} does nothing", hint="Give it a deed.")
        return _judged(hook, begun.facts, hook.deed.do(begun.facts))
    except Exception as error:
        log.warning("hook %s failed", begun.hook, exc_info=True)
        return _End(state=_STATE.IN_DOUBT, note=f"It broke: {type(error).__name__}.")


def _judged(hook: Hook, facts: Facts, answer: Answer) -> _End:
    """Answer what an attempt has come to: a probe decides, and a deed that only says that it is done is not done."""
    said = f"{answer.said[:1].upper()}{answer.said[1:]}."
    if hook.probe is not None:
        safe, how = hook.probe.look(facts)
        state = {True: _STATE.DONE, False: _STATE.FAILED, None: _STATE.IN_DOUBT}[safe]
        return _End(state=state, note=f"{said} {how}", probed=safe)
    if answer.ended is Ended.YES:
        return _End(state=_STATE.IN_PROGRESS, note=f"{said} It has no probe: somebody has to look.")
    state = _STATE.FAILED if answer.ended is Ended.NO else _STATE.IN_DOUBT
    return _End(state=state, note=said)


def _probed(hook: Hook, facts: Facts, before: ContainmentState) -> _End:
    if hook.probe is None:
        return _End(state=before, note="It has no probe.")
    safe, how = hook.probe.look(facts)
    if safe is None:
        return _End(state=before, note=how)
    if safe:
        return _End(state=_STATE.DONE, note=how, probed=True)
    # What was never begun has not failed.
    state = _STATE.PROPOSED if before is _STATE.PROPOSED else _STATE.FAILED
    return _End(state=state, note=how, probed=False)


def _end(tx: Tx, begun: _Begun, ended: _End) -> None:
    """Record how it ended, unless somebody has begun again since."""
    known = tx.need(ContainmentItem, begun.item)
    place = known.place(PlaceKind.HOOK, begun.hook) or ContainmentPlace(kind=PlaceKind.HOOK, name=begun.hook)
    if place.tries != begun.number:
        return
    _ended(tx, known, place, ended)


def _ended(tx: Tx, known: ContainmentItem, place: ContainmentPlace, ended: _End) -> None:
    incident = tx.need(Incident, known.incident)
    after = replace(place, state=ended.state)
    others = tuple(each for each in known.places if each is not place)
    item = replace(known, state=standing_of((*others, after)), by=tx.actor)
    done = item.state is _STATE.DONE and completes(tx, item)
    tx.record(
        HookEnded(
            incident=incident.id,
            workflow=incident.workflow,
            item=known.id,
            hook=place.name,
            number=place.tries,
            state=ended.state,
            note=ended.note,
            complete=done,
            probed=ended.probed,
            looked=ended.looked,
        )
    )
    if not incident.status.ended:
        contained(tx, incident, done)


def _doubt(tx: Tx, item: str, hook: str, number: int) -> None:
    known = tx.need(ContainmentItem, item)
    place = known.place(PlaceKind.HOOK, hook)
    if place is not None and place.running and place.tries == number:
        _ended(
            tx,
            known,
            place,
            _End(state=_STATE.IN_DOUBT, note="It was begun, and nobody has recorded its end."),
        )


def _look(tx: Tx, installation: Installation, item: str) -> ContainmentItem:
    """Record what the records show of an item, where that is new; what a person has recorded stands."""
    known = tx.need(ContainmentItem, item)
    found = proving.look(tx, installation.manifests, known, now=tx.now)
    if found is None or (known.state in ENDED and not known.automatic):
        return known
    hooks = tuple(each for each in known.places if each.kind is PlaceKind.HOOK)
    after = replace(known, state=standing_of((*hooks, *found)), by=tx.actor)
    done = after.state is _STATE.DONE and completes(tx, after)
    proving.looked(tx, known, found, complete=done)
    incident = tx.need(Incident, known.incident)
    if not incident.status.ended:
        contained(tx, incident, done)
    return tx.need(ContainmentItem, item)


def _verifiable(view: View, actor: Principal, item: str) -> ContainmentItem:
    refuse_agent(actor, "look whether an item is safe")
    known, _ = open_item(view, item)
    if known.state is _STATE.NOT_APPLICABLE:
        raise Conflict(f"{item} is not applicable", hint="There is nothing to look at.", item=item)
    return known
