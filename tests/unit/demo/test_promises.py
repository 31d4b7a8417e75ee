"""The demo's verdict on itself: a promise that is not kept is told with what was found, and belongs to its phase."""

from __future__ import annotations

import io

from stopwork.demo.narrator import Narrator
from stopwork.demo.promises import PhaseResult, PhaseStatus, Promise, Promises
from stopwork.kernel.errors import Conflict, Denied
from stopwork.ledger.words import Phase


def refuse() -> None:
    raise Denied("not you", hint="Ask dana.")


def promises() -> tuple[Promises, list[Promise]]:
    told: list[Promise] = []
    made = Promises(told.append)
    made.begin(Phase.PAUSE)
    return made, told


def test_what_is_kept_breaks_nothing() -> None:
    made, told = promises()
    assert made.check("nothing moves", True)
    assert made.refused("nobody may", Denied, refuse)
    assert made.broken(Phase.PAUSE) == []
    assert [promise.kept for promise in told] == [True, True]


def test_what_is_found_otherwise_is_broken_in_its_phase() -> None:
    made, told = promises()
    assert not made.check("nothing moves", False, "T-1001 moved")
    assert [promise.found for promise in made.broken(Phase.PAUSE)] == ["T-1001 moved"]
    assert made.broken(Phase.AUDIT) == []
    assert told == made.made


def test_an_attempt_that_succeeds_breaks_the_promise_that_it_is_refused() -> None:
    made, _ = promises()
    assert not made.refused("nobody may", Denied, lambda: "done")
    assert made.made[0].found == "it was done: done"


def test_a_refusal_for_another_reason_is_no_proof() -> None:
    made, _ = promises()
    assert not made.refused("too early", Conflict, refuse)
    assert made.made[0].found == "denied: not you"


def test_the_summary_names_the_phase_that_failed_and_why() -> None:
    out = io.StringIO()
    made, _ = promises()
    made.check("nothing moves", False)
    results = [
        PhaseResult(name=Phase.OPEN, status=PhaseStatus.PASSED, seconds=1.0),
        PhaseResult(name=Phase.PAUSE, status=PhaseStatus.FAILED, seconds=0.5, detail="nothing moves"),
    ]
    Narrator(out).summary(results, made.made)
    assert "pause  failed      0.5  nothing moves" in out.getvalue()
    assert "1 of 2 phases passed in 1.5 s; 0 of 1 promises kept." in out.getvalue()
