"""A case: everything the records hold about one incident, gathered once and handed to the pure phases."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from stopwork.incidents.followup import taken_back
from stopwork.ledger import records as r
from stopwork.ledger.words import EffectKind, Verdict
from stopwork.manifest.model import Manifest, Tool


class Case(Struct, frozen=True, kw_only=True):
    """The incident with its runs and what happened in them, oldest first.

    ``manifests`` are the versions under which the runs ran, and ``current`` is the one in force now. ``effects`` are those that are
    recorded, and those that calls may have had whose end nobody saw (:mod:`stopwork.incidents.unfinished`). ``items`` are those that tell how
    each object stands, of all plans that were carried out and of the newest (:mod:`stopwork.incidents.followup`); ``plan_items`` are all
    those of the newest. ``sharers`` are the other workflows that use a credential of this one, by its name here. ``later_runs`` are those since the return that it
    is judged by: the first that ended, the first that ended well, and the last on the stage.
    """

    incident: r.Incident
    workflow: r.Workflow
    runs: tuple[r.Run, ...]
    steps: tuple[r.Step, ...]
    calls: tuple[r.Call, ...]
    effects: tuple[r.Effect, ...]
    approvals: tuple[r.Approval, ...]
    signals: tuple[r.Signal, ...]
    holds: tuple[r.Hold, ...]
    items: tuple[r.Item, ...]
    checks: tuple[r.Check, ...]
    manifests: dict[int, Manifest]
    current: Manifest
    audit: r.Audit | None = None
    plan: r.Plan | None = None
    bundle: r.Bundle | None = None
    postmortem: r.Postmortem | None = None
    later_runs: tuple[r.Run, ...] = ()
    plan_items: tuple[r.Item, ...] = ()
    containment: tuple[r.ContainmentItem, ...] = ()
    others: tuple[r.Incident, ...] = ()
    messages: tuple[r.Message, ...] = ()
    sharers: dict[str, tuple[str, ...]] = {}

    def tool(self, call: r.Call) -> Tool | None:
        """Answer how the tool of this call was declared when the call was made."""
        manifest = self.manifests.get(call.version)
        return manifest.tools.get(call.tool) if manifest else None

    @property
    def permitted(self) -> tuple[r.Call, ...]:
        """The calls that were allowed to run."""
        return tuple(call for call in self.calls if call.verdict is Verdict.ALLOW)

    @property
    def writes(self) -> tuple[r.Call, ...]:
        """The permitted calls whose tools are declared to change something."""
        return tuple(call for call in self.permitted if call.effect is not EffectKind.READ)

    @property
    def recovered_at(self) -> datetime | None:
        """When the recovery was over; nothing while the repair of an object is taken back again."""
        return None if taken_back(self.items) else self.incident.recovered_at
