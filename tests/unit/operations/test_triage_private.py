"""Contract of sorting what is private: it is made so once, with a reason, for a bounded number of people; splitting and merging show it to
nobody who did not see it before.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger import records as r
from stopwork.ledger.events import name_of
from stopwork.ledger.words import PrincipalKind, SignalKind
from stopwork.operations import privacy, reporting, triage
from tests.support.office import DANA, KIM, LEE, WORKFLOW, Office
from tests.support.triaging import does, incident, merge, new_incident, noticed, office_where


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office_where(tmp_path) as office:
        yield office


def restricted(office: Office, incident_id: str, *readers: str) -> r.Incident:
    return does(
        office, lambda tx: privacy.restrict(tx, incident=incident_id, readers=readers, reason="a colleague")
    )


def seen(office: Office, incident_id: str, reader: r.Principal) -> bool:
    now = office.clock.now()
    return office.read(lambda view: incident_id not in privacy.hidden_from(view, reader, now))


def changes(office: Office, incident_id: str) -> int:
    return len(
        office.read(lambda view: view.entries(incident=incident_id, kinds=("incident.readers_changed",)))
    )


def test_it_is_made_private_once_and_opened_up_once(desk: Office) -> None:
    home = new_incident(desk)
    for _ in range(2):
        assert restricted(desk, home, DANA.id).readers == (LEE.id, DANA.id)
    assert changes(desk, home) == 1
    for _ in range(2):
        assert not does(desk, lambda tx: privacy.open_up(tx, incident=home, reason="all may know")).private
    assert changes(desk, home) == 2
    assert seen(desk, home, KIM)


@pytest.mark.parametrize(
    ("readers", "reason", "problem"),
    [
        ([DANA.id], " ", "a reason is needed"),
        ([f"reader{each}@acme.test" for each in range(privacy.MAX_READERS)], "x", "at most"),
        ([DANA.id, "danna@acme.test"], "x", "knows no danna@acme.test"),
    ],
    ids=["no reason", "too many readers", "an address with a slip"],
)
def test_it_is_not_made_private_without_a_reason_or_for_too_many_or_for_nobody(
    desk: Office, readers: list[str], reason: str, problem: str
) -> None:
    home = new_incident(desk)
    with pytest.raises(Invalid, match=problem):
        does(desk, lambda tx: privacy.restrict(tx, incident=home, readers=readers, reason=reason))
    assert not incident(desk, home).private


def test_an_agent_that_is_called_like_a_reader_sees_nothing(desk: Office) -> None:
    home = new_incident(desk)
    restricted(desk, home, DANA.id)
    assert seen(desk, home, DANA)
    assert not seen(desk, home, r.Principal(kind=PrincipalKind.AGENT, id=DANA.id))


def test_what_is_split_off_a_private_incident_is_as_private(desk: Office) -> None:
    home, other = noticed(desk), noticed(desk)
    restricted(desk, str(home.incident), DANA.id)
    new = does(
        desk,
        lambda tx: triage.split(
            tx, desk.inst.manifests, incident=str(home.incident), signals=[other.signal], reason="another"
        ),
    )
    assert new.private
    assert [seen(desk, new.id, each) for each in (LEE, DANA, KIM)] == [True, True, False]


@pytest.mark.parametrize("private", ["the one that goes", "the one that stays"])
def test_what_is_private_is_not_merged_with_what_everybody_sees(desk: Office, private: str) -> None:
    goes, stays = new_incident(desk), new_incident(desk, "mail.send")
    hidden, shown = (goes, stays) if private == "the one that goes" else (stays, goes)
    restricted(desk, hidden)
    with pytest.raises(Conflict, match=f"{hidden} is private and {shown} is not") as refused:
        merge(desk, goes, stays)
    assert f"open {hidden} up" in refused.value.hint
    assert incident(desk, goes).merged_into is None


def test_whoever_saw_either_of_two_private_incidents_sees_the_one_that_goes_on(desk: Office) -> None:
    goes, stays = new_incident(desk), new_incident(desk, "mail.send")
    restricted(desk, goes, DANA.id)
    restricted(desk, stays, KIM.id)
    grown = merge(desk, goes, stays)
    assert set(grown.readers) == {LEE.id, DANA.id, KIM.id}
    assert seen(desk, goes, DANA)
    assert not seen(desk, goes, KIM)


def test_that_a_report_was_placed_is_not_told_where_its_incident_is_private(desk: Office) -> None:
    said = reporting.Report(
        source="api",
        kind=SignalKind.USER_REPORT,
        summary="they were insulted",
        workflow="nobody knows",
        key="x",
    )
    waiting = does(desk, lambda tx: reporting.report(tx, desk.inst.manifests, said))
    placed = does(
        desk,
        lambda tx: reporting.assign(tx, desk.inst.manifests, signal=waiting.signal, workflow=WORKFLOW),
    )
    restricted(desk, str(placed.incident))

    def entries_for(reader: r.Principal) -> list[str]:
        told = desk.read(lambda view: privacy.seen_by(view, reader, desk.clock.now()).entries())
        return [name_of(each.event) for each in told if getattr(each.event, "signal", None) == placed.id]

    assert "signal.assigned" in entries_for(LEE)
    assert entries_for(KIM) == []
