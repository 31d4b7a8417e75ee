"""The control plane in the agent's own process: the same operations that a server runs, asked without a network.

The only module of the SDK that needs ``stopwork[server]``. One process owns the folder; a second one is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from stopwork.control import backfilling, drafting, running
from stopwork.control import protocol as p
from stopwork.kernel.errors import Internal, Invalid
from stopwork.ledger.records import Call, Incident, Plan, Point, Principal, Run
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import desk, manifests
from stopwork.operations.installation import Installation
from stopwork.storage.view import View
from stopwork.systems.base import System
from stopwork.worker.crew import Crew

A = TypeVar("A")

OPERATOR = Principal(kind=PrincipalKind.SYSTEM, id="embedded")


class LocalDesk:
    """A desk that answers from an installation in this process, with its background duties. Closing the desk closes both."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.crew = Crew(installation)

    @classmethod
    def open(cls, folder: str | Path, *, systems: Mapping[str, System] | None = None) -> LocalDesk:
        """Open the installation in ``folder``, or make one there, and start its duties: detectors, sealer, housekeeping and the others."""
        opened = cls(Installation.open(folder, systems=systems))
        opened.crew.start()
        return opened

    def __repr__(self) -> str:
        return f"LocalDesk({str(self.installation.folder)!r})"

    def apply(self, manifest: Path) -> None:
        """Put the manifest file in force, unless it is in force already."""
        try:
            text = manifest.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(
                f"the manifest {manifest} cannot be read: {error}", hint="Name a stopwork.yaml file."
            ) from error
        self.installation.store.write(
            lambda tx: manifests.apply(
                tx, text, reason=f"given at start as {manifest.name}", filename=str(manifest)
            ),
            actor=OPERATOR,
        )

    def send(self, request: p.Request[A]) -> A:
        """Answer the request once what it records is durable."""
        store = self.installation.store
        workflow = store.read(lambda view: workflow_of(view, request))
        actor = Principal(kind=PrincipalKind.AGENT, id=workflow)
        return store.write(
            lambda tx: desk.answer(
                tx, self.installation.manifests, request, connected=self.installation.systems
            ),
            actor=actor,
        )

    def close(self) -> None:
        """Stop the duties and give the folder back."""
        self.crew.stop()
        self.installation.close()


def workflow_of(view: View, request: p.Request[Any]) -> str:
    """Answer the workflow that a request speaks for."""
    match request:
        case (
            p.StartRun(workflow=workflow)
            | p.RegisterPoint(workflow=workflow)
            | drafting.ClaimDrafts(workflow=workflow)
            | backfilling.ClaimBackfills(workflow=workflow)
            | running.ClaimLane(workflow=workflow)
        ):
            return workflow
        case (
            p.FinishRun(run=run)
            | p.RejoinRun(run=run)
            | p.RecordStep(run=run)
            | p.SiftItems(run=run)
            | p.AskPermit(run=run)
        ):
            return view.need(Run, run).workflow
        case (
            p.RecordAttempt(call=call)
            | p.RecordOutcome(call=call)
            | p.RecordEffects(call=call)
            | p.SettleByProbe(call=call)
        ):
            return view.need(Call, call).workflow
        case p.Heartbeat(point=point) | p.ReportReads(point=point) | p.RetirePoint(point=point):
            return view.need(Point, point).workflow
        case running.BeginItems(plan=plan) | running.EndItems(plan=plan) | running.KeepLane(plan=plan):
            return view.need(Incident, view.need(Plan, plan).incident).workflow
    raise Internal(f"nobody answers {type(request).__name__}", hint="Please report this.")
