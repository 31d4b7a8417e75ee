"""Damage by the thousand: a workflow that moved a date in many rows, each by a call of its own that is on record with both images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from stopwork.ledger.records import Captured, Image, ObjectRef, Observed, Principal
from stopwork.ledger.words import Operation, Outcome, PrincipalKind
from stopwork.operations import manifests, outcomes, permits, runs
from stopwork.operations.installation import Installation
from stopwork.storage.transaction import Tx

WORKFLOW: Final = "renewals"
AGENT: Final = Principal(kind=PrincipalKind.AGENT, id=WORKFLOW)
BEFORE: Final = "2026-06-01"
DAMAGE: Final = "2025-01-01"
_AT_ONCE: Final = 200
_MANIFEST: Final = """\
workflow: renewals
owners: {business: dana@acme.test, technical: lee@acme.test}
triggers: [manual]
tools:
  crm.update_account:
    effect: update
    object: {system: crm, type: account, id: args.id}
    undo: {system: crm}
"""


def account(number: int) -> ObjectRef:
    return ObjectRef(system="crm", type="account", id=str(number))


def content(number: int, renewal: str) -> dict[str, Any]:
    """Answer what an account holds: a row of usual length."""
    return {
        "id": number,
        "name": f"Customer {number} and Daughters Ltd",
        "owner": "lee@acme.test",
        "renewal": renewal,
        "amount": 12.5,
        "note": "asked for a quote; wants to hear from us before the quarter ends",
    }


def record(installation: Installation, numbers: Sequence[int]) -> None:
    """Put on record that an agent has moved the date of each of these accounts; whoever calls has moved them."""

    store = installation.store
    store.write(lambda tx: manifests.apply(tx, _MANIFEST, reason="the first version"))
    begun = partial(
        runs.start,
        manifests=installation.manifests,
        workflow=WORKFLOW,
        trigger="manual",
        trigger_id="monday",
    )
    run = store.write(begun, actor=AGENT).run
    for start in range(0, len(numbers), _AT_ONCE):
        some = numbers[start : start + _AT_ONCE]
        store.write(partial(_record, installation=installation, run=run, numbers=some), actor=AGENT)


def _record(tx: Tx, installation: Installation, run: str, numbers: Sequence[int]) -> None:
    for number in numbers:
        ref = account(number)
        before, after = (Image.present(content(number, each)) for each in (BEFORE, DAMAGE))
        args = {"id": ref.id, "renewal": DAMAGE}
        call = permits.ask(
            tx, installation.manifests, run=run, tool="crm.update_account", args=args, session="session_1"
        ).call
        permits.attempt(tx, call=call, before=(Captured(object=ref, image=before),), session="session_1")
        seen = Observed(object=ref, operation=Operation.MODIFIED, before=before, after=after)
        outcomes.finish(
            tx,
            installation.manifests,
            call=call,
            outcome=Outcome.SUCCEEDED,
            observed=(seen,),
            session="session_1",
        )
