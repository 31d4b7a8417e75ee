"""An incident in which a token may be misused, on a server with hooks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from stopwork.hooks.settings import load_hooks
from stopwork.ledger.records import ContainmentItem
from stopwork.ledger.words import ContainmentArea, ContainmentState, IncidentType
from stopwork.operations import containment, evidence, hooking, manifests
from tests.support.office import LEE, MANIFEST, Office
from tests.support.trouble import Trouble

KEY = "k3y-that-nobody-may-see"
CREDENTIALS = """\
credentials:
  crm-token:
    kind: secret
    system: crm
    permissions: [crm.accounts.write, crm.tasks.write]
    id: crm-integration
    holder: kim@acme.test
downstream:
  - {name: dunning, tools: [crm.create_task], owner: vera@acme.test}
"""
SHARING = """\
workflow: invoices
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
tools: {crm.read: {effect: read, permission: crm.read}}
credentials: {token: {kind: secret, system: crm, id: crm-integration, permissions: [crm.read]}}
"""


class Scene:
    """An incident in which a token may be misused, on a server with these hooks."""

    def __init__(
        self,
        folder: Path,
        hooks: dict[str, Any],
        *,
        sealed: bool = True,
        practice: bool = False,
        database: str | None = None,
    ) -> None:
        made = load_hooks(hooks, env={"VAULT_KEY": KEY}, folder=folder)
        self.office = Office(
            folder / "office", database=database, hooks=made, manifest=MANIFEST + CREDENTIALS
        )
        office = self.office
        office.write(lambda tx: manifests.apply(tx, SHARING, reason="first"), actor=LEE)
        run = office.begin()
        office.do(run, "crm.update_account", account_id="acme", renewal="2025-01-01")
        self.incident = Trouble.of_run(
            office, run, about=IncidentType.TOOL_MISUSE, practice=practice
        ).incident
        if sealed:
            evidence.seal(office.inst, LEE, incident=self.incident)

    def items(self) -> list[ContainmentItem]:
        offers = hooking.offers(self.office.inst.hooks)
        return self.office.write(
            partial(
                containment.checklist,
                manifests=self.office.inst.manifests,
                incident=self.incident,
                offers=offers,
            ),
            actor=LEE,
        )

    def item(self, area: ContainmentArea = ContainmentArea.SECRETS) -> ContainmentItem:
        return next(item for item in self.items() if item.area is area)

    def run(self, **options: Any) -> ContainmentItem:
        return hooking.run(self.office.inst, options.pop("actor", LEE), item=self.item().id, **options)

    def verify(self) -> ContainmentItem:
        return hooking.verify(self.office.inst, LEE, item=self.item().id)

    def record(self, state: ContainmentState, how: str) -> ContainmentItem:
        return self.office.write(
            partial(containment.record, item=self.item().id, state=state, verified_how=how), actor=LEE
        )

    def events(self, *kinds: type) -> list[Any]:
        entries = self.office.read(lambda view: view.entries(incident=self.incident, limit=1_000))
        return [entry.event for entry in entries if isinstance(entry.event, kinds)]

    def note(self) -> str:
        return self.item().places[0].note
