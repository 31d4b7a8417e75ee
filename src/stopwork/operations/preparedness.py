"""Preparedness: how ready a workflow is for its next incident."""

from __future__ import annotations

from datetime import datetime

from stopwork.incidents.prepare import RECENT_RUNS, History, Preparedness, review
from stopwork.ledger import records as r
from stopwork.ledger.events import PreparednessReviewed
from stopwork.ledger.words import RunStatus
from stopwork.operations.manifests import Manifests, known_workflow
from stopwork.operations.pause_tests import due_at
from stopwork.operations.people import require_person
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View


def assess(view: View, manifests: Manifests, *, workflow: str, now: datetime) -> Preparedness:
    """Answer the ten checks and the score as things are."""
    manifest = manifests.current(view, workflow).manifest
    runs = [
        run
        for run in view.find(r.Run, workflow=workflow, order="-started_at", limit=RECENT_RUNS)
        if run.status is not RunStatus.RUNNING
    ]
    ids = tuple(run.id for run in runs)
    known = known_workflow(view, workflow)
    history = History(
        runs=tuple(runs),
        steps=tuple(view.each(r.Step, run=ids)) if ids else (),
        calls=tuple(view.each(r.Call, run=ids)) if ids else (),
        versions=tuple(view.each(r.ManifestVersion, workflow=workflow)),
        pause_test=known.pause_test,
        pause_test_due=now >= due_at(view, manifests, known),
    )
    return review(manifest, history, now)


def record(tx: Tx, manifests: Manifests, *, workflow: str, incident: str | None = None) -> Preparedness:
    """Assess and write the result down, for an incident's last phase or for the record."""
    require_person(tx, "review how prepared a workflow is")
    found = assess(tx, manifests, workflow=workflow, now=tx.now)
    tx.record(
        PreparednessReviewed(
            workflow=workflow,
            score=found.score,
            checks={each.check: each.state for each in found.checks},
            incident=incident,
        )
    )
    return found
