"""The whole way from an incident to its undo, for tests of what is undone."""

from __future__ import annotations

from collections.abc import Sequence

from stopwork.ledger.events import EvidenceSealed
from stopwork.ledger.records import Item, Plan, Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import audits, incidents, planning, plans, recovering, sealing
from stopwork.operations.installation import Installation
from stopwork.storage.transaction import Tx

DANA = Principal(kind=PrincipalKind.PERSON, id="dana@acme.test")
LEE = Principal(kind=PrincipalKind.PERSON, id="lee@acme.test")
#: A workflow that changes rows which nothing but the database can name.
CLEANUP = """
workflow: cleanup
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
triggers: [manual]
tools:
  crm.tidy: {effect: delete, undo: {system: crm}}
"""


def undone(installation: Installation, workflow: str) -> tuple[Plan, Sequence[Item]]:
    """Open an incident of all that the workflow did, have its plan approved and run; answer the plan and its items."""
    plan = approved(installation, workflow)
    done = recovering.run(installation, LEE, plan=plan.id)
    return done, installation.store.read(lambda view: plans.items_of(view, plan.id))


def approved(installation: Installation, workflow: str) -> Plan:
    """Open an incident of all that the workflow did, and answer its plan, approved."""
    size = sealing.seal(installation.store, installation.signer)

    def audited(tx: Tx) -> str:
        incident = incidents.open_by_hand(tx, installation.manifests, workflow=workflow)
        tx.record(sealed(incident.id, workflow, size))
        audits.complete(tx, installation.manifests, incident=incident.id)
        return incident.id

    plan = planning.plan(installation, LEE, incident=installation.store.write(audited, actor=LEE))
    return installation.store.write(
        lambda tx: planning.approve(tx, plan=plan.id, digest=plan.digest), actor=DANA
    )


def reversal(installation: Installation, plan: Plan) -> Plan:
    """Answer the plan that takes a recovery back, approved."""
    store = installation.store
    manifests, systems = installation.manifests, installation.systems
    back = store.write(lambda tx: planning.propose_reversal(tx, manifests, systems, plan=plan.id), actor=LEE)
    return store.write(lambda tx: planning.approve(tx, plan=back.id, digest=back.digest), actor=DANA)


def sealed(incident: str, workflow: str, tree_size: int) -> EvidenceSealed:
    """Answer the event of sealed evidence."""
    return EvidenceSealed(
        incident=incident,
        workflow=workflow,
        bundle="bundle_1",
        digest="sha256:0",
        size_bytes=0,
        entries=0,
        tree_size=tree_size,
        kinds={},
        missing=(),
        path="bundle.zip",
    )
