"""What both sides of a recovery go by: its items, whether it may begin, and when it is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from stopwork.kernel.canonical import digest_of
from stopwork.kernel.errors import Conflict
from stopwork.ledger.events import PlanFinished
from stopwork.ledger.records import Incident, Item, Plan
from stopwork.ledger.words import ItemState, PlanState
from stopwork.operations.reading_again import is_pending
from stopwork.storage import leases
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

OPEN: Final = frozenset({ItemState.APPROVED, ItemState.IN_DOUBT})
"""The states of an item that is still to be run, or to be looked at after a crash."""


#: How many items stand in one entry of the journal; a longer plan takes several.
ITEMS_AN_ENTRY: Final = 1_000


def entries_of(items: Sequence[Item]) -> Iterator[tuple[Item, ...]]:
    """Answer the items as they are spread over entries: one at least."""
    for start in range(0, max(1, len(items)), ITEMS_AN_ENTRY):
        yield tuple(items[start : start + ITEMS_AN_ENTRY])


def digest_of_items(items: Iterable[Item]) -> str:
    """Answer the digest of a plan: of what each item says, in the order in which they run."""
    return digest_of([digest_of(item) for item in sorted(items, key=lambda item: item.order)])


def items_of(view: View, plan: str) -> list[Item]:
    """Answer every item of a plan, in the order in which they are run."""
    return list(view.each(Item, plan=plan, order="order"))


def require_sealed(incident: Incident) -> None:
    """Raise ``Conflict`` until the incident's evidence is sealed: cleaning before preserving destroys the proof."""
    if incident.sealed_at is None:
        raise Conflict(
            "the evidence is not sealed yet",
            hint=f"Seal it first: stopwork incident seal {incident.id}",
            incident=incident.id,
        )
    if incident.status.ended:
        raise Conflict(
            f"{incident.id} is {incident.status}",
            hint="A closed incident does not change.",
            incident=incident.id,
        )


def lane_name(plan: str, system: str) -> str:
    """Answer under which name the lease of a lane is kept; a plan that is over has none."""
    return f"recovery/{plan}/{system}"


def finish(tx: Tx, plan: str) -> Plan:
    """Record that a plan is over once nothing of it is left to run, or to be read once more; answer the plan."""
    known = tx.need(Plan, plan)
    left = tx.count(Item, plan=plan, state=tuple(OPEN))
    if known.state is not PlanState.FINISHED and not left and not is_pending(tx, known):
        items = items_of(tx, plan)
        incident = tx.need(Incident, known.incident)
        tx.record(
            PlanFinished(
                incident=incident.id,
                workflow=incident.workflow,
                plan=plan,
                outcome=dict(Counter(item.state.value for item in items)),
            )
        )
        leases.drop(tx, [lane_name(plan, system) for system in {item.object.system for item in items}])
    return tx.need(Plan, plan)
