"""Retrievals: what a run reads besides tool calls, and the holds on its source.

A retrieval is told of when it has been done, so it stays on record; the answer says that what was read may not be used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from stopwork.control import holds
from stopwork.control.protocol import RecordStep
from stopwork.ledger.records import Hold, Run, Workflow
from stopwork.ledger.words import ScopeKind, StepKind, Verdict
from stopwork.operations import runs
from stopwork.operations.manifests import Manifests
from stopwork.storage.transaction import Tx

#: The name of the step that says which items a run was kept from reading.
QUARANTINE: Final = "quarantine"


def refusal(tx: Tx, manifests: Manifests, step: RecordStep) -> str | None:
    """Answer why what a retrieval has read may not be used; ``None`` where it may, and for any other step."""
    if step.kind is not StepKind.RETRIEVAL or step.source is None:
        return None
    held = tuple(_on_source(tx))
    if not held:
        return None
    said = {"name": step.name, "facts": step.facts}
    return _why(held, _retrieval(tx, manifests, runs.running(tx, step.run), step.source, said))


def sift(tx: Tx, manifests: Manifests, *, run: str, source: str, items: Sequence[str]) -> dict[str, str]:
    """Answer the items of a source that the run may not read, each with why; that it was kept from them is put on record."""
    known = runs.running(tx, run)
    held = tuple(_on_source(tx))
    withheld = {
        item: why
        for item in items
        if held and (why := _why(held, _retrieval(tx, manifests, known, source, {"item": item})))
    }
    if withheld:
        runs.step(
            tx,
            run=run,
            kind=StepKind.GUARDRAIL,
            name=QUARANTINE,
            facts={"withheld": list(withheld)},
            source=source,
        )
    return withheld


def _on_source(tx: Tx) -> Iterator[Hold]:
    for hold in tx.each(Hold, active=True):
        if hold.scope.kind is ScopeKind.SOURCE:
            yield hold


def _retrieval(tx: Tx, manifests: Manifests, run: Run, source: str, said: dict[str, Any]) -> holds.Retrieval:
    workflow = tx.need(Workflow, run.workflow)
    declared = manifests.version(tx, workflow.id, workflow.version).manifest.sources.get(source)
    return holds.Retrieval(
        workflow=run.workflow,
        trigger=run.trigger,
        source=source,
        source_class=declared.trust.value if declared else None,
        args=said,
    )


def _why(held: Sequence[Hold], retrieval: holds.Retrieval) -> str | None:
    """Answer the first reason; a retrieval cannot wait for people, so whatever does not let it be read withholds it."""
    return next(
        (reason.text for reason in holds.reasons(held, retrieval) if reason.verdict is not Verdict.ALLOW),
        None,
    )
