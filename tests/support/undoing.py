"""The whole way from an incident to its undo, for tests of what is undone."""

from __future__ import annotations

from collections.abc import Sequence

from stopwork.ledger.events import EvidenceSealed
from stopwork.ledger.records import Item, Plan, Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import audits, incidents, planning, plans, recovering
from stopwork.operations.installation import Installation
from stopwork.storage.transaction import Tx

DANA = Principal(kind=PrincipalKind.PERSON, id="dana@acme.test")
LEE = Principal(kind=PrincipalKind.PERSON, id="lee@acme.test")


def undone(installation: Installation, workflow: str) -> tuple[Plan, Sequence[Item]]:
    """Open an incident of all that the workflow did, have its plan approved and run; answer the plan and its items."""

    def proposed(tx: Tx) -> Plan:
        incident = incidents.open_by_hand(tx, installation.manifests, workflow=workflow)
        tx.record(sealed(incident.id, workflow, tx.last_seq()))
        audits.complete(tx, installation.manifests, incident=incident.id)
        return planning.propose(tx, installation.manifests, installation.systems, incident=incident.id)

    plan = installation.store.write(proposed, actor=LEE)
    installation.store.write(lambda tx: planning.approve(tx, plan=plan.id, digest=plan.digest), actor=DANA)
    done = recovering.run(installation, LEE, plan=plan.id)
    return done, installation.store.read(lambda view: plans.items_of(view, plan.id))


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
