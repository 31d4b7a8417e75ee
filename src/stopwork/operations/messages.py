"""Communication: drafts are made from records, a person approves the exact text, and only then it is sent."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from stopwork.incidents.communicate import (
    Draft,
    check_approval,
    check_sending,
    drafts,
    outstanding,
    text_digest,
)
from stopwork.incidents.open import next_update_at
from stopwork.kernel.errors import Conflict, Invalid, StopworkError
from stopwork.ledger.events import (
    MessageApproved,
    MessageDiscarded,
    MessageDrafted,
    MessageFailed,
    MessageSent,
    UpdateScheduled,
)
from stopwork.ledger.records import Incident, Message, Principal
from stopwork.ledger.words import IncidentStatus, MessageState
from stopwork.operations.cases import gather
from stopwork.operations.installation import Installation
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import require_person
from stopwork.storage.transaction import Tx

_OPEN = (MessageState.DRAFT, MessageState.APPROVED, MessageState.FAILED)


def draft(tx: Tx, manifests: Manifests, *, incident: str) -> list[Message]:
    """Draft a message for everyone who must be told and has no open draft yet; answer the incident's messages."""
    require_person(tx, "draft messages")
    case = gather(tx, manifests, incident)
    for each in drafts(case):
        _record(tx, case.incident, tx.new_id("msg"), each)
    return tx.find(Message, incident=incident, order="drafted_at")


def edit(tx: Tx, *, message: str, recipients: tuple[str, ...], subject: str, body: str) -> Message:
    """Change a draft. An approved message that is changed is a draft again: the approval was of another text."""
    require_person(tx, "edit a message")
    known = tx.need(Message, message)
    if known.state not in _OPEN:
        raise Conflict(f"the message was {known.state} already", hint="Draft a new one.", found=known.state)
    recipients = tuple(address.strip() for address in recipients if address.strip())
    if not recipients or any("@" not in address for address in recipients):
        raise Invalid(
            "every recipient needs an address", hint="For example dana@acme.test", field="recipients"
        )
    if not subject.strip() or not body.strip():
        raise Invalid("subject and text are needed", hint="Fill both.", field="subject")
    subject, body = subject.strip(), body.strip() + "\n"
    changed = Draft(
        audience=known.audience,
        recipients=recipients,
        subject=subject,
        body=body,
        digest=text_digest(known.audience, recipients, subject, body),
    )
    _record(tx, tx.need(Incident, known.incident), message, changed)
    return tx.need(Message, message)


def approve(tx: Tx, *, message: str, digest: str) -> Message:
    """Approve the exact text that ``digest`` names, as a person."""
    require_person(tx, "approve a message")
    known = tx.need(Message, message)
    check_approval(known, tx.actor, digest)
    tx.record(
        MessageApproved(
            incident=known.incident, workflow=_workflow(tx, known), message=message, digest=digest
        )
    )
    return tx.need(Message, message)


def discard(tx: Tx, *, message: str, reason: str) -> Message:
    """Drop a message that will not be sent; the reason stays."""
    require_person(tx, "discard a message")
    known = tx.need(Message, message)
    if known.state not in _OPEN:
        raise Conflict(
            f"the message was {known.state} already", hint="Nothing was changed.", found=known.state
        )
    if not reason.strip():
        raise Invalid("a reason is needed", hint="Say why nobody is told.", field="reason")
    tx.record(
        MessageDiscarded(
            incident=known.incident, workflow=_workflow(tx, known), message=message, reason=reason.strip()
        )
    )
    return tx.need(Message, message)


def send(installation: Installation, actor: Principal, *, message: str) -> Message:
    """Hand an approved message to the outlet and record what became of it per recipient.

    ``Conflict`` without an approval, and while it is being sent. When the outlet does not take it the message is *failed* with
    the reason and may be sent again.
    """
    with _alone(message):
        return _send(installation, actor, message)


_under_way: set[str] = set()
_under_way_lock = threading.Lock()


@contextlib.contextmanager
def _alone(message: str) -> Iterator[None]:
    """Keep a second sender of the same message out: what has left cannot be called back."""
    with _under_way_lock:
        if message in _under_way:
            raise Conflict(f"{message} is being sent", hint="Look at it in a moment.", message=message)
        _under_way.add(message)
    try:
        yield
    finally:
        with _under_way_lock:
            _under_way.discard(message)


def _send(installation: Installation, actor: Principal, message: str) -> Message:
    store = installation.store

    def ready(tx: Tx) -> Message:
        require_person(tx, "send a message")
        known = tx.need(Message, message)
        check_sending(known)
        return known

    known = store.write(ready, actor=actor)
    try:
        delivery = installation.outlet.send(
            message_id=known.id,
            recipients=known.recipients,
            subject=known.subject,
            body=known.body,
            at=store.clock.now(),
        )
    except Exception as error:  # noqa: BLE001 - whatever an outlet raises, the message is not known to have left
        words = str(error) if isinstance(error, StopworkError) else f"{type(error).__name__}: {error}"
        return store.write(lambda tx: _failed(tx, known, words), actor=actor)
    return store.write(lambda tx: _sent(tx, installation.manifests, known, delivery), actor=actor)


def _record(tx: Tx, incident: Incident, message: str, each: Draft) -> None:
    if incident.status is IncidentStatus.CLOSED:
        raise Conflict(f"{incident.id} is closed", hint="A closed incident does not change.")
    tx.record(
        MessageDrafted(
            incident=incident.id,
            workflow=incident.workflow,
            message=message,
            audience=each.audience,
            recipients=each.recipients,
            subject=each.subject,
            body=each.body,
            digest=each.digest,
        )
    )


def _failed(tx: Tx, known: Message, error: str) -> Message:
    tx.record(
        MessageFailed(incident=known.incident, workflow=_workflow(tx, known), message=known.id, error=error)
    )
    return tx.need(Message, known.id)


def _sent(tx: Tx, manifests: Manifests, known: Message, delivery: dict[str, str]) -> Message:
    incident = tx.need(Incident, known.incident)
    others = [each for each in outstanding(gather(tx, manifests, incident.id)) if each is not known.audience]
    tx.record(
        MessageSent(
            incident=incident.id,
            workflow=incident.workflow,
            message=known.id,
            delivery=delivery,
            complete=not others,
        )
    )
    tx.record(
        UpdateScheduled(
            incident=incident.id,
            workflow=incident.workflow,
            next_update_at=next_update_at(incident.severity, tx.now),
            reason="an update was sent",
        )
    )
    return tx.need(Message, known.id)


def _workflow(tx: Tx, message: Message) -> str:
    return tx.need(Incident, message.incident).workflow
