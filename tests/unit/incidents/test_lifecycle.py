"""Contract of the lifecycle: one thing comes next, and nothing happens before what must come first."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stopwork.incidents.communicate import outstanding
from stopwork.incidents.lifecycle import (
    MOVES,
    PhaseState,
    next_action,
    phase_states,
    require_before,
    require_move,
)
from stopwork.kernel.errors import Conflict
from stopwork.ledger import events as e
from stopwork.ledger.words import (
    Audience,
    CheckState,
    IncidentStatus,
    IncidentType,
    ItemState,
    MessageState,
    Phase,
    ReenableCheck,
    RunStatus,
    ScopeKind,
    Severity,
    Stage,
)
from tests.unit.detect.story import WORKFLOW
from tests.unit.incidents.cases import DANA, INCIDENT, IncidentStory, bad_monday

OWNERS = (Audience.BUSINESS_OWNER, Audience.TECHNICAL_OWNER, Audience.AFFECTED_INTERNAL_USERS)
Tell = Callable[[IncidentStory], IncidentStory]


def checks(story: IncidentStory) -> IncidentStory:
    for check in ReenableCheck:
        state = CheckState.ATTESTED
        story.says(
            e.CheckAnswered(incident=INCIDENT, workflow=WORKFLOW, check=check, state=state, note="seen"),
            by=DANA,
        )
    return story


def returned(story: IncidentStory) -> IncidentStory:
    story.says(
        e.HoldLifted(hold="hold_1", scope=story.case().holds[0].scope, reason="", epoch=3, incident=INCIDENT)
    )
    return staged(story, Stage.READ_ONLY)


def staged(story: IncidentStory, stage: Stage) -> IncidentStory:
    before = story.case().workflow.stage
    story.after(minutes=1)
    story.says(
        e.StageChanged(workflow=WORKFLOW, before=before, after=stage, reason="", epoch=4, incident=INCIDENT),
        by=DANA,
    )
    return story.says(
        e.IncidentReenabled(incident=INCIDENT, workflow=WORKFLOW, stage=stage, final=stage is Stage.NORMAL),
        by=DANA,
    )


def ran_well(story: IncidentStory) -> IncidentStory:
    story.after(minutes=1).run("r9").finished("r9", RunStatus.SUCCEEDED)
    return story


def learned(story: IncidentStory) -> IncidentStory:
    story.says(e.PostmortemSaved(incident=INCIDENT, workflow=WORKFLOW, fields={}, follow_ups=()))
    return story.says(e.PostmortemClosed(incident=INCIDENT, workflow=WORKFLOW))


def prepared(story: IncidentStory) -> IncidentStory:
    return story.says(e.PreparednessReviewed(workflow=WORKFLOW, score=7, checks={}, incident=INCIDENT))


# The whole walk: what the incident asks for, of whom, and what is then done about it.
WALK: list[tuple[str, str, Tell]] = [
    ("Pause the smallest unsafe part", "", IncidentStory.paused),
    ("Seal the evidence", "", IncidentStory.sealed),
    ("Start the containment checklist", "", IncidentStory.contained),
    ("Audit the side effects", "", IncidentStory.audited),
    ("Propose the recovery plan", "", lambda s: s.planned(ItemState.PROPOSED)),
    ("Approve the recovery plan", "dana@acme.test", lambda s: s.planned(ItemState.APPROVED)),
    ("Run the recovery plan", "lee@acme.test", lambda s: s.planned(ItemState.CONFLICT)),
    ("Decide about 1 object not put back", "dana@acme.test", lambda s: s.planned(ItemState.VERIFIED)),
    (
        "Draft messages for 3 audiences",
        "dana@acme.test",
        lambda s: s.message(Audience.BUSINESS_OWNER, MessageState.DRAFT),
    ),
    (
        "Approve the message to the business owner",
        "dana@acme.test",
        lambda s: s.message(Audience.BUSINESS_OWNER, MessageState.APPROVED),
    ),
    (
        "Send the message to the business owner",
        "dana@acme.test",
        lambda s: s.message(Audience.BUSINESS_OWNER, MessageState.FAILED),
    ),
    ("Send the message to the business owner again", "dana@acme.test", lambda s: s.told(*OWNERS)),
    ("Record the root cause", "lee@acme.test", IncidentStory.root_cause),
    ("Write the postmortem", "lee@acme.test", learned),
    ("Apply a patched manifest", "lee@acme.test", IncidentStory.applied),
    ("Reduce the permissions, or sign the exception", "lee@acme.test", checks),
    ("Return the workflow at the stage read only", "dana@acme.test", returned),
    ("Review how prepared the workflow is", "lee@acme.test", prepared),
    ("Watch a run at the stage read only", "lee@acme.test", ran_well),
    ("Raise the stage to draft only", "dana@acme.test", lambda s: staged(s, Stage.NORMAL)),
    ("Close the incident", "lee@acme.test", lambda s: s.status(IncidentStatus.CLOSED)),
]


def walked(steps: int) -> IncidentStory:
    story = bad_monday()
    for _title, _who, does in WALK[:steps]:
        story = does(story)
    return story


@pytest.mark.parametrize("step", range(len(WALK)), ids=[title for title, _, _ in WALK])
def test_asks_for_one_thing_after_the_other(step: int) -> None:
    title, who, _ = WALK[step]
    asked = next_action(walked(step).case())
    assert asked is not None
    assert (asked.title, asked.who) == (title, who)
    assert asked.why


def test_a_closed_incident_asks_for_nothing() -> None:
    case = walked(len(WALK)).case()
    assert next_action(case) is None
    assert all(not view.next_action for view in phase_states(case))


@pytest.mark.parametrize("step", range(len(WALK)))
def test_exactly_one_phase_is_now_until_all_are_done(step: int) -> None:
    states = [view.state for view in phase_states(walked(step).case())]
    assert len(states) == len(Phase)
    assert states.count(PhaseState.NOW) == (0 if set(states) == {PhaseState.DONE} else 1)


@pytest.mark.parametrize("step", range(len(WALK)))
def test_what_is_done_stays_done(step: int) -> None:
    """Going on never undoes a phase; only new facts do."""

    def done(at: int) -> set[Phase]:
        return {view.phase for view in phase_states(walked(at).case()) if view.state is PhaseState.DONE}

    assert done(step) <= done(step + 1)


# Each case: the story, the phase that cannot begin, and what must come first.
ORDER: dict[str, tuple[Tell, Phase, str]] = {
    "recovery before the seal": (lambda s: s.paused().audited(), Phase.RECOVER, "not sealed"),
    "recovery before the audit": (lambda s: s.paused().sealed(), Phase.RECOVER, "not audited"),
    "postmortem before the audit": (lambda s: s.paused().sealed(), Phase.LEARN, "not audited"),
    "return before the records are right": (
        lambda s: s.paused().sealed().audited().planned(ItemState.CONFLICT),
        Phase.REENABLE,
        "not put right",
    ),
    "anything after the close": (lambda s: s.status(IncidentStatus.CLOSED), Phase.CONTAIN, "closed"),
}


@pytest.mark.parametrize("name", ORDER)
def test_what_must_come_first_is_named(name: str) -> None:
    tell, phase, why = ORDER[name]
    with pytest.raises(Conflict, match=why) as raised:
        require_before(tell(bad_monday()).case(), phase)
    assert raised.value.hint


def test_what_may_begin_may() -> None:
    require_before(bad_monday().sealed().audited().case(), Phase.RECOVER)


def test_a_grave_incident_tells_people_before_it_is_audited() -> None:
    story = bad_monday().opened(severity=Severity.SEV1).paused().sealed()
    asked = next_action(story.case())
    assert asked is not None
    assert asked.phase is Phase.COMMUNICATE
    after = next_action(story.told(*outstanding(story.case())).case())
    assert after is not None
    assert after.phase is Phase.CONTAIN


def test_a_run_that_comes_in_later_is_audited_too() -> None:
    story = bad_monday().paused().sealed().contained().audited()
    story.run("r2")
    story.signalled("again")
    signal = next(entry.event for entry in story.entries[::-1] if isinstance(entry.event, e.SignalJoined))
    story.says(e.SignalJoined(incident=INCIDENT, workflow=WORKFLOW, signal=signal.signal, run="r2"))
    asked = next_action(story.case())
    assert asked is not None
    assert (asked.title, asked.why) == ("Audit the side effects again", "r2 came in after the audit")


def test_a_missed_run_needs_no_pause_and_no_return() -> None:
    views = {v.phase: v for v in phase_states(IncidentStory().opened(IncidentType.MISSED_WORKFLOW).case())}
    assert views[Phase.PAUSE].state is PhaseState.DONE
    assert "a pause would stop nothing" in views[Phase.PAUSE].reason


def test_what_was_reported_about_no_known_run_is_paused_first() -> None:
    story = IncidentStory().opened(IncidentType.EXTERNAL_SEND, Severity.SEV1)
    action = next_action(story.case())
    assert action is not None
    assert action.phase is Phase.PAUSE


def test_a_part_that_is_held_for_another_incident_pauses_nothing_here() -> None:
    story = bad_monday().opened(severity=Severity.SEV1)
    story.hold("other", ScopeKind.TOOL, "mail.send", WORKFLOW)
    action = next_action(story.case())
    assert action is not None
    assert action.phase is Phase.PAUSE
    assert "mail.send of weekly-renewal-risk is held for something else" in action.why


@pytest.mark.parametrize(
    ("kind", "name", "workflow"),
    [(ScopeKind.WORKFLOW, WORKFLOW, None), (ScopeKind.EVERYTHING, "", None)],
)
def test_what_stops_the_whole_workflow_pauses_every_incident_of_it(
    kind: ScopeKind, name: str, workflow: str | None
) -> None:
    story = bad_monday().opened(severity=Severity.SEV1)
    story.hold("other", kind, name, workflow)
    assert {view.phase: view for view in phase_states(story.case())}[Phase.PAUSE].state is PhaseState.DONE


def test_a_pause_with_a_call_in_flight_says_so() -> None:
    story = bad_monday()
    story.call("C", account_id="bolt")
    views = {view.phase: view for view in phase_states(story.paused().case())}
    assert views[Phase.PAUSE].reason.endswith("1 call still in flight")


@pytest.mark.parametrize("before", IncidentStatus)
@pytest.mark.parametrize("after", IncidentStatus)
def test_an_illegal_move_names_the_legal_ones(before: IncidentStatus, after: IncidentStatus) -> None:
    if after in MOVES[before]:
        require_move(before, after)
        return
    with pytest.raises(Conflict) as raised:
        require_move(before, after)
    assert raised.value.fields["expected"] == sorted(MOVES[before])


def test_nothing_leads_out_of_closed() -> None:
    assert not MOVES[IncidentStatus.CLOSED]
