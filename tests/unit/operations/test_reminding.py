"""Contract of reminding: whoever is given something to make safe is told once, and again once its time is over, as whoever commands the
incident is, once a day until it is done; whoever takes it themselves is not told of it, and nobody is told of what has ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from stopwork.ledger.records import ContainmentItem, Principal, Telling
from stopwork.ledger.words import ContainmentState, TellingState, TellingStep
from stopwork.operations import acknowledging, containment, privacy, triage
from tests.support.office import DANA, KIM, LEE, Office
from tests.support.trouble import Trouble


@pytest.fixture
def trouble(tmp_path: Path) -> Iterator[Trouble]:
    with Office(tmp_path) as office:
        found = Trouble(office)
        # So that of nothing else anybody is to be told.
        office.write(partial(acknowledging.acknowledge, incident=found.incident), actor=LEE)
        yield found


def assign(
    trouble: Trouble, *, to: Principal = KIM, by: Principal = LEE, hours: float | None = 2
) -> ContainmentItem:
    office = trouble.office
    item = trouble.checklist()[0]
    due_at = None if hours is None else office.clock.now() + timedelta(hours=hours)
    given = partial(
        containment.assign, manifests=office.inst.manifests, item=item.id, to=to.id, due_at=due_at
    )
    return office.write(given, actor=by)


def told(trouble: Trouble) -> list[tuple[str, str]]:
    """Answer who was told of an item, and why, oldest first."""
    found = trouble.office.read(
        lambda view: view.find(Telling, incident=trouble.incident, order="planned_at", limit=200)
    )
    about_items = sorted(
        (each for each in found if each.item), key=lambda each: (each.planned_at, each.person)
    )
    assert all(each.state is TellingState.TOLD for each in about_items)
    return [(each.person.partition("@")[0], each.step.value) for each in about_items]


def test_whoever_is_given_something_is_told_once_and_reads_what_it_is(trouble: Trouble) -> None:
    item = assign(trouble)
    for _ in range(3):
        trouble.office.wait(minutes=30)
    assert told(trouble) == [("kim", "assigned")]
    [mail] = trouble.office.read(lambda view: [each for each in view.each(Telling) if each.item])
    assert mail.subject.endswith(f"yours to make safe: {item.what}")
    assert item.due_at is not None
    for each in (item.what, f"{item.due_at:%H:%M}", "stopwork incident contain", trouble.incident):
        assert each in mail.body


def test_once_its_time_is_over_they_and_the_commander_are_told_once_a_day(trouble: Trouble) -> None:
    office = trouble.office
    item = assign(trouble)
    office.wait(seconds=5)
    begun = told(trouble)
    office.wait(hours=2)
    late = [("kim", "overdue"), ("lee", "overdue")]
    assert told(trouble)[len(begun) :] == late
    for _ in range(23):
        office.wait(hours=1)
    assert told(trouble)[len(begun) :] == late
    office.wait(hours=2)
    assert told(trouble)[len(begun) :] == late * 2
    done = partial(containment.record, item=item.id, state=ContainmentState.DONE, verified_how="looked")
    office.write(done, actor=KIM)
    office.wait(hours=48)
    assert told(trouble)[len(begun) :] == late * 2


def test_another_time_begins_anew_and_without_one_nothing_is_overdue(trouble: Trouble) -> None:
    assign(trouble)
    trouble.office.wait(seconds=5)
    assign(trouble, to=DANA, hours=None)
    trouble.office.wait(hours=72)
    assert told(trouble) == [("kim", "assigned"), ("dana", "assigned")]


def test_whoever_takes_it_themselves_hears_only_that_it_is_overdue(trouble: Trouble) -> None:
    assign(trouble, to=LEE)
    trouble.office.wait(hours=1)
    assert told(trouble) == []
    trouble.office.wait(hours=1)
    assert told(trouble) == [("lee", "overdue")]


def test_an_incident_that_has_ended_reminds_nobody(trouble: Trouble) -> None:
    assign(trouble)
    trouble.office.write(
        partial(triage.decline, incident=trouble.incident, reason="it was a drill"), actor=DANA
    )
    trouble.office.wait(hours=3)
    assert told(trouble) == []


def test_of_a_private_incident_a_mail_names_no_more_than_that_there_is_something(trouble: Trouble) -> None:
    office = trouble.office
    office.write(
        partial(privacy.restrict, incident=trouble.incident, readers=(KIM.id,), reason="a person is named"),
        actor=LEE,
    )
    item = assign(trouble)
    office.wait(hours=2)
    office.wait(hours=2)
    mails = office.read(lambda view: [each for each in view.each(Telling) if each.item])
    assert [each.step for each in mails].count(TellingStep.OVERDUE) == 2
    for mail in mails:
        assert mail.subject.endswith(": a private incident")
        assert item.what not in mail.subject + mail.body
