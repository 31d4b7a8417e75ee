"""What has changed: the versions of a manifest, and one run against another."""

from __future__ import annotations

from stopwork.incidents.change import RunComparison, RunDifference
from stopwork.ledger import records as r
from stopwork.operations.versions import VersionView
from stopwork.server.pages.contexts.parts import Context, Frame, Paging


class VersionRow(Context):
    """A version with what it changes. ``why_not`` says why this visitor may not sign it, while it waits for that."""

    told: VersionView
    why_not: str = ""

    @property
    def proposed(self) -> bool:
        """Whether it waits to be signed."""
        return bool(self.told.signers) or self.told.version.state == "proposed"


class VersionsContext(Context):
    """The versions of a workflow's manifest, newest first."""

    frame: Frame
    workflow: r.Workflow
    rows: tuple[VersionRow, ...]
    paging: Paging


class DifferenceContext(Context):
    """How a run differs from an earlier one; ``last_good`` when that one was picked and not named."""

    frame: Frame
    workflow: r.Workflow
    comparison: RunComparison
    parts: tuple[tuple[str, tuple[RunDifference, ...]], ...]
    loosens: tuple[str, ...]
    last_good: bool
    incident: r.Incident | None = None
