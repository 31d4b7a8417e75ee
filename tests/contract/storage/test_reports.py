"""Contract of reports, on every database: what is delivered twice is taken once, also in the same transaction and by another server, and
what repeats is counted with the signal that it repeats."""

from __future__ import annotations

from stopwork.ledger.records import Signal
from stopwork.ledger.words import SignalKind
from stopwork.operations import reporting
from stopwork.operations.manifests import Manifests
from stopwork.operations.reporting import KEPT_ALONE, Received, Report
from stopwork.storage.store import Store


def take(store: Store, *names: str) -> list[Received]:
    said = [
        Report(source="tool", kind=SignalKind.ALERT, summary="odd", workflow="nobody knows", delivery=name)
        for name in names
    ]
    return store.write(lambda tx: reporting.report_all(tx, Manifests(), said))


def test_what_is_delivered_twice_is_taken_once(location: str) -> None:
    with Store.open(location) as store:
        first, again = take(store, "a", "a")
        assert [each.reception for each in (first, again)] == ["unassigned", "known"]
        assert again.signal == first.signal
    with Store.open(location) as another:
        [later] = take(another, "a")
        assert (later.reception, later.signal) == ("known", first.signal)
        assert another.read(lambda view: view.count(Signal, workflow="")) == 1


def test_what_repeats_is_counted_with_the_signal_that_it_repeats(location: str) -> None:
    with Store.open(location) as store:
        every = [take(store, *(f"{part}-{number}" for number in range(150))) for part in range(3)]
        kept = store.read(lambda view: list(view.each(Signal, workflow="")))
        assert len(kept) == KEPT_ALONE
        assert sum(each.repeats for each in kept) == 450 - KEPT_ALONE
        assert {each.signal for each in every[-1]} == {each.id for each in kept if each.repeats}
        assert len(take(store, *(f"2-{number}" for number in range(150)))) == 150
        assert (
            sum(each.repeats for each in store.read(lambda view: list(view.each(Signal)))) == 450 - KEPT_ALONE
        )


def test_a_report_with_what_no_database_keeps_in_a_text_is_taken(location: str) -> None:
    odd = Report(
        source="to\0ol",
        kind=SignalKind.ALERT,
        summary="od\0d",
        workflow="no\0body",
        run="ru\0n",
        key="ke\0y",
        delivery="de\0livery",
        facts={"fa\0ct": "va\0lue"},
    )
    with Store.open(location) as store:
        [received] = store.write(lambda tx: reporting.report_all(tx, Manifests(), [odd]))
        assert store.read(lambda view: view.need(Signal, received.signal)).facts["said_workflow"]
