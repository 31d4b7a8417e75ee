"""An undo through a system covers all that the call changed there, also what no manifest could name; and whoever must be told is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stopwork import Stopwork
from stopwork.ledger.records import Item
from stopwork.ledger.words import Audience, Remedy
from stopwork.operations import audits, incidents, planning
from stopwork.sdk.embedded import LocalDesk
from stopwork.storage.transaction import Tx
from stopwork.systems.python import PythonSystem
from tests.support.undoing import LEE, sealed

MANIFEST = """
workflow: payments
owners: {{business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}}
triggers: [manual]
tools:
  bank.pay:
    effect: pay
    external: true
    {undo}
"""


class Bank:
    """A bank whose answer does not name the payment that was made."""

    def __init__(self) -> None:
        self.payments: dict[str, Any] = {"1": {"amount": 5}}

    def pay(self, amount: int) -> str:
        self.payments[str(len(self.payments) + 1)] = {"amount": amount}
        return "paid"

    def write(self, kind: str, name: str, content: Any) -> None:
        self.payments.pop(name, None) if content is None else self.payments.update({name: content})

    def system(self) -> PythonSystem:
        def scan() -> Iterator[tuple[str, str, Any]]:
            return (("payment", name, content) for name, content in self.payments.items())

        return PythonSystem("bank", lambda _kind, name: self.payments.get(name), self.write, scan)


@pytest.mark.parametrize(
    ("undo", "remedy"),
    [("undo: {system: bank}", Remedy.DELETE), ("undo: {none: A payment is gone.}", Remedy.TELL)],
)
def test_what_only_a_scan_found_is_undone_as_its_tool_says(tmp_path: Path, undo: str, remedy: Remedy) -> None:
    bank = Bank()
    [item] = _proposed(tmp_path, bank, undo)
    assert (str(item.object), item.remedy) == ("bank/payment/2", remedy)
    assert Audience.EXTERNAL_PARTIES in item.must_tell


def test_a_payment_without_a_declared_undo_is_left_to_people(tmp_path: Path) -> None:
    [item] = _proposed(tmp_path, Bank(), "risk: high")
    assert item.remedy is Remedy.TELL


def _proposed(folder: Path, bank: Bank, undo: str) -> list[Item]:
    """Answer the plan's items after the agent has made one payment."""
    systems = {"bank": bank.system()}
    (folder / "stopwork.yaml").write_text(MANIFEST.format(undo=undo))
    manifest = folder / "stopwork.yaml"
    with Stopwork.embedded(folder / "data", manifest=manifest, systems=systems) as guard:
        with guard.run("payments"):
            guard.tool("bank.pay")(bank.pay)(7)
        assert isinstance(guard.desk, LocalDesk)
        installation = guard.desk.installation

        def respond(tx: Tx) -> str:
            incident = incidents.open_by_hand(tx, installation.manifests, workflow="payments")
            tx.record(sealed(incident.id, "payments", tx.last_seq()))
            audits.complete(tx, installation.manifests, incident=incident.id)
            return planning.propose(tx, installation.manifests, systems, incident=incident.id).id

        plan = installation.store.write(respond, actor=LEE)
        return installation.store.read(lambda view: list(view.each(Item, plan=plan, order="order")))
