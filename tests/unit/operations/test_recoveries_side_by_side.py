"""Several plans, several systems: every running plan is carried on with, in every system that it is about, whatever becomes of the
others; and of one incident only one plan is under way at a time.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from stopwork import Stopwork
from stopwork.kernel.errors import Conflict
from stopwork.ledger.events import PlanProposed
from stopwork.ledger.records import Plan
from stopwork.ledger.words import ItemState, PlanState
from stopwork.operations import lanes, planning, plans, recovering
from stopwork.sdk.embedded import LocalDesk
from stopwork.storage.fsck import fsck
from stopwork.storage.transaction import Tx
from stopwork.systems.capture import watch
from stopwork.systems.sql import SqlSystem, Table
from tests.support.office import LEE, Crm, Office
from tests.support.trouble import Trouble
from tests.support.undoing import undone

MANIFEST = """
workflow: cleanup
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
triggers: [manual]
tools:
  crm.tidy: {effect: update, undo: {system: crm}}
"""


def state(trouble: Trouble, plan: Plan) -> PlanState:
    return trouble.office.read(lambda view: view.need(Plan, plan.id)).state


def started(trouble: Trouble, plan: Plan) -> Plan:
    return trouble.office.write(partial(recovering.start, plan=plan.id), actor=LEE)


def proposed_again(trouble: Trouble, *, calls: set[str]) -> Plan:
    office = trouble.office
    propose = partial(
        planning.propose,
        manifests=office.inst.manifests,
        systems=office.inst.systems,
        incident=trouble.incident,
        calls=calls,
    )
    return office.write(propose, actor=LEE)


def test_a_system_of_which_the_first_entry_of_a_long_plan_says_nothing_is_recovered_too(
    tmp_path: Path,
) -> None:
    rows = {"crm": plans.ITEMS_AN_ENTRY, "erp": 1}
    systems = {}
    for name, number in rows.items():
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as database, database:
            database.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT)")
            database.executemany(
                "INSERT INTO account VALUES (?, 'Acme')", [(each,) for each in range(number)]
            )
        systems[name] = SqlSystem(
            name, tmp_path / f"{name}.db", {"account": Table(table="account", key=("id",))}, capture=True
        )
        systems[name].install_capture()
    manifest = tmp_path / "stopwork.yaml"
    manifest.write_text(MANIFEST)

    def tidy() -> None:
        for name in systems:
            with closing(sqlite3.connect(tmp_path / f"{name}.db")) as connection:
                watch(connection)
                with connection:
                    connection.execute("UPDATE account SET name = 'bad'")

    with Stopwork.embedded(tmp_path / "data", manifest=manifest, systems=systems) as guard:
        with guard.run("cleanup"):
            guard.tool("crm.tidy")(tidy)()
        assert isinstance(guard.desk, LocalDesk)
        done, items = undone(guard.desk.installation, "cleanup")
        assert fsck(guard.desk.installation.store).clean
    assert (done.items, done.systems) == (sum(rows.values()), ("crm", "erp"))
    assert {item.state for item in items} == {ItemState.VERIFIED}
    assert done.state is PlanState.FINISHED


def test_a_plan_that_cannot_go_on_holds_no_other_up(tmp_path: Path) -> None:
    crm = Faulty()
    with Office(tmp_path / "data", systems={"crm": crm}) as office:
        office.crm = crm
        first, second = Trouble(office), opened_by_hand(office)
        found = [started(each, each.approved_plan_as_proposed()) for each in (first, second)]
        crm.faults = 1
        with pytest.raises(ExceptionGroup, match=f"{found[0].id}: RuntimeError: out of order"):
            recovering.carry_on_all(office.inst, for_s=5.0)
        assert [state(first, found[0]), state(second, found[1])] == [PlanState.RUNNING, PlanState.FINISHED]
        recovering.carry_on_all(office.inst, for_s=5.0)
        assert state(first, found[0]) is PlanState.FINISHED


@pytest.mark.parametrize("begun", [False, True])
def test_a_recovery_is_not_taken_back_while_another_is_under_way(trouble: Trouble, *, begun: bool) -> None:
    done = trouble.recover(trouble.approved_plan_as_proposed())
    other = trouble.approve(proposed_again(trouble, calls={trouble.update.call}))
    if begun:
        other = started(trouble, other)
    with pytest.raises(Conflict, match=f"{other.id} is {other.state}"):
        trouble.reversal(done.id)
    with pytest.raises(Conflict, match=f"{other.id} is {other.state}"):
        proposed_again(trouble, calls={trouble.update.call})
    assert trouble.known.plan == other.id
    trouble.recover(other)
    back = trouble.reversal(done.id)
    assert back.state is PlanState.PROPOSED


def test_a_running_plan_is_found_although_its_incident_has_a_newer_one(trouble: Trouble) -> None:
    """As a version before this one could leave it."""
    office = trouble.office
    running = started(trouble, trouble.approved_plan_as_proposed())
    known = trouble.known

    def propose_beside(tx: Tx) -> None:
        tx.record(
            PlanProposed(
                incident=known.id, workflow=known.workflow, plan="plan_beside", digest="sha256:0", items=()
            )
        )

    office.write(propose_beside, actor=LEE)
    assert office.read(lambda view: [plan.id for plan in lanes.running_plans(view)]) == [running.id]
    recovering.carry_on_all(office.inst, for_s=5.0)
    assert state(trouble, running) is PlanState.FINISHED


class Faulty(Crm):
    """An adapter that fails before anything is asked of it, as often as ``faults`` says."""

    faults = 0

    @property
    def at_once(self) -> int:
        if self.faults:
            self.faults -= 1
            raise RuntimeError("out of order")
        return 1


def opened_by_hand(office: Office) -> Trouble:
    """An incident of its own about another account."""
    run = office.begin("tuesday")
    office.do(run, "crm.update_account", account_id="globex", renewal="2025-01-01")
    return Trouble.of_run(office, run)
