"""Contract of the report on an observed workflow: each call counts once, and the good ones it would have stopped stand out."""

from __future__ import annotations

from typing import Any

import pytest

from stopwork.incidents.observed import MOST_EXAMPLES, EnforcementReport, observed
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from tests.unit.detect.story import START, WORKFLOW, Story
from tests.unit.incidents.cases import Book


def reason(kind: w.ReasonKind, verdict: w.Verdict, text: str = "so it is") -> r.Reason:
    return r.Reason(kind=kind, verdict=verdict, text=text)


DENIED: dict[str, Any] = {
    "would": w.Verdict.DENY,
    "reasons": (
        reason(w.ReasonKind.GATE, w.Verdict.WAIT),
        reason(w.ReasonKind.CONDITION, w.Verdict.DENY, "denied when it is too much"),
        reason(w.ReasonKind.BUDGET, w.Verdict.DENY),
    ),
}
ASKED: dict[str, Any] = {"would": w.Verdict.WAIT, "reasons": (reason(w.ReasonKind.GATE, w.Verdict.WAIT),)}


def signal(kind: w.SignalKind = w.SignalKind.ALERT, **about: Any) -> r.Signal:
    return r.Signal(
        id="s1",
        kind=kind,
        type=w.IncidentType.DUPLICATE_WORK,
        detector="any",
        key="k",
        workflow=WORKFLOW,
        summary="",
        occurred_at=START,
        raised_at=START,
        **about,
    )


def report(story: Story, *signals: r.Signal) -> EnforcementReport:
    return observed(WORKFLOW, Book(story.entries).every(r.Call), signals, since=START)


def test_a_call_counts_once_under_the_first_of_its_strictest_reasons() -> None:
    found = report(Story().run("r1").call("c1", **DENIED).outcome("c1").call("c2").outcome("c2"))
    (only,) = found.divergences
    assert (only.would, only.kind, only.calls) == (w.Verdict.DENY, w.ReasonKind.CONDITION, 1)
    assert only.examples[0].text == "denied when it is too much"
    assert (found.calls, found.stopped, found.asked) == (2, 1, 0)


def test_what_would_be_asked_is_not_stopped_and_stands_last() -> None:
    found = report(
        Story().run("r1").call("c1", **ASKED).call("c2", **ASKED).call("c3", "r1", "mail.send", **DENIED)
    )
    assert (found.stopped, found.asked) == (1, 2)
    assert [each.tool for each in found.divergences] == ["mail.send", "crm.create_task"]


def test_a_refusal_that_bound_is_no_difference() -> None:
    held = (reason(w.ReasonKind.HOLD, w.Verdict.DENY),)
    assert report(Story().run("r1").call("c1", verdict=w.Verdict.DENY, reasons=held)).divergences == ()


@pytest.mark.parametrize(
    ("about", "good"),
    [
        ((), 1),
        ((signal(call="c1"),), 0),
        ((signal(run="r1"),), 0),
        ((signal(call="c9", run="r1"),), 1),
        ((signal(w.SignalKind.POLICY_VIOLATION, call="c1", run="r1"),), 1),
    ],
    ids=["nothing", "of the call", "of the run", "of another call", "of the manifest's own rule"],
)
def test_a_good_call_succeeded_and_only_the_manifest_speaks_against_it(
    about: tuple[r.Signal, ...], good: int
) -> None:
    assert report(Story().run("r1").call("c1", **DENIED).outcome("c1"), *about).good_stopped == good


def test_what_failed_or_is_unknown_is_not_called_good() -> None:
    story = Story().run("r1").call("c1", **DENIED).failed("c1").call("c2", **DENIED).timed_out("c2")
    assert report(story.call("c3", **DENIED)).good_stopped == 0


def test_good_calls_are_the_first_examples() -> None:
    story = Story().run("r1")
    for number in range(5):
        story.call(f"bad{number}", **DENIED).failed(f"bad{number}")
    (only,) = report(story.call("good", **DENIED).outcome("good")).divergences
    assert only.examples[0].call == "good"
    assert (len(only.examples), only.calls) == (MOST_EXAMPLES, 6)
