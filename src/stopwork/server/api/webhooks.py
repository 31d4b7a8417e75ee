"""Webhooks of other tools: Prometheus Alertmanager, and any tool that the operator has written a mapping for."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.concurrency import run_in_threadpool

from stopwork.kernel.errors import Malformed, NotFound, Unauthenticated
from stopwork.ledger.records import Credential, Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations.alertmanager import Alerts, reports_of
from stopwork.operations.reporting import Received, Reception
from stopwork.operations.signatures import verified
from stopwork.operations.webhooks import Mapped, Webhook
from stopwork.server.api.endpoint import Access, Attend, Endpoint, Given, Raw
from stopwork.server.auth import NOBODY
from stopwork.server.intake import intake_of

MAX_BODY_BYTES: Final = 1024 * 1024
#: So many of what came in are named in the answer; the rest is counted.
MOST_NAMED: Final = 20


class Delivered(Struct, frozen=True, kw_only=True):
    """What became of a message: how many reports were taken in which way, the first of them, and what the mapping does not want."""

    taken: dict[Reception, int]
    received: tuple[Received, ...]
    unwanted: int = 0


async def _alertmanager(g: Given, credential: Credential | None) -> Delivered:
    return _delivered(await intake_of(g.installation).take(reports_of(g.body), g.actor, credential))


async def _webhook(g: Given, credential: Credential | None) -> Delivered:
    found = intake_of(g.installation).ways.webhooks.get(g.path["webhook"])
    actor, delivery = _sender(g, found)
    if found is None:
        raise NotFound(
            f"there is no webhook {g.path['webhook']!r:.80}",
            hint="Write its mapping into the intake file: stopwork up --intake FILE",
        )
    mapped = await run_in_threadpool(_mapped, found, g.body, delivery)
    received = (
        await intake_of(g.installation).take(mapped.reports, actor, credential) if mapped.reports else []
    )
    return _delivered(received, unwanted=mapped.unwanted)


def _sender(given: Given, webhook: Webhook | None) -> tuple[Principal, str]:
    """Answer who sent it, and the sender's own name for it; what has to be signed is refused unsigned, whatever token comes with it."""
    body: Raw = given.body
    if webhook is not None and webhook.key is not None:
        now = given.installation.store.clock.now()
        name = verified(webhook.key, body.headers, body.content, now=now)
        signed_by = Principal(kind=PrincipalKind.REPORTER, id=f"webhook {webhook.name}")
        return (signed_by if given.actor == NOBODY else given.actor), name
    if given.actor == NOBODY:
        raise Unauthenticated(
            "a bearer token is needed",
            hint="Send it as: Authorization: Bearer sw_…, or give the webhook a secret and sign what you send.",
        )
    return given.actor, ""


def _mapped(webhook: Webhook, body: Raw, delivery: str) -> Mapped:
    try:
        said: Any = msgspec.json.decode(body.content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"the body is not JSON: {error}", hint="Send valid JSON in UTF-8.") from error
    return webhook.reports(said, delivery=delivery)


def _delivered(received: list[Received], *, unwanted: int = 0) -> Delivered:
    taken: dict[Reception, int] = {}
    for each in received:
        taken[each.reception] = taken.get(each.reception, 0) + 1
    return Delivered(taken=taken, received=tuple(received[:MOST_NAMED]), unwanted=unwanted)


ENDPOINTS: Final = (
    Endpoint(
        method="POST",
        path="/v1/webhooks/alertmanager",
        name="receive_alerts",
        summary="Take the alerts of Prometheus Alertmanager (webhook version 4)",
        does=Attend(_alertmanager),
        body=Alerts,
        answer=Delivered,
        access=Access.REPORT,
        max_body_bytes=MAX_BODY_BYTES,
        tag="signals",
    ),
    Endpoint(
        method="POST",
        path="/v1/webhooks/{webhook}",
        name="receive_webhook",
        summary="Take what a tool sends, by the mapping of the intake file; with a token, or signed (Standard Webhooks)",
        does=Attend(_webhook),
        raw=("application/json",),
        answer=Delivered,
        access=Access.SIGNED,
        max_body_bytes=MAX_BODY_BYTES,
        tag="signals",
    ),
)
