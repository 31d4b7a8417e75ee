"""Contract of where sorting stops: what somebody has begun to put right is no longer sorted away; a proposal becomes no more by being merged
with another; and a split takes along what is about its cause alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from stopwork.kernel.errors import Conflict
from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger.words import IncidentStatus, Severity, SignalKind
from stopwork.operations import incidents, triage
from tests.support.office import DANA, KIM, LEE, WORKFLOW, Office
from tests.support.triaging import (
    accept,
    decline,
    does,
    incident,
    merge,
    new_incident,
    noticed,
    office_where,
)
from tests.support.trouble import Trouble


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office_where(tmp_path) as office:
        yield office


def split(office: Office, home: str, *, signals: Sequence[str] = (), runs: Sequence[str] = ()) -> r.Incident:
    work = partial(
        triage.split,
        manifests=office.inst.manifests,
        incident=home,
        signals=signals,
        runs=runs,
        reason="another cause",
    )
    return does(office, work)


def handovers(office: Office, home: str) -> list[tuple[str, str]]:
    found = [each.event for each in office.read(lambda view: view.entries(incident=home))]
    return [(each.before, each.after) for each in found if isinstance(each, e.RoleHandedOver)]


def another_about(office: Office) -> str:
    opened = partial(incidents.open_by_hand, manifests=office.inst.manifests, workflow=WORKFLOW)
    return does(office, opened).id


# --- accepting --------------------------------------------------------------------------------------


def test_the_command_is_handed_over_to_whoever_accepts_and_to_nobody_who_has_it(desk: Office) -> None:
    first, second = new_incident(desk), new_incident(desk, "mail.send")
    accept(desk, first, by=KIM)
    accept(desk, second, by=LEE)
    assert handovers(desk, first) == [(LEE.id, KIM.id)]
    assert handovers(desk, second) == []


def test_whoever_accepts_it_has_taken_it(desk: Office) -> None:
    first = new_incident(desk)
    desk.wait(seconds=1)
    assert not desk.read(lambda view: view.need(r.Response, first)).acknowledged_by
    accept(desk, first, by=KIM)
    assert desk.read(lambda view: view.need(r.Response, first)).acknowledged_by == KIM.id


# --- what has begun ---------------------------------------------------------------------------------

ENDS: dict[str, Callable[[Office, str], object]] = {
    "declined": lambda office, home: decline(office, home, by=DANA),
    "merged": lambda office, home: merge(office, home, another_about(office)),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_is_being_recovered_is_not_sorted_away(trouble: Trouble, end: str) -> None:
    trouble.seal()
    trouble.audit()
    trouble.propose()
    with pytest.raises(Conflict, match=f"cannot be {end}"):
        ENDS[end](trouble.office, trouble.incident)
    assert not trouble.known.status.ended


def test_what_was_declined_is_not_split(desk: Office) -> None:
    home, other = noticed(desk), noticed(desk)
    decline(desk, str(home.incident))
    with pytest.raises(Conflict, match="declined"):
        split(desk, str(home.incident), signals=[other.signal])


# --- merging ----------------------------------------------------------------------------------------


def test_two_proposals_that_are_one_are_a_proposal(desk: Office) -> None:
    goes, home = new_incident(desk), new_incident(desk, "mail.send")
    assert merge(desk, goes, home).status is IncidentStatus.PROPOSED


def test_what_is_open_stays_as_it_is_when_a_proposal_goes_into_it(desk: Office) -> None:
    goes, home = new_incident(desk), new_incident(desk, "mail.send")
    accept(desk, home, by=KIM)
    grown = merge(desk, goes, home)
    assert (grown.status, grown.commander) == (IncidentStatus.INVESTIGATING, KIM.id)


# --- splitting --------------------------------------------------------------------------------------


def test_a_run_stays_while_a_signal_that_stays_is_about_it(desk: Office) -> None:
    run = desk.begin()
    home, other = noticed(desk, run=run), noticed(desk, run=run, kind=SignalKind.FAILED_RUN)
    assert other.incident == home.incident
    new = split(desk, str(home.incident), signals=[other.signal])
    assert (new.signals, new.runs) == ((other.signal,), ())
    assert incident(desk, str(home.incident)).runs == (run,)


def test_a_run_is_split_off_without_a_signal(desk: Office) -> None:
    monday, tuesday = desk.begin(), desk.begin("tuesday")
    opened = partial(incidents.open_by_hand, manifests=desk.inst.manifests, runs=(monday, tuesday))
    home = does(desk, opened)
    new = split(desk, home.id, runs=[tuesday])
    assert (new.type, new.signals, new.runs) == (home.type, (), (tuesday,))
    assert new.detected_at == home.detected_at
    assert incident(desk, home.id).runs == (monday,)


def test_what_is_left_may_be_a_run_alone(desk: Office) -> None:
    run = desk.begin()
    home, other = noticed(desk, run=run), noticed(desk)
    split(desk, str(home.incident), signals=[other.signal])
    own = incident(desk, str(home.incident))
    assert (own.signals, own.runs) == ((home.signal,), (run,))
    with pytest.raises(Conflict, match="nothing would be left"):
        split(desk, own.id, signals=[home.signal])


def test_what_is_split_off_after_containment_is_as_grave_as_it_is(desk: Office) -> None:
    home, other = noticed(desk), noticed(desk)
    Trouble(desk, incident=str(home.incident)).contain()
    known = incident(desk, str(home.incident))
    assert (known.severity, known.contained_at is not None) == (Severity.SEV1, True)
    assert split(desk, known.id, signals=[other.signal]).severity is not Severity.SEV1


def test_what_is_split_off_was_detected_when_its_first_signal_came(desk: Office) -> None:
    home = noticed(desk)
    desk.wait(minutes=5)
    later = noticed(desk, kind=SignalKind.FAILED_RUN)
    assert later.incident == home.incident
    new = split(desk, str(home.incident), signals=[later.signal])
    raised = desk.read(lambda view: view.need(r.Signal, later.signal)).raised_at
    assert new.detected_at == raised > incident(desk, str(home.incident)).detected_at
