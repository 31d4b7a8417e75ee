"""Contract of sorting incidents: a rule opens, proposes or logs, from its threshold on; a proposal is accepted or declined by a person,
with a reason; what a rule did by itself carries its name and is taken back in one step, by the owner; merging and splitting lose nothing;
and what has ended absorbs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from stopwork.incidents.lifecycle import PhaseState, next_action, phase_states
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger import records as r
from stopwork.ledger.words import IncidentStatus, IncidentType, Phase, ScopeKind, Severity, SignalKind, Stage
from stopwork.operations import holds, incidents, returning, triage
from stopwork.operations.cases import gather
from tests.support.office import AGENT, DANA, KIM, LEE, WORKFLOW, Office
from tests.support.triaging import (
    DEMOTES,
    PROPOSES,
    accept,
    decline,
    does,
    held,
    incident,
    merge,
    new_incident,
    noticed,
    office_where,
)

THREE_IN_AN_HOUR = "  policy_violation: {threshold: {count: 3, within: 1h}}\n"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    with office_where(tmp_path) as office:
        yield office


def split(office: Office, incident_id: str, signal_id: str) -> r.Incident:
    return does(
        office,
        lambda tx: triage.split(
            tx, office.inst.manifests, incident=incident_id, signals=[signal_id], reason="another cause"
        ),
    )


def stage(office: Office) -> Stage:
    return office.read(lambda view: view.need(r.Workflow, WORKFLOW)).stage


def signal(office: Office, signal_id: str) -> r.Signal:
    return office.read(lambda view: view.need(r.Signal, signal_id))


# --- what a rule does -------------------------------------------------------------------------------


def test_a_rule_that_proposes_opens_nothing_by_itself(desk: Office) -> None:
    proposed = incident(desk, new_incident(desk))
    assert proposed.status is IncidentStatus.PROPOSED
    assert proposed.rule == "policy_violation"
    assert proposed.commander == "lee@acme.test"
    assert proposed.next_update_at is None


def test_a_rule_that_logs_opens_nothing_and_what_it_logs_is_there(tmp_path: Path) -> None:
    with office_where(tmp_path, "  policy_violation: {open: log}\n") as office:
        raised = noticed(office)
        assert raised.incident is None
        assert signal(office, raised.signal).incident is None


def test_below_its_threshold_a_cause_is_a_signal_and_at_it_all_of_them_are_one_incident(
    tmp_path: Path,
) -> None:
    with office_where(tmp_path, THREE_IN_AN_HOUR) as office:
        raised = []
        for _ in range(3):
            raised.append(noticed(office))
            office.wait(minutes=10)
        assert [each.incident is None for each in raised] == [True, True, False]
        assert incident(office, str(raised[2].incident)).signals == tuple(each.signal for each in raised)
        assert noticed(office).incident == raised[2].incident


def test_a_threshold_counts_one_cause_within_its_time_only(tmp_path: Path) -> None:
    with office_where(tmp_path, THREE_IN_AN_HOUR) as office:
        noticed(office)
        noticed(office, "mail.send")
        office.wait(minutes=61)
        noticed(office)
        assert noticed(office).incident is None
        assert noticed(office).incident is not None


def test_a_threshold_begins_again_after_an_incident_has_ended(tmp_path: Path) -> None:
    with office_where(tmp_path, THREE_IN_AN_HOUR) as office:
        first = [noticed(office) for _ in range(3)][2].incident
        decline(office, str(first))
        assert noticed(office).incident is None


def test_what_was_declined_absorbs_nothing(desk: Office) -> None:
    first = new_incident(desk)
    decline(desk, first)
    again = noticed(desk)
    assert again.opened
    assert again.incident != first


def test_the_cause_of_a_merged_incident_is_found_again_in_the_one_it_went_into(desk: Office) -> None:
    first, home, last = (
        new_incident(desk, each) for each in ("crm.set_discount", "mail.send", "crm.create_task")
    )
    merge(desk, first, home)
    assert noticed(desk).incident == home
    merge(desk, home, last)
    assert noticed(desk).incident == last
    assert noticed(desk, "mail.send").incident == last
    decline(desk, last)
    again = noticed(desk)
    assert again.opened
    assert again.incident not in (first, home, last)


# --- proposals --------------------------------------------------------------------------------------


def test_a_proposal_asks_for_the_decision_first_and_for_no_recovery_before(desk: Office) -> None:
    proposed = new_incident(desk)
    case = desk.read(lambda view: gather(view, desk.inst.manifests, proposed))
    action = next_action(case)
    assert action is not None
    assert (action.phase, action.who) == (Phase.OPEN, "lee@acme.test")
    states = {each.phase: each.state for each in phase_states(case)}
    assert states[Phase.RECOVER] is states[Phase.LEARN] is PhaseState.BLOCKED
    assert states[Phase.PAUSE] is not PhaseState.BLOCKED


def test_a_proposal_can_be_paused_before_anybody_has_decided(desk: Office) -> None:
    raised = held(desk)
    assert raised.hold is not None
    assert desk.hold(raised.hold).active
    assert incident(desk, str(raised.incident)).status is IncidentStatus.PROPOSED


def test_whoever_accepts_it_commands_it_and_the_first_update_is_due(desk: Office) -> None:
    accepted = accept(desk, new_incident(desk), by=KIM)
    assert accepted.status is IncidentStatus.INVESTIGATING
    assert accepted.commander == "kim@acme.test"
    assert accepted.next_update_at is not None
    assert accept(desk, accepted.id, by=LEE) == accepted


def test_a_declined_one_keeps_its_id_and_says_why(desk: Office) -> None:
    first = new_incident(desk)
    declined = decline(desk, first).incident
    assert declined.status is IncidentStatus.DECLINED
    assert declined.closed_at is not None
    assert decline(desk, first).incident == declined
    assert new_incident(desk).endswith("-002")


def test_a_decision_is_made_once(desk: Office) -> None:
    first = new_incident(desk)
    decline(desk, first)
    with pytest.raises(Conflict, match="declined"):
        accept(desk, first)


def test_declining_needs_a_reason(desk: Office) -> None:
    with pytest.raises(Invalid, match="reason"):
        decline(desk, new_incident(desk), " ")


def test_an_agent_decides_nothing(desk: Office) -> None:
    first, second = new_incident(desk), new_incident(desk, "mail.send")
    for work in (
        lambda: accept(desk, first, by=AGENT),
        lambda: decline(desk, first, by=AGENT),
        lambda: merge(desk, first, second, by=AGENT),
    ):
        with pytest.raises(Denied):
            work()


# --- what was done by itself ------------------------------------------------------------------------


def test_an_automatic_hold_names_its_rule_and_goes_with_a_false_alarm(desk: Office) -> None:
    raised = held(desk)
    hold = desk.hold(str(raised.hold))
    assert hold.rule == "policy_violation"
    answer = decline(desk, str(raised.incident), by=DANA)
    assert answer.lifted == (hold.id,)
    assert not desk.hold(hold.id).active
    assert "false alarm" in desk.hold(hold.id).lift_reason


def test_only_the_owner_lets_the_agent_go_on(desk: Office) -> None:
    raised = held(desk)
    with pytest.raises(Denied, match="business owner"):
        decline(desk, str(raised.incident), by=LEE)
    assert desk.hold(str(raised.hold)).active
    assert incident(desk, str(raised.incident)).status is IncidentStatus.PROPOSED


def test_a_hold_that_a_person_set_stays_and_is_named(desk: Office) -> None:
    first = new_incident(desk)
    scope = r.Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW)
    pause = does(desk, lambda tx: holds.pause(tx, scope=scope, reason="to be sure", incident=first))
    kept = pause.hold.id
    answer = decline(desk, first, by=LEE)
    assert (answer.lifted, answer.kept) == ((), (kept,))
    assert desk.hold(kept).active


def test_autonomy_that_was_taken_by_itself_comes_back_to_where_it_was(tmp_path: Path) -> None:
    with office_where(tmp_path, PROPOSES + DEMOTES) as office:
        first = new_incident(office)
        assert stage(office) is Stage.READ_ONLY
        with pytest.raises(Denied):
            decline(office, first, by=LEE)
        answer = decline(office, first, by=DANA)
        assert answer.stage is Stage.NORMAL
        assert stage(office) is Stage.NORMAL


def test_autonomy_stays_down_while_another_incident_is_open(tmp_path: Path) -> None:
    with office_where(tmp_path, PROPOSES + DEMOTES) as office:
        first, other = new_incident(office), new_incident(office, "mail.send")
        answer = decline(office, first, by=DANA)
        assert answer.stage is None
        assert other in answer.stage_stays
        assert stage(office) is Stage.READ_ONLY


def test_a_stage_that_somebody_has_changed_since_is_left_alone(tmp_path: Path) -> None:
    rules = PROPOSES + DEMOTES.replace("read_only", "draft_only")
    with office_where(tmp_path, rules) as office:
        first = new_incident(office)
        does(
            office,
            lambda tx: returning.change_stage(tx, workflow=WORKFLOW, stage=Stage.READ_ONLY, reason="safer"),
            by=KIM,
        )
        answer = decline(office, first, by=DANA)
        assert (answer.stage, answer.stage_stays) == (None, "somebody has changed it since")
        assert stage(office) is Stage.READ_ONLY


# --- merging and splitting --------------------------------------------------------------------------


def test_what_is_merged_goes_on_in_the_other_with_its_signals_and_its_holds(desk: Office) -> None:
    raised, home = held(desk), new_incident(desk, "mail.send")
    merged = str(raised.incident)
    grown = merge(desk, merged, home)
    assert grown.merged == (merged,)
    assert raised.signal in grown.signals
    assert grown.paused_at is not None
    assert signal(desk, raised.signal).incident == home
    assert desk.hold(str(raised.hold)).incident == home
    gone = incident(desk, merged)
    assert (gone.status, gone.merged_into) == (IncidentStatus.MERGED, home)
    assert gone.signals == (raised.signal,)
    assert merge(desk, merged, home) == grown
    assert desk.read(lambda view: view.need(r.Workflow, WORKFLOW)).incident == home


def test_two_incidents_are_not_merged_into_each_other(desk: Office) -> None:
    first, second = new_incident(desk), new_incident(desk, "mail.send")
    merge(desk, first, second)
    with pytest.raises(Conflict, match=second):
        merge(desk, second, first)
    with pytest.raises(Invalid, match="itself"):
        merge(desk, second, second)


def test_what_is_accepted_makes_the_proposal_accepted_that_it_goes_into(desk: Office) -> None:
    first, home = new_incident(desk), new_incident(desk, "mail.send")
    accept(desk, first)
    assert merge(desk, first, home).status is IncidentStatus.INVESTIGATING


def test_a_split_opens_an_incident_for_what_is_about_another_cause(desk: Office) -> None:
    monday, tuesday = desk.begin(), desk.begin("tuesday")
    home = new_incident(desk, run=monday)
    other = noticed(desk, run=tuesday, kind=SignalKind.FAILED_RUN, type=IncidentType.BAD_WRITEBACK)
    home_of_other = str(other.incident)
    merge(desk, home_of_other, home)
    split = does(
        desk,
        lambda tx: triage.split(
            tx, desk.inst.manifests, incident=home, signals=[other.signal], reason="another customer"
        ),
    )
    assert (split.split_from, split.type) == (home, IncidentType.BAD_WRITEBACK)
    assert (split.signals, split.runs) == ((other.signal,), (tuesday,))
    left = incident(desk, home)
    assert (left.split, left.runs) == ((split.id,), (monday,))
    assert other.signal not in left.signals
    assert signal(desk, other.signal).incident == split.id


def test_a_cause_that_is_split_off_again_is_found_again_in_its_own_incident(desk: Office) -> None:
    raised, home = noticed(desk), new_incident(desk, "mail.send")
    merge(desk, str(raised.incident), home)
    own = split(desk, home, raised.signal)
    assert noticed(desk).incident == own.id
    decline(desk, own.id)
    assert noticed(desk).incident != home


def test_the_higher_severity_holds_when_two_become_one(desk: Office) -> None:
    grave = new_incident(desk)
    home = new_incident(desk, "mail.send", severity=Severity.SEV2)
    assert incident(desk, home).severity is Severity.SEV2
    assert merge(desk, grave, home).severity is Severity.SEV1


def test_what_is_split_off_is_as_grave_until_it_is_contained(desk: Office) -> None:
    home, other = noticed(desk), noticed(desk)
    assert split(desk, str(home.incident), other.signal).severity is Severity.SEV1


def test_a_split_leaves_something_and_names_what_it_does_not_know(desk: Office) -> None:
    raised = noticed(desk)
    home = str(raised.incident)
    for signals, problem in (
        ([raised.signal], "nothing would be left"),
        (["sig_9"], "sig_9"),
        ([], "chosen"),
    ):
        with pytest.raises((Conflict, Invalid), match=problem):
            does(
                desk,
                partial(
                    triage.split,
                    manifests=desk.inst.manifests,
                    incident=home,
                    signals=signals,
                    reason="another",
                ),
            )


# --- opening ----------------------------------------------------------------------------------------


def test_an_incident_is_opened_from_a_signal_and_it_belongs_to_it(tmp_path: Path) -> None:
    with office_where(tmp_path, "  policy_violation: {open: log}\n") as office:
        raised = noticed(office)

        def opened() -> r.Incident:
            return does(
                office, lambda tx: incidents.open_by_hand(tx, office.inst.manifests, signal=raised.signal)
            )

        first = opened()
        assert (first.type, first.signals) == (IncidentType.TOOL_MISUSE, (raised.signal,))
        assert first.commander == "lee@acme.test"
        assert opened() == first
        assert noticed(office).incident == first.id


def test_a_signal_whose_incident_was_declined_by_mistake_opens_another(desk: Office) -> None:
    raised = noticed(desk)
    decline(desk, str(raised.incident))
    again = does(desk, lambda tx: incidents.open_by_hand(tx, desk.inst.manifests, signal=raised.signal))
    assert again.id != raised.incident
    assert again.status is IncidentStatus.INVESTIGATING
    assert signal(desk, raised.signal).incident == again.id


def test_a_drill_takes_in_no_signal_that_is_real(tmp_path: Path) -> None:
    with office_where(tmp_path, "  policy_violation: {open: log}\n") as office:
        raised = noticed(office)
        with pytest.raises(Invalid, match="real"):
            does(
                office,
                lambda tx: incidents.open_by_hand(
                    tx, office.inst.manifests, signal=raised.signal, practice=True
                ),
            )


def test_an_incident_is_opened_from_a_run(desk: Office) -> None:
    run = desk.begin()
    opened = does(desk, lambda tx: incidents.open_by_hand(tx, desk.inst.manifests, runs=(run,)))
    assert (opened.workflow, opened.runs) == (WORKFLOW, (run,))
    with pytest.raises(Invalid, match="which workflow"):
        does(desk, lambda tx: incidents.open_by_hand(tx, desk.inst.manifests))


def test_a_practice_incident_stops_and_absorbs_nothing_real(desk: Office) -> None:
    drill = does(
        desk, lambda tx: incidents.open_by_hand(tx, desk.inst.manifests, workflow=WORKFLOW, practice=True)
    )
    assert drill.practice
    assert desk.read(lambda view: view.need(r.Workflow, WORKFLOW)).incident is None
    with pytest.raises(Conflict, match="practice"):
        merge(desk, new_incident(desk), drill.id)
