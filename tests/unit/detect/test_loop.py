"""Contract of the loop detector: a run that repeats itself and learns nothing is told once, with the round it makes; work, waiting and a slow
poll are not. So are many runs that make the same write, and runs that start each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stopwork.detect.loop import MOST_ACTIONS, Loop
from stopwork.detect.registry import Watch, restore
from stopwork.detect.rulebook import Rulebook
from stopwork.ledger import records as r
from stopwork.ledger.words import EffectKind, IncidentType, Operation, ScopeKind, Severity, Verdict
from stopwork.manifest.compiled import compile_manifest
from tests.unit.detect.manifests import manifest
from tests.unit.detect.story import WORKFLOW, Story, finding_of, findings, rules_of

DETECTOR = Loop()
RULES = rules_of(manifest())


def asked(story: Story, tool: str, answer: object, run: str = "r1", **args: Any) -> Story:
    """Tell of one call and its answer, two seconds after what was before."""
    call = f"c{len(story.entries)}"
    story.after(seconds=2).call(call, run, tool=tool, effect=EffectKind.READ, **args)
    return story.outcome(call, result=answer)


def again_and_again(story: Story, times: int, *, answer: object = "none", pause_s: float = 0) -> Story:
    for _ in range(times):
        asked(story.after(seconds=pause_s), "crm.search", answer, text="acme")
    return story


def in_turn(story: Story, rounds: int, *tools: str) -> Story:
    for _ in range(rounds):
        for tool in tools:
            asked(story, tool, "same", id=1)
    return story


def refused(story: Story, times: int) -> Story:
    for number in range(times):
        story.after(seconds=1).call(f"d{number}", tool="mail.send", verdict=Verdict.DENY, to="csm@acme.test")
    return story


def counting(story: Story, times: int) -> Story:
    for number in range(times):
        asked(story, "export.status", {"done": number}, job=7)
    return story


def accounts(story: Story, number: int) -> Story:
    """Look the same policy up for each account: the agent forgets, and gets on."""
    for account in range(number):
        asked(story, "policy.read", "always the same", name="renewals")
        asked(story, "crm.read_account", {"id": account}, id=account)
    return story


LOOPS: dict[str, Callable[[Story], Story]] = {
    "the same call": lambda s: again_and_again(s, 20),
    "two in turn": lambda s: in_turn(s, 11, "crm.read", "crm.search"),
    "three in turn": lambda s: in_turn(s, 8, "crm.read", "crm.search", "mail.list"),
    "a call that is refused": lambda s: refused(s, 20),
    "after much work": lambda s: again_and_again(accounts(s, 50), 25),
    "a wait without end": lambda s: counting(s, 50),
    "a write that changes nothing": lambda s: in_turn(s, 20, "crm.update_account"),
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_run_that_goes_round_in_circles_is_told_once(name: str) -> None:
    story = LOOPS[name](Story().run("r1"))
    # A wait is given ten times as many calls, and in five minutes it makes no more than 150.
    rules = rules_of(manifest(alerts={"loop": {"repeats": 5}})) if name == "a wait without end" else RULES
    finding = finding_of(DETECTOR, story, rules)
    assert (finding.type, finding.severity, finding.run) == (
        IncidentType.COST_RUNAWAY,
        Severity.SEV2,
        "r1",
    )


QUIET: dict[str, Callable[[Story], Story]] = {
    "fewer times": lambda s: again_and_again(s, 19),
    "a poll that is answered something new": lambda s: counting(s, 140),
    "a slow poll": lambda s: again_and_again(s, 300, pause_s=20),
    "something new between two equal calls": lambda s: accounts(s, 100),
    "more different things than are remembered": lambda s: accounts(s, 2 * MOST_ACTIONS),
    "a few rounds of many calls": lambda s: in_turn(s, 3, *(f"crm.read_{n}" for n in range(10))),
    "the same call in many runs": lambda s: [
        asked(s.run(f"r{n}"), "crm.search", "none", run=f"r{n}", text="acme") for n in range(40)
    ][-1],
    "refused for a while": lambda s: refused(s, 19),
}


@pytest.mark.parametrize("name", QUIET)
def test_work_and_waiting_are_no_loop(name: str) -> None:
    assert findings(DETECTOR, QUIET[name](Story().run("r1")), RULES) == []


def test_the_words_name_the_round_that_is_made() -> None:
    finding = finding_of(DETECTOR, in_turn(Story(), 12, "crm.read", "crm.search"), RULES)
    assert finding.summary == (
        "the run goes round in circles: crm.read → crm.search → crm.read, 10 times in 36 seconds, "
        "and was answered the same each time"
    )
    assert finding.facts["cycle"] == ["crm.read", "crm.search"]
    assert (finding.facts["threshold"], finding.facts["value"]) == (20, 20)
    assert finding.facts["calls"][-1] == finding.call


def test_the_words_say_that_it_was_refused() -> None:
    finding = finding_of(DETECTOR, refused(Story(), 30), RULES)
    assert finding.summary == (
        "mail.send was called 20 times with the same arguments in 19 seconds, and was refused each time"
    )


def test_the_rule_says_how_often_and_how_fast() -> None:
    often = rules_of(manifest(alerts={"loop": {"repeats": 100}}))
    slow = rules_of(manifest(alerts={"loop": {"within": "1h"}}))
    off = rules_of(manifest(alerts={"loop": {"enabled": False}}))
    assert findings(DETECTOR, again_and_again(Story(), 99), often) == []
    assert len(findings(DETECTOR, again_and_again(Story(), 30, pause_s=60), slow)) == 1
    assert findings(DETECTOR, again_and_again(Story(), 99), off) == []


@pytest.mark.parametrize("restart_after", [1, 20, 38, 39])
def test_a_restart_and_entries_told_twice_change_nothing(restart_after: int) -> None:
    entries = again_and_again(Story(), 20).entries
    watch, before, _ = Watch(detectors=[DETECTOR]).follow(entries[:restart_after], RULES)
    again = [*entries[restart_after - 1 :], *entries[-6:]]
    found = restore(watch.dump(), [DETECTOR]).follow(again, RULES)[1]
    assert len([*before, *found]) == 1


def test_a_run_that_has_ended_is_forgotten() -> None:
    story = again_and_again(Story(), 15).finished("r1")
    watch = Watch(detectors=[DETECTOR]).follow(story.entries, RULES)[0]
    assert b"crm.search" not in watch.dump()


# --- loops through runs -----------------------------------------------------------------------------

OTHER = "case-routing"


def both(**changes: Any) -> Rulebook:
    """Answer a rulebook that knows both workflows."""
    each = (manifest(workflow=name, **changes) for name in (WORKFLOW, OTHER))
    return {one.workflow: compile_manifest(one) for one in each}.get


def noting(
    story: Story, runs: int, *, pause_s: float = 10, times: int = 1, text: str = "seen", **told: Any
) -> Story:
    """Tell of so many runs, each for an occasion of its own, that write the same note."""
    for number in range(runs):
        run = f"n{number}"
        story.after(seconds=pause_s).run(run, trigger="webhook", occasion=f"event {number}")
        for nth in range(times):
            call = f"{run}-{nth}"
            story.call(call, run, text=text.format(number), **told).outcome(call).finished(run)
    return story


def in_parallel(story: Story, runs: int, times: int) -> Story:
    for nth in range(times):
        for number in range(runs):
            story.after(seconds=1).call(f"p{number}-{nth}", f"p{number}", text="seen")
    return story


def starts(
    story: Story,
    runs: int,
    workflows: tuple[str, ...] = (WORKFLOW, OTHER),
    *,
    by: str = "{made}",
    ids: str = "case-0000{}",
    pause_s: float = 40,
) -> Story:
    """Tell of runs each of which makes a case, from which the next one is started."""
    made = "monday"
    for number in range(runs):
        story.workflow, run = workflows[number % len(workflows)], f"s{number}"
        story.after(seconds=pause_s).run(run, trigger="webhook", occasion=made)
        story.call(f"{run}-c", run, subject=f"case {number}")
        case = r.ObjectRef(system="desk", type="case", id=ids.format(number))
        story.outcome(f"{run}-c", effects=(effect_of(story, f"{run}-c", run, case),)).finished(run)
        made = by.format(made=case, id=case.id, run=run, number=number)
    return story


def effect_of(story: Story, call: str, run: str, made: r.ObjectRef) -> r.Effect:
    return r.Effect(
        id=f"e-{call}",
        call=call,
        run=run,
        workflow=story.workflow,
        tool="crm.create_task",
        object=made,
        operation=Operation.CREATED,
        before=r.Image.absent(),
        after=r.Image.present({}),
        at=story.now,
        source="declared",
        object_key=str(made),
    )


def fanned_out(story: Story, runs: int) -> Story:
    """One run makes what many others are started by, and none of them starts another."""
    starts(story, 1)
    for number in range(runs):
        story.after(seconds=1).run(f"f{number}", trigger="webhook", occasion="desk/case/case-00000")
    return story


def retried(story: Story, times: int) -> Story:
    story.run("t0", occasion="t0")
    for number in range(1, times):
        story.after(seconds=5).run(f"t{number}", occasion=f"t{number - 1}", retry_of=f"t{number - 1}")
    return story


THROUGH_RUNS: dict[str, Callable[[Story], Story]] = {
    "25 runs write the same note": lambda s: noting(s, 25),
    "25 runs write the same note, each more than once": lambda s: noting(s, 25, times=2),
    "25 runs write the same note, which is not told again while it goes on": lambda s: noting(s, 200),
    "A starts B starts A, by what they make": lambda s: starts(s, 20),
    "A starts B starts A, by the ids of what they make": lambda s: starts(s, 20, by="{id}"),
    "A starts B starts A, by their runs": lambda s: starts(s, 20, by="{run}"),
    "A starts A": lambda s: starts(s, 20, (WORKFLOW,)),
}


@pytest.mark.parametrize("name", THROUGH_RUNS)
def test_a_loop_through_runs_is_told_once(name: str) -> None:
    finding = finding_of(DETECTOR, THROUGH_RUNS[name](Story()), both())
    assert (finding.type, finding.severity) == (IncidentType.COST_RUNAWAY, Severity.SEV2)
    assert finding.key == "loop through runs"


QUIET_THROUGH_RUNS: dict[str, tuple[Rulebook, Callable[[Story], Story]]] = {
    "fewer runs": (both(), lambda s: noting(s, 19)),
    "each writes something else": (both(), lambda s: noting(s, 60, text="seen {}")),
    "each reads the same": (both(), lambda s: noting(s, 60, effect=EffectKind.READ)),
    "each is refused": (both(), lambda s: noting(s, 60, verdict=Verdict.DENY)),
    "one each quarter of an hour": (both(), lambda s: noting(s, 100, pause_s=900)),
    "few runs in parallel, again and again": (both(), lambda s: in_parallel(s, 5, 15)),
    "a key says what the same action is": (
        both(alerts={"duplicate_action": {"key": ["tool", "args.text"]}}),
        lambda s: noting(s, 60),
    ),
    "the rule is off": (both(alerts={"loop": {"enabled": False}}), lambda s: starts(noting(s, 60), 60)),
    "fewer runs start each other": (both(), lambda s: starts(s, 19)),
    "runs start each other day by day": (both(), lambda s: starts(s, 60, pause_s=86_400)),
    "each is started by something else": (both(), lambda s: starts(s, 60, by="event {number}")),
    "a short number is called the same elsewhere": (both(), lambda s: starts(s, 60, by="{id}", ids="{}")),
    "one starts many": (both(), lambda s: fanned_out(s, 60)),
    "a run that is tried again and again": (both(), lambda s: retried(s, 40)),
}


@pytest.mark.parametrize("name", QUIET_THROUGH_RUNS)
def test_many_runs_are_no_loop_by_themselves(name: str) -> None:
    rules, tell = QUIET_THROUGH_RUNS[name]
    assert findings(DETECTOR, tell(Story()), rules) == []


def test_the_words_name_what_many_runs_do_and_the_records() -> None:
    finding = finding_of(DETECTOR, noting(Story(), 25), both())
    assert finding.summary == "20 runs called crm.create_task with the same arguments in 3 minutes 10 seconds"
    assert (finding.facts["threshold"], finding.facts["value"]) == (20, 20)
    assert (finding.facts["runs"][0], finding.facts["calls"][-1]) == ("n0", finding.call)


def test_the_words_name_the_workflows_that_start_each_other() -> None:
    finding = finding_of(DETECTOR, starts(Story(), 20), both())
    assert finding.summary == (
        f"runs start each other: {WORKFLOW} → {OTHER} → {WORKFLOW}, 20 runs in 12 minutes 40 seconds"
    )
    assert finding.facts["workflows"] == [OTHER, WORKFLOW]
    assert finding.facts["runs"] == [f"s{number}" for number in range(20)]


def test_runs_that_go_on_starting_each_other_are_told_of_again() -> None:
    assert len(findings(DETECTOR, starts(Story(), 61), both())) == 3


def test_a_hold_that_the_rule_asks_for_is_set() -> None:
    finding = finding_of(DETECTOR, noting(Story(), 25), both(alerts={"loop": {"hold": "workflow"}}))
    assert finding.hold is ScopeKind.WORKFLOW


@pytest.mark.parametrize("restart_after", [1, 40, 77, 79])
@pytest.mark.parametrize("tell", [noting, starts])
def test_a_loop_through_runs_survives_a_restart_and_entries_told_twice(
    tell: Callable[[Story, int], Story], restart_after: int
) -> None:
    entries = tell(Story(), 21).entries
    watch, before, _ = Watch(detectors=[DETECTOR]).follow(entries[:restart_after], both())
    again = [*entries[restart_after - 1 :], *entries[-6:]]
    found = restore(watch.dump(), [DETECTOR]).follow(again, both())[1]
    assert len([*before, *found]) == 1
