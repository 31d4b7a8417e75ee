"""The workflow that every measurement runs: a read, a write with key, condition and object, and tools that get held."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from stopwork.ledger.records import Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import manifests
from stopwork.operations.installation import Installation

WORKFLOW: Final = "bench"
READ: Final = "crm.read"
WRITE: Final = "crm.update"
OTHER: Final = "crm.other"
#: Each of these is held by the detector once, when its second copy is permitted.
DUPLICATED: Final = tuple(f"crm.create_{number}" for number in range(120))

AGENT: Final = Principal(kind=PrincipalKind.AGENT, id=WORKFLOW)
DANA: Final = Principal(kind=PrincipalKind.PERSON, id="dana@acme.test")
LEE: Final = Principal(kind=PrincipalKind.PERSON, id="lee@acme.test")

MANIFEST: Final = (
    """\
workflow: bench
owners: {business: dana@acme.test, technical: lee@acme.test}
triggers: [manual]
tools:
  crm.read: {effect: read}
  crm.update:
    effect: update
    object: {system: crm, type: account, id: args.id}
    idempotency: [run.trigger_id, args.id]
    deny_when: args.amount > 1000.0
  crm.other: {effect: update}
"""
    + "".join(f"  {name}: {{effect: create}}\n" for name in DUPLICATED)
    + """\
alerts:
  duplicate_action: {window: 7d, hold: tool}
"""
)


def declare(installation: Installation) -> None:
    """Put the manifest in force."""
    installation.store.write(lambda tx: manifests.apply(tx, MANIFEST, reason="to be measured"))


def arguments(number: int) -> dict[str, Any]:
    """Answer the arguments of one call of :data:`WRITE`, never the same twice."""
    return {"id": f"account-{number}", "amount": 12.5, "note": "renewal moved to next quarter " * 4}


def open_installation(folder: Path, database: str | None = None) -> Installation:
    """Open an installation whose workflow is declared."""
    installation = Installation.open(folder, database=database)
    declare(installation)
    return installation
