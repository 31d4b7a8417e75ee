"""The shells look at the clock as the very last thing before a tool begins: what is late then is asked again, and begins only if nothing
holds it by now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from stopwork.control import protocol as p
from stopwork.control.session import CallSession
from stopwork.control.steps import Patience
from stopwork.kernel.errors import Conflict, Unavailable
from stopwork.ledger.words import EffectKind, Outcome, Verdict
from stopwork.sdk.binding import Signature
from stopwork.sdk.desk import InThread
from stopwork.sdk.doubt import AuthorSays
from stopwork.sdk.errors import CallDenied
from stopwork.sdk.observer import Observer
from stopwork.sdk.shells import GuardedCall, acarry, carry

A = TypeVar("A")

WITHIN_S = 5.0


class Desk:
    """Permits everything until it is paused, and keeps what it was asked."""

    def __init__(self) -> None:
        self.paused = False
        self.attempted = False
        self.asked: list[p.Request[Any]] = []

    def send(self, request: p.Request[A]) -> A:
        self.asked.append(request)
        answer: Any = None
        match request:
            case p.AskPermit():
                verdict = Verdict.DENY if self.paused else Verdict.ALLOW
                answer = p.PermitAnswer(
                    call="call_1", verdict=verdict, would=verdict, args={"id": "t1"}, valid_for_s=60.0
                )
            case p.RecordAttempt():
                if self.paused:
                    raise Conflict("tool crm.touch is held", hint="Ask again.")
                self.attempted = True
                answer = p.AttemptRecorded()
            case p.RecordOutcome():
                answer = p.OutcomeRecorded()
        return answer  # type: ignore[no-any-return]

    def close(self) -> None:
        """Nothing is open."""


class Suspended:
    """A clock of a process that is suspended once, right before its ``at``-th look, while ``meanwhile`` happens."""

    def __init__(self, at: int, meanwhile: Callable[[], None]) -> None:
        self.now = 0.0
        self.looks = 0
        self._at = at
        self._meanwhile = meanwhile

    def __call__(self) -> float:
        self.looks += 1
        if self.looks == self._at:
            self.now += WITHIN_S
            self._meanwhile()
        return self.now


def carried(desk: Desk, clock: Suspended, effect: EffectKind, *, blocking: bool) -> list[str]:
    """Carry one call through and answer what ran of it."""
    ran: list[str] = []

    def touch(id: str) -> str:  # noqa: A002
        ran.append(id)
        return id

    async def atouch(id: str) -> str:  # noqa: A002
        return touch(id)

    request = p.AskPermit(
        call="call_1", run="run_1", tool="crm.touch", args={"id": "t1"}, session="session_1"
    )
    binding = Signature(touch if blocking else atouch, ()).bind(("t1",), {})
    call = GuardedCall(
        "crm.touch",
        binding,
        CallSession(request, effect, Patience(begin_within_s=WITHIN_S)),
        Observer({}).window(effect, None, "call_1"),
        AuthorSays(),
    )
    try:
        if blocking:
            carry(call, desk, clock=clock)
        else:
            asyncio.run(acarry(call, InThread(desk), clock=clock))
    except (CallDenied, Unavailable):
        assert ran == []
    return ran


def moments(effect: EffectKind) -> Iterator[int]:
    """Answer the looks at the clock up to the last one before the tool."""
    return iter(range(2, 6 if effect is EffectKind.UPDATE else 5))


MOMENTS = [
    pytest.param(effect, at, blocking, id=f"{effect}-{at}-{'sync' if blocking else 'async'}")
    for effect in (EffectKind.READ, EffectKind.UPDATE)
    for at in moments(effect)
    for blocking in (True, False)
]


@pytest.mark.parametrize(("effect", "at", "blocking"), MOMENTS)
def test_nothing_begins_that_was_held_while_its_process_was_suspended(
    effect: EffectKind, at: int, blocking: bool
) -> None:
    desk = Desk()
    clock = Suspended(at, lambda: setattr(desk, "paused", True))
    assert carried(desk, clock, effect, blocking=blocking) == []
    assert clock.looks >= at
    ended = [each for each in desk.asked if isinstance(each, p.RecordOutcome)]
    assert ended or not desk.attempted, "an attempt on record is answered with an outcome"
    assert all(each.outcome is Outcome.FAILED for each in ended)
    assert all((each.error or "").startswith("not started") for each in ended)


@pytest.mark.parametrize(("effect", "at", "blocking"), MOMENTS)
def test_what_nobody_has_held_meanwhile_runs_once(effect: EffectKind, at: int, blocking: bool) -> None:
    desk = Desk()
    assert carried(desk, Suspended(at, lambda: None), effect, blocking=blocking) == ["t1"]
    [ended] = [each for each in desk.asked if isinstance(each, p.RecordOutcome)]
    assert ended.outcome is Outcome.SUCCEEDED
