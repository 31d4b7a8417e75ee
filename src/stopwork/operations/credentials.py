"""Credentials: bearer tokens and one-time sign-in links. Only the digest of a secret is ever stored."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from stopwork.kernel.addresses import one_address
from stopwork.kernel.errors import Denied, Invalid, Unauthenticated
from stopwork.ledger.events import CredentialIssued, CredentialRevoked, CredentialUsed
from stopwork.ledger.records import Credential, Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations.manifests import known_workflow
from stopwork.operations.people import administrators, refuse_agent
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

LINK_VALID_FOR: Final = timedelta(hours=1)
SESSION_VALID_FOR: Final = timedelta(hours=12)
MAX_SECRET_LENGTH: Final = 200
#: What a system is called; a feed speaks for one.
SYSTEM_NAME: Final = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
#: What a tool is called that says what it noticed.
REPORTER_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


class Issued(Struct, frozen=True, kw_only=True):
    """A new credential; ``secret`` is shown once and cannot be had again."""

    credential: Credential
    secret: str


def issue(
    tx: Tx,
    *,
    principal: Principal,
    valid_for: timedelta | None = None,
    once: bool = False,
    administrator: bool = False,
) -> Issued:
    """Make a credential. An agent's works for its own workflow only, and never signs; a feed's tells of its own system, a reporter's says what it noticed, and nothing else."""
    if principal.kind is PrincipalKind.PERSON:
        principal = replace(principal, id=one_address(principal.id, "principal.id"))
    _require_issuer(tx, principal, administrator=administrator)
    if principal.kind is PrincipalKind.SYSTEM:
        raise Invalid(
            "the system has no credentials", hint="Make one for a person or an agent.", field="kind"
        )
    if principal.kind is PrincipalKind.AGENT:
        known_workflow(tx, principal.id)
    if principal.kind is PrincipalKind.FEED and not SYSTEM_NAME.fullmatch(principal.id):
        raise Invalid(
            f"{principal.id[:80]!r} is no name of a system",
            hint="Write it as the manifests do: small letters, digits, - and _.",
            field="id",
        )
    if principal.kind is PrincipalKind.REPORTER and not REPORTER_NAME.fullmatch(principal.id):
        raise Invalid(
            f"{principal.id[:80]!r} is no name of a reporter",
            hint="Use up to 63 small letters, digits, dots and dashes, such as prometheus.",
            field="id",
        )
    secret = f"sw_{secrets.token_urlsafe(32)}"
    credential = tx.new_id("cred")
    tx.record(
        CredentialIssued(
            credential=credential,
            principal=principal,
            secret_digest=secret_digest(secret),
            expires_at=tx.now + valid_for if valid_for else None,
            once=once,
            administrator=administrator,
        )
    )
    return Issued(credential=tx.need(Credential, credential), secret=secret)


def spend_link(tx: Tx, secret: str) -> Issued:
    """Turn a one-time link into a session for the same person; ``Unauthenticated`` when it was used or is too old."""
    link = _valid(tx, secret)
    if link is None or not link.once:
        raise Unauthenticated(
            "this sign-in link does not work any more",
            hint="Ask for a new one: stopwork user link dana@acme.test",
        )
    tx.record(CredentialUsed(credential=link.id))
    return issue(tx, principal=link.principal, valid_for=SESSION_VALID_FOR, administrator=link.administrator)


def revoke(tx: Tx, *, credential: str, reason: str) -> Credential:
    """End a credential at once; ending it twice changes nothing.

    Anyone may take an agent's: that stops work. A person's is for that person and for administrators.
    """
    refuse_agent(tx.actor, "revoke credentials")
    known = tx.need(Credential, credential)
    if (
        known.principal.kind is PrincipalKind.PERSON
        and tx.actor.kind is PrincipalKind.PERSON
        and tx.actor.id not in (known.principal.id, *administrators(tx, tx.now))
    ):
        raise Denied(
            f"{tx.actor} cannot end a credential of {known.principal}",
            hint="That person can, and an administrator.",
            found=tx.actor.id,
        )
    if known.revoked_at is None:
        tx.record(CredentialRevoked(credential=credential, reason=reason))
    return tx.need(Credential, credential)


def identify(view: View, secret: str, *, now: datetime) -> Credential:
    """Answer the credential behind a bearer token or session; ``Unauthenticated`` when there is none that is valid."""
    found = _lookup(view, secret)
    if found is None or found.once or not _usable(found, now):
        raise _not_valid()
    return found


def confirm(tx: Tx, credential: str) -> None:
    """Raise ``Unauthenticated`` unless a credential that was valid a moment ago still is: nothing commits by one that was revoked."""
    found = tx.get(Credential, credential)
    if found is None or not _usable(found, tx.now):
        raise _not_valid()


def secret_digest(secret: str) -> str:
    """Answer what is stored of a secret. It has 256 random bits, so a plain digest cannot be guessed back."""
    return "sha256:" + hashlib.sha256(secret.encode()).hexdigest()


def _require_issuer(tx: Tx, principal: Principal, *, administrator: bool) -> None:
    """Raise ``Denied`` unless the actor may hand out this credential: whoever can make one can act under its name."""
    refuse_agent(tx.actor, "make credentials")
    if tx.actor.kind is PrincipalKind.SYSTEM or tx.actor.id in administrators(tx, tx.now):
        return
    if administrator:
        raise Denied("only an administrator makes another one", hint="Ask whoever runs this server.")
    if tx.actor == principal:
        return
    if principal.kind is PrincipalKind.AGENT:
        owners = known_workflow(tx, principal.id).owners.values()
        if tx.actor.id in owners:
            return
    raise Denied(
        f"{tx.actor} cannot make a credential for {principal}",
        hint="An administrator can, and for an agent also an owner of its workflow.",
    )


def _valid(tx: Tx, secret: str) -> Credential | None:
    found = _lookup(tx, secret)
    return found if found is not None and found.used_at is None and _usable(found, tx.now) else None


def _lookup(view: View, secret: str) -> Credential | None:
    # Looked up by digest: the time it takes tells nothing about the secret.
    if not 0 < len(secret) <= MAX_SECRET_LENGTH:
        return None
    return view.first(Credential, secret_digest=secret_digest(secret))


def _not_valid() -> Unauthenticated:
    return Unauthenticated(
        "the token is not valid",
        hint="Use a token of this server: stopwork token create",
        scheme="Bearer",
    )


def _usable(credential: Credential, now: datetime) -> bool:
    if credential.revoked_at is not None:
        return False
    return credential.expires_at is None or credential.expires_at > now
