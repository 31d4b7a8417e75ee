"""The console's forms that make safe what an incident touched."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import Final

from stopwork.kernel.errors import Invalid
from stopwork.kernel.phrases import count_of
from stopwork.ledger.records import ContainmentItem
from stopwork.ledger.words import ContainmentState, Phase
from stopwork.operations import containment, hooking
from stopwork.server.pages.sent import Landed, Sent
from stopwork.server.pages.vocabulary import label

#: A page is answered after this long; a hook goes on by itself.
ANSWERED_WITHIN_S: Final = 5.0
MOST_HOURS: Final = 24 * 30


def propose(sent: Sent) -> Landed:
    """Make the checklist."""
    items = sent.write(
        lambda tx: containment.checklist(
            tx,
            sent.installation.manifests,
            incident=sent.incident,
            offers=hooking.offers(sent.installation.hooks),
        )
    )
    return Landed(f"{count_of(len(items), 'thing')} to make safe.", sent.at(Phase.CONTAIN))


def record(sent: Sent) -> Landed:
    """Record how one item ended."""
    try:
        state = ContainmentState(sent.get("state"))
    except ValueError:
        raise Invalid(
            f"{sent.get('state')!r} cannot be chosen here", hint="Choose from the list.", field="state"
        ) from None
    item, how = _item(sent), sent.get("verified_how")
    sent.write(lambda tx: containment.record(tx, item=item, state=state, verified_how=how))
    return Landed("Recorded in your name.", sent.at(Phase.CONTAIN))


def run(sent: Sent) -> Landed:
    """Run a hook or set a hold; the page is answered soon in any case."""
    item = _item(sent)
    return _told(
        sent,
        lambda: hooking.run(
            sent.installation, sent.person, item=item, hook=sent.get("hook"), despite=sent.get("despite")
        ),
    )


def verify(sent: Sent) -> Landed:
    """Look whether one item is safe."""
    item = _item(sent)
    return _told(sent, lambda: hooking.verify(sent.installation, sent.person, item=item))


def assign(sent: Sent) -> Landed:
    """Give one item to a person, for some hours."""
    item, hours = _item(sent), sent.get("hours")
    if hours and not (hours.isdecimal() and 0 < int(hours) <= MOST_HOURS):
        raise Invalid(
            f"{hours} is no number of hours", hint=f"At most {MOST_HOURS}, or leave it out.", field="hours"
        )
    given = sent.write(
        lambda tx: containment.assign(
            tx,
            sent.installation.manifests,
            item=item,
            to=sent.get("to"),
            due_at=tx.now + timedelta(hours=int(hours)) if hours else None,
        )
    )
    return Landed(f"{given.assignee} has it.", sent.at(Phase.CONTAIN))


def _item(sent: Sent) -> str:
    item = sent.get("item")
    if not item.startswith(f"{sent.incident}/"):
        raise Invalid("choose an item of this incident", hint="Go back to its checklist.", field="item")
    return item


def _told(sent: Sent, work: Callable[[], ContainmentItem]) -> Landed:
    done: Future[ContainmentItem] = Future()

    def carry_out() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is told where it was asked for
            done.set_exception(error)

    threading.Thread(target=carry_out, name="containment", daemon=True).start()
    try:
        item = done.result(ANSWERED_WITHIN_S)
    except TimeoutError:
        return Landed("It goes on by itself; what comes of it is shown here.", sent.at(Phase.CONTAIN))
    return Landed(f"{item.what}: {label(item.state).lower()}.", sent.at(Phase.CONTAIN))


#: The forms by the last part of their address.
CONTAINING: Final = {
    "containment/propose": propose,
    "containment": record,
    "containment/run": run,
    "containment/verify": verify,
    "containment/assign": assign,
}
