"""Who may do what: signatures belong to people, and some of them to particular people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from stopwork.kernel.errors import Denied, Invalid
from stopwork.ledger.records import Credential, Incident, Principal, Workflow
from stopwork.ledger.words import PrincipalKind
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View


def refuse_agent(actor: Principal, doing: str) -> None:
    """Raise ``Denied`` for an agent, a reporter or a feed; people may, and so may the system's own duties."""
    if actor.kind not in (PrincipalKind.PERSON, PrincipalKind.SYSTEM):
        raise Denied(
            f"{'an' if actor.kind is PrincipalKind.AGENT else 'a'} {actor.kind} cannot {doing}",
            hint="Only a person can; sign in as one.",
            expected=PrincipalKind.PERSON.value,
            found=actor.kind.value,
        )


def require_person(tx: Tx, doing: str) -> str:
    """Answer the acting person's address; ``Denied`` for agents and for the system itself."""
    if tx.actor.kind is not PrincipalKind.PERSON:
        raise Denied(
            f"{tx.actor} cannot {doing}",
            hint="Only a person can; sign in as one.",
            expected=PrincipalKind.PERSON.value,
            found=tx.actor.kind.value,
        )
    return tx.actor.id


def require_business_owner(tx: Tx, incident: Incident, doing: str) -> str:
    """Answer the business owner's address when the actor is that person; ``Denied`` for everybody else."""
    person = require_person(tx, doing)
    if person != incident.business_owner:
        raise Denied(
            f"only the business owner can {doing}",
            hint=f"Ask {incident.business_owner}.",
            expected=incident.business_owner,
            found=person,
        )
    return person


def require_owner(tx: Tx, workflow: Workflow, doing: str) -> None:
    """Raise ``Denied`` unless the actor owns the workflow, in any role, or looks after the installation."""
    owners = tuple(workflow.owners.values())
    if tx.actor.kind is PrincipalKind.SYSTEM or tx.actor.id in (*owners, *administrators(tx, tx.now)):
        return
    raise Denied(
        f"{tx.actor} is no owner of {workflow.id} and cannot {doing}",
        hint=f"Ask one of its owners: {', '.join(dict.fromkeys(owners))}.",
        expected=list(owners),
        found=tx.actor.id,
    )


def require_known_person(view: View, address: str, *, field: str, besides: Iterable[str] = ()) -> None:
    """Raise ``Invalid`` for somebody whom this server does not know: an address with a slip in it would be nobody.

    It knows the owners of its workflows, those to whom it has given a credential that nobody has taken back, and ``besides`` these.
    """
    owners = {each for workflow in view.each(Workflow) for each in workflow.owners.values()}
    if address in owners or address in besides:
        return
    if any(
        each.principal.kind is PrincipalKind.PERSON
        and each.principal.id == address
        and each.revoked_at is None
        for each in view.each(Credential)
    ):
        return
    raise Invalid(
        f"this server knows no {address}",
        hint="Name an owner, or somebody who can sign in; an administrator lets them: stopwork user link ADDRESS",
        field=field,
        found=address,
    )


def administrators(view: View, now: datetime) -> tuple[str, ...]:
    """Answer the people who can act as administrators now: a credential that is over makes nobody one."""
    found = (
        each.principal.id
        for each in view.each(Credential)
        if each.administrator
        and each.revoked_at is None
        and (each.expires_at is None or each.expires_at > now)
        and not (each.once and each.used_at is not None)
    )
    return tuple(dict.fromkeys(found))
