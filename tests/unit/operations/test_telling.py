"""Contract of telling: whoever answers for the workflow hears of an incident once for each step; somebody takes it in time, or it goes up the
chain; an acknowledgement lapses where nothing happens; nothing is ever without somebody to go to, and nobody is flooded.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from stopwork.kernel.errors import Conflict, Denied, Invalid, Unavailable
from stopwork.ledger.records import Credential, Incident, Principal, Response, Signal, Telling
from stopwork.ledger.words import IncidentType, PrincipalKind, Severity, TellingState
from stopwork.operations import acknowledging, credentials, incidents, privacy, triage
from stopwork.operations.incidents import add_note, change_severity, open_by_hand
from stopwork.storage.transaction import Tx
from tests.support.office import DANA, KIM, LEE, MANIFEST, WORKFLOW, Office
from tests.support.trouble import Trouble

BOSS = "boss@acme.test"
SEC = "sec@acme.test"
ROOT = Principal(kind=PrincipalKind.PERSON, id="root@acme.test")
STRANGER = Principal(kind=PrincipalKind.PERSON, id="pat@acme.test")
WITH_BOSS = MANIFEST.replace(
    "  security: sec@acme.test\n", f"  security: sec@acme.test\n  executive: {BOSS}\n"
)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Office(tmp_path, manifest=WITH_BOSS) as opened:
        opened.write(
            partial(credentials.issue, principal=ROOT, administrator=True),
            actor=Principal(kind=PrincipalKind.SYSTEM, id="setup"),
        )
        yield opened


def tellings(office: Office, incident: str) -> list[tuple[str, str]]:
    found = office.read(lambda view: view.find(Telling, incident=incident, order="planned_at", limit=200))
    return [(each.person.partition("@")[0], each.step.value) for each in found]


def news(office: Office, incident: str, before: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return tellings(office, incident)[len(before) :]


def response(office: Office, incident: str) -> Response:
    return office.read(lambda view: view.need(Response, incident))


def acknowledge(office: Office, incident: str, who: Principal = LEE) -> Response:
    return office.write(partial(acknowledging.acknowledge, incident=incident), actor=who)


def answering(trouble: Trouble) -> acknowledging.Answering:
    office = trouble.office
    return office.read(
        lambda view: acknowledging.answering(
            view, office.inst.manifests, trouble.incident, office.clock.now()
        )
    )


def graver(office: Office, incident: str, severity: Severity = Severity.SEV1) -> None:
    office.write(
        partial(
            change_severity,
            manifests=office.inst.manifests,
            incident=incident,
            severity=severity,
            reason="customers see it",
        ),
        actor=LEE,
    )


# --- who, and how often ------------------------------------------------------------------------------------


def test_the_owners_are_told_once_however_long_it_lasts(trouble: Trouble) -> None:
    office = trouble.office
    assert tellings(office, trouble.incident) == [("lee", "opened"), ("dana", "opened")]
    acknowledge(office, trouble.incident)
    for _ in range(5):
        office.wait(hours=5)
    assert tellings(office, trouble.incident) == [("lee", "opened"), ("dana", "opened")]


def test_a_hundred_signals_of_one_cause_are_no_new_mail(trouble: Trouble) -> None:
    office, before = trouble.office, tellings(trouble.office, trouble.incident)
    for nth in range(3, 103):
        office.do(trouble.run, "crm.create_task", account_id="acme", title="Prepare the renewal", nth=nth)
    office.wait(seconds=1)
    assert news(office, trouble.incident, before) == []
    incidents_open = office.read(lambda view: view.count(Incident))
    assert office.read(lambda view: view.count(Telling)) == 2 * incidents_open <= 4


def test_a_graver_incident_is_told_once_and_to_the_executives_as_well(trouble: Trouble) -> None:
    office, before = trouble.office, tellings(trouble.office, trouble.incident)
    graver(office, trouble.incident)
    office.wait(seconds=1)
    office.wait(seconds=1)
    assert sorted(news(office, trouble.incident, before)) == [
        ("boss", "raised"),
        ("dana", "raised"),
        ("lee", "raised"),
    ]
    known = response(office, trouble.incident)
    assert (known.due_at - office.clock.now()).total_seconds() <= 30 * 60


def test_security_hears_of_what_concerns_it(office: Office) -> None:
    opened = office.write(
        partial(
            open_by_hand,
            manifests=office.inst.manifests,
            workflow=WORKFLOW,
            type=IncidentType.PROMPT_INJECTION,
        ),
        actor=LEE,
    )
    office.wait(seconds=1)
    told = [person for person, _ in tellings(office, opened.id)]
    assert "sec" in told
    # Whoever opened it knows, and has taken it.
    assert "lee" not in told
    assert response(office, opened.id).acknowledged_by == LEE.id


def test_a_text_says_facts_and_names_the_drill(office: Office) -> None:
    opened = office.write(
        partial(
            open_by_hand,
            manifests=office.inst.manifests,
            workflow=WORKFLOW,
            practice=True,
            title="A\ndrill\r\nBcc: everybody@acme.test",
        ),
        actor=LEE,
    )
    office.wait(seconds=1)
    [said, *_] = office.read(lambda view: view.find(Telling, incident=opened.id, limit=10))
    assert said.state is TellingState.TOLD
    assert said.subject.startswith("[PRACTICE] [SEV")
    assert said.subject.endswith("A drill Bcc: everybody@acme.test")
    assert f"stopwork incident acknowledge {opened.id}" in said.body


# --- acknowledged in time, or passed on --------------------------------------------------------------------


def test_it_goes_up_the_chain_step_by_step_and_ends_there(trouble: Trouble) -> None:
    office, before = trouble.office, tellings(trouble.office, trouble.incident)
    steps = []
    for _ in range(6):
        office.wait(hours=4, seconds=5)
        steps.append(news(office, trouble.incident, before))
        before = tellings(office, trouble.incident)
    assert steps == [
        [("kim", "escalated")],
        [("boss", "escalated")],
        [("root", "escalated")],
        [],
        [],
        [],
    ]
    found = answering(trouble)
    assert found.late_from is not None
    assert found.next is None


def test_the_manifest_says_who_comes_after_whom(tmp_path: Path) -> None:
    text = WITH_BOSS + "response: {sev2: 1h, escalate_to: [executive, security]}\n"
    with Office(tmp_path, manifest=text) as office:
        trouble = Trouble(office)
        before = tellings(office, trouble.incident)
        found = answering(trouble).next
        assert found is not None
        assert (found.role, found.people) == ("executive", (BOSS,))
        for _ in range(4):
            office.wait(hours=1)
        assert news(office, trouble.incident, before) == [("boss", "escalated"), ("sec", "escalated")]


def test_the_end_of_the_chain_is_asked_again_until_a_grave_incident_is_taken(trouble: Trouble) -> None:
    office = trouble.office
    graver(office, trouble.incident)
    office.wait(seconds=1)
    for _ in range(3):
        office.wait(minutes=31)
    before = tellings(office, trouble.incident)
    assert before[-1] == ("root", "escalated")
    office.wait(minutes=29)
    assert news(office, trouble.incident, before) == []
    for _ in range(3):
        office.wait(minutes=31)
    assert news(office, trouble.incident, before) == [("root", "escalated")] * 3
    [last] = office.read(
        lambda view: view.find(Telling, incident=trouble.incident, order="-planned_at", limit=1)
    )
    assert "otherwise you are asked again." in last.body
    acknowledge(office, trouble.incident, DANA)
    taken = tellings(office, trouble.incident)
    office.wait(minutes=29)
    assert news(office, trouble.incident, taken) == []


def test_a_grave_drill_ends_with_the_chain(office: Office) -> None:
    opened = office.write(
        partial(
            open_by_hand,
            manifests=office.inst.manifests,
            workflow=WORKFLOW,
            practice=True,
            severity=Severity.SEV1,
        ),
        actor=STRANGER,
    )
    for _ in range(8):
        office.wait(minutes=31)
    assert tellings(office, opened.id).count(("root", "escalated")) == 1


def test_an_acknowledged_incident_is_not_passed_on(trouble: Trouble) -> None:
    office, before = trouble.office, tellings(trouble.office, trouble.incident)
    assert acknowledge(office, trouble.incident, DANA).acknowledged_by == DANA.id
    assert acknowledge(office, trouble.incident, LEE).acknowledged_by == DANA.id
    office.wait(days=2)
    assert news(office, trouble.incident, before) == []


def test_who_was_not_told_takes_nothing(trouble: Trouble) -> None:
    with pytest.raises(Denied, match="was not told"):
        acknowledge(trouble.office, trouble.incident, STRANGER)
    with pytest.raises(Denied):
        acknowledge(trouble.office, trouble.incident, Principal(kind=PrincipalKind.AGENT, id=WORKFLOW))
    assert acknowledge(trouble.office, trouble.incident, ROOT).acknowledged_by == ROOT.id


def test_what_has_ended_is_neither_taken_nor_told(trouble: Trouble) -> None:
    office = trouble.office
    office.write(partial(triage.decline, incident=trouble.incident, reason="it was right"), actor=DANA)
    before = tellings(office, trouble.incident)
    office.wait(days=1)
    assert news(office, trouble.incident, before) == []
    with pytest.raises(Conflict, match="declined"):
        acknowledge(office, trouble.incident)


def test_before_anybody_is_told_there_is_nothing_to_acknowledge(office: Office) -> None:
    opened = office.write(
        partial(open_by_hand, manifests=office.inst.manifests, workflow=WORKFLOW), actor=LEE
    )
    with pytest.raises(Unavailable, match="nobody is told"):
        acknowledge(office, opened.id, DANA)


def test_an_acknowledgement_lapses_where_nothing_happens_and_begins_anew(trouble: Trouble) -> None:
    office = trouble.office
    graver(office, trouble.incident)
    office.wait(seconds=1)
    acknowledge(office, trouble.incident)
    before = tellings(office, trouble.incident)
    office.wait(minutes=29)
    office.write(partial(add_note, incident=trouble.incident, text="I look at the logs."), actor=LEE)
    office.wait(minutes=29)
    assert news(office, trouble.incident, before) == []
    office.wait(minutes=2)
    assert sorted(news(office, trouble.incident, before)) == [
        ("boss", "lapsed"),
        ("dana", "lapsed"),
        ("lee", "lapsed"),
    ]
    assert response(office, trouble.incident).acknowledged_by == ""
    office.wait(minutes=31)
    assert news(office, trouble.incident, before)[3:] == [("kim", "escalated")]
    assert acknowledge(office, trouble.incident, KIM).acknowledged_by == KIM.id


def test_the_acknowledgement_of_a_small_incident_does_not_lapse(trouble: Trouble) -> None:
    office = trouble.office
    acknowledge(office, trouble.incident)
    office.wait(days=3)
    assert response(office, trouble.incident).acknowledged_by == LEE.id


# --- never without an owner --------------------------------------------------------------------------------


def test_with_nobody_to_pass_it_to_it_stays_overdue_and_says_so(tmp_path: Path) -> None:
    alone = MANIFEST.replace("  backup: kim@acme.test\n", "").replace("  security: sec@acme.test\n", "")
    with Office(tmp_path, manifest=alone) as office:
        trouble = Trouble(office)
        before = tellings(office, trouble.incident)
        assert trouble.known.backup_owner == DANA.id
        office.wait(days=1)
        office.wait(days=1)
        assert news(office, trouble.incident, before) == []
        found = answering(trouble)
        assert found.late_from is not None
        assert found.next is None


def test_an_administrator_whose_credential_has_ended_is_none(trouble: Trouble) -> None:
    office = trouble.office
    office.write(partial(_end_all_of, who=ROOT), actor=ROOT)
    for _ in range(4):
        office.wait(hours=5)
    assert ("root", "escalated") not in tellings(office, trouble.incident)


def _end_all_of(tx: Tx, who: Principal) -> None:
    for each in list(tx.each(Credential)):
        if each.principal == who:
            credentials.revoke(tx, credential=each.id, reason="left")


# --- private -----------------------------------------------------------------------------------------------


def test_a_private_incident_is_told_to_its_people_only_and_names_nothing(office: Office) -> None:
    opened = office.write(
        partial(open_by_hand, manifests=office.inst.manifests, workflow=WORKFLOW, title="Dana's payroll"),
        actor=LEE,
    )
    office.write(
        partial(privacy.restrict, incident=opened.id, readers=[SEC], reason="it is about a person"), actor=LEE
    )
    graver(office, opened.id)
    office.wait(seconds=1)
    office.write(
        partial(incidents.hand_over, incident=opened.id, role="commander", to=SEC, note="yours"), actor=LEE
    )
    office.wait(minutes=31)
    office.wait(minutes=31)
    found = office.read(lambda view: view.find(Telling, incident=opened.id, order="planned_at", limit=100))
    assert {each.person for each in found} <= {LEE.id, SEC, ROOT.id}
    assert not any("payroll" in f"{each.subject}{each.body}" for each in found)


def test_who_was_told_before_it_was_private_hears_no_more_of_it(trouble: Trouble) -> None:
    office, before = trouble.office, tellings(trouble.office, trouble.incident)
    assert ("dana", "opened") in before
    hide = partial(privacy.restrict, incident=trouble.incident, readers=[SEC], reason="it is about a person")
    office.write(hide, actor=LEE)
    graver(office, trouble.incident)
    for _ in range(3):
        office.wait(minutes=31)
    after = news(office, trouble.incident, before)
    assert ("lee", "raised") in after
    assert {person for person, _ in after} <= {"lee", "sec", "root"}


def test_what_is_only_proposed_is_taken_by_accepting_it(tmp_path: Path) -> None:
    unsure = MANIFEST.replace("hold: tool}", "hold: tool, open: propose}")
    with Office(tmp_path, manifest=unsure) as office:
        trouble = Trouble(office)
        assert tellings(office, trouble.incident) == [("dana", "opened"), ("lee", "opened")]
        office.write(partial(triage.accept, incident=trouble.incident), actor=KIM)
        assert response(office, trouble.incident).acknowledged_by == KIM.id
        assert office.read(lambda view: view.count(Signal)) == 1


# --- the command is handed over ------------------------------------------------------------------------------


def hand_over(office: Office, incident: str, to: Principal, by: Principal = LEE) -> Incident:
    office.wait(seconds=1)
    return office.write(
        partial(
            incidents.hand_over, incident=incident, role="commander", to=to.id, note="look at the export"
        ),
        actor=by,
    )


def test_whoever_is_given_the_command_is_told_and_until_they_take_it_nobody_has(trouble: Trouble) -> None:
    office, incident = trouble.office, trouble.incident
    office.wait(seconds=1)
    acknowledge(office, incident)
    before = tellings(office, incident)
    hand_over(office, incident, KIM)
    office.wait(seconds=1)
    assert news(office, incident, before) == [("kim", "handed_over")]
    assert response(office, incident).acknowledged_by == ""
    office.wait(seconds=1)
    assert len(news(office, incident, before)) == 1
    assert acknowledge(office, incident, KIM).acknowledged_by == KIM.id


def test_the_command_goes_to_nobody_whom_the_server_does_not_know(trouble: Trouble) -> None:
    office, incident = trouble.office, trouble.incident
    with pytest.raises(Invalid, match="this server knows no pat"):
        hand_over(office, incident, STRANGER)
    assert trouble.known.commander == LEE.id
    assert hand_over(office, incident, STRANGER, by=STRANGER).commander == STRANGER.id
    assert hand_over(office, incident, KIM).commander == KIM.id


def test_a_command_that_nobody_takes_goes_up_the_chain(trouble: Trouble) -> None:
    office, incident = trouble.office, trouble.incident
    office.wait(seconds=1)
    acknowledge(office, incident)
    hand_over(office, incident, Principal(kind=PrincipalKind.PERSON, id=SEC))
    office.wait(seconds=1)
    before = tellings(office, incident)
    office.wait(hours=5)
    office.wait(seconds=1)
    assert ("kim", "escalated") in news(office, incident, before)


def test_whoever_takes_the_command_has_taken_the_incident(trouble: Trouble) -> None:
    office, incident = trouble.office, trouble.incident
    office.wait(seconds=1)
    acknowledge(office, incident)
    before = tellings(office, incident)
    hand_over(office, incident, KIM, by=KIM)
    office.wait(seconds=1)
    assert response(office, incident).acknowledged_by == KIM.id
    assert news(office, incident, before) == []


def test_a_command_that_comes_back_is_taken_again(trouble: Trouble) -> None:
    office, incident = trouble.office, trouble.incident
    office.wait(seconds=1)
    acknowledge(office, incident)
    for to in (KIM, LEE, KIM):
        before = tellings(office, incident)
        hand_over(office, incident, to)
        office.wait(seconds=1)
        expected = [] if to == LEE else [("kim", "handed_over")]
        assert news(office, incident, before) == expected
        acknowledge(office, incident, to)
        office.wait(minutes=1)
