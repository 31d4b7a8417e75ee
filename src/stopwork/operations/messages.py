"""Communication: drafts are made from records, a person approves the exact text, and only then it is sent."""

from __future__ import annotations

from msgspec.structs import replace

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
    MessageAttempted,
    MessageDiscarded,
    MessageDrafted,
    MessageFailed,
    MessageSent,
    UpdateScheduled,
)
from stopwork.ledger.records import Incident, Message, Principal
from stopwork.ledger.words import Audience, MessageState
from stopwork.operations.cases import gather
from stopwork.operations.installation import Installation
from stopwork.operations.manifests import Manifests
from stopwork.operations.people import require_person
from stopwork.storage.transaction import Tx

#: What the subject of a message about a drill begins with.
PRACTICE = "[Practice]"

_OPEN = (MessageState.DRAFT, MessageState.APPROVED, MessageState.FAILED)


def draft(tx: Tx, manifests: Manifests, *, incident: str) -> list[Message]:
    """Draft a message for everyone who must be told and has no open draft yet; answer the incident's messages."""
    require_person(tx, "draft messages")
    case = gather(tx, manifests, incident)
    for each in drafts(case):
        _record(tx, case.incident, tx.new_id("msg"), each)
    return list(tx.each(Message, incident=incident, order="drafted_at"))


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

    That it is being sent is durable before it leaves, so it leaves once: what has no end recorded is in doubt, and a person
    says what became of it (:func:`settle`). ``Conflict`` without an approval, and while it is being sent. When the outlet does not take it the
    message is *failed* with the reason and may be sent again.
    """
    store = installation.store

    def begin(tx: Tx) -> Message:
        require_person(tx, "send a message")
        known = tx.need(Message, message)
        check_sending(known)
        if tx.need(Incident, known.incident).practice and known.audience is Audience.EXTERNAL_PARTIES:
            raise Conflict(
                f"{known.incident} is for practice, and nobody outside is told of it",
                hint="Discard the message; that it was written is what was to be practised.",
                message=message,
            )
        tx.record(
            MessageAttempted(
                incident=known.incident, workflow=_workflow(tx, known), message=message, digest=known.digest
            )
        )
        return known

    known = store.write(begin, actor=actor)
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


def settle(tx: Tx, manifests: Manifests, *, message: str, arrived: bool, note: str) -> Message:
    """Say what became of a message whose sending has no end, after somebody has asked a recipient or the mail server."""
    person = require_person(tx, "settle a message")
    known = tx.need(Message, message)
    if known.state is not MessageState.SENDING:
        raise Conflict(f"the message is {known.state}", hint="Nothing is in doubt.", found=known.state)
    if not note.strip():
        raise Invalid("say how you know", hint="One sentence is enough.", field="note")
    if arrived:
        return _sent(tx, manifests, known, dict.fromkeys(known.recipients, f"{person}: {note.strip()}"))
    return _failed(tx, known, f"{person}: {note.strip()}")


def _record(tx: Tx, incident: Incident, message: str, each: Draft) -> None:
    if incident.status.ended:
        raise Conflict(f"{incident.id} is {incident.status}", hint="A closed incident does not change.")
    if incident.practice and not each.subject.startswith(PRACTICE):
        subject = f"{PRACTICE} {each.subject}"
        digest = text_digest(each.audience, each.recipients, subject, each.body)
        each = replace(each, subject=subject, digest=digest)
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
            digest=known.digest,
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
