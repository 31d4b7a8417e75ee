"""Contract of looking at many records, as far as is asked, on either database: every call of the workflow since then, newest first and once;
the private incidents; and those under legal hold that are asked for or are of the workflows of some runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import msgspec
import pytest

from stopwork.ledger.events import Event, LegalHoldLifted, LegalHoldSet, ReadersChanged
from stopwork.ledger.records import Call, Record
from stopwork.storage import glances
from stopwork.storage.store import Store
from stopwork.storage.transaction import Tx
from tests.support.office import WORKFLOW
from tests.support.replicas import TOOL, Replica
from tests.support.told import incident_with_evidence, run_started


class Glance(Record):
    """Some of what a call says."""

    id: str
    args: dict[str, str]


@pytest.fixture
def replica(location: str) -> Iterator[Replica]:
    with Replica.several(1, partial(Replica.open, location)) as (opened,):
        opened.apply()
        yield opened


def test_every_call_is_looked_at_once_from_then_on(replica: Replica) -> None:
    run = replica.begin("monday")
    for number in range(5):
        replica.ask(run, TOOL, f"call-{number}", title=f"quoted “a”\0 {number}")
    calls = replica.store.read(
        lambda view: sorted(view.each(Call), key=lambda call: (call.requested_at, call.id))
    )
    assert len(calls) == 5
    look = partial(glances.calls_as, kind=Glance, workflow=WORKFLOW)
    for since in (
        calls[0].requested_at,
        calls[2].requested_at,
        calls[-1].requested_at + timedelta(seconds=1),
    ):
        for page in (1, 2, 5, 100):
            found = replica.store.read(lambda view: list(look(view, since=since, page=page)))  # noqa: B023 - used at once
            assert found == [
                (call.requested_at, Glance(id=call.id, args=call.args))
                for call in reversed(calls)
                if call.requested_at >= since
            ]


class Titled(Record):
    """Some of what an incident says."""

    id: str
    title: str


def opened(incident: str, *, workflow: str) -> tuple[Event, ...]:
    parts = incident_with_evidence(incident, path="", digest="")[:2]
    return tuple(msgspec.structs.replace(each, workflow=workflow) for each in parts)


@pytest.fixture
def incidents(location: str) -> Iterator[Store]:
    """Three incidents of renewals, of which A and B are held and C no longer, and D of billing, which is held; B and D are private."""

    def tell(tx: Tx) -> None:
        of = {"A": "renewals", "B": "renewals", "C": "renewals", "D": "billing"}
        for workflow in ("renewals", "billing", "invoices"):
            tx.record(opened("", workflow=workflow)[0])
        for incident, workflow in of.items():
            tx.record(opened(incident, workflow=workflow)[1])
            tx.record(LegalHoldSet(incident=incident, workflow=workflow, reason="a court asks"))
            if incident in "BD":
                tx.record(
                    ReadersChanged(incident=incident, workflow=workflow, private=True, readers=(), reason="x")
                )
        tx.record(LegalHoldLifted(incident="C", workflow="renewals", reason="it is over"))
        for run, workflow in {"run_1": "renewals", "run_2": "billing", "run_3": "invoices"}.items():
            tx.record(run_started(run, workflow=workflow))

    with Store.open(location) as store:
        store.write(tell)
        yield store


def test_private_incidents_are_looked_at_as_far_as_is_asked(incidents: Store) -> None:
    found = incidents.read(lambda view: glances.private_as(view, Titled))
    assert sorted(found, key=lambda each: each.id) == [
        Titled(id="B", title="Wrong tool"),
        Titled(id="D", title="Wrong tool"),
    ]


@pytest.mark.parametrize(
    ("runs", "incident", "expected"),
    [
        ((), None, ""),
        (("run_1",), None, "AB"),
        (("run_2",), None, "D"),
        (("run_1", "run_2", "run_3"), None, "ABD"),
        (("run_3",), None, ""),
        (("run_4",), None, ""),
        ((), "A", "A"),
        ((), "C", ""),
        (("run_2",), "A", "AD"),
    ],
)
def test_incidents_under_legal_hold_are_those_asked_for_and_of_the_workflows_of_runs(
    incidents: Store, runs: tuple[str, ...], incident: str | None, expected: str
) -> None:
    found = incidents.read(lambda view: glances.held_as(view, Titled, runs=runs, incident=incident))
    assert sorted(each.id for each in found) == list(expected)
