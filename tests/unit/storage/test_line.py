"""Contract of the line: first what is urgent, then as they came; bounded; and nobody is left without an answer, however it ends."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest

from stopwork.kernel.errors import Unavailable
from stopwork.ledger.records import Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.storage.jobs import MAX_WAITING, Job, Line, closed

NOBODY = Principal(kind=PrincipalKind.SYSTEM, id="nobody")


def job(*, urgent: bool = False) -> tuple[Job, Future[Any]]:
    future: Future[Any] = Future()
    made = Job(work=lambda _tx: None, actor=NOBODY, urgent=urgent, future=future)
    return made, future


def test_what_is_urgent_comes_first_and_ends_a_batch() -> None:
    line = Line()
    (first, _), (second, _), (stop, _), (third, _) = job(), job(), job(urgent=True), job()
    for each in (first, second, stop, third):
        line.put(each)
    assert line.take() is stop
    assert list(line.behind(stop, 10)) == [stop]
    taken = line.take()
    assert taken is first
    batch = line.behind(taken, 10)
    assert [next(batch), next(batch)] == [first, second]
    line.put(stop)
    assert list(batch) == [stop]
    assert list(line.behind(line.take() or stop, 10)) == [third]


def test_a_batch_is_bounded() -> None:
    line = Line()
    jobs = [job()[0] for _ in range(5)]
    for each in jobs:
        line.put(each)
    assert list(line.behind(line.take() or jobs[-1], 3)) == jobs[:3]


def test_a_full_line_refuses_and_still_has_room_for_what_is_urgent() -> None:
    line = Line()
    for _ in range(MAX_WAITING):
        line.put(job()[0])
    late, answer = job()
    line.put(late)
    with pytest.raises(Unavailable, match="too many writes are waiting"):
        answer.result(0)
    stop, _ = job(urgent=True)
    line.put(stop)
    assert line.take() is stop


def test_a_closed_line_is_worked_off_and_then_ends_for_every_writer() -> None:
    line = Line()
    waiting, _ = job()
    line.put(waiting)
    assert line.close()
    assert not line.close()
    late, answer = job()
    line.put(late)
    with pytest.raises(Unavailable, match="closed"):
        answer.result(0)
    assert [line.take(), line.take(), line.take()] == [waiting, None, None]


def test_writers_that_wait_are_woken_by_the_end() -> None:
    line = Line()
    ended: list[Job | None] = []
    writers = [threading.Thread(target=lambda: ended.append(line.take())) for _ in range(3)]
    for each in writers:
        each.start()
    line.close()
    for each in writers:
        each.join(10)
    assert ended == [None, None, None]


def test_all_who_wait_can_be_refused_and_the_line_goes_on() -> None:
    line = Line()
    answers = [job(urgent=urgent) for urgent in (False, True)]
    for waiting, _ in answers:
        line.put(waiting)
    line.refuse_waiting(closed)
    assert all(isinstance(answer.exception(0), Unavailable) for _, answer in answers)
    again, _ = job()
    line.put(again)
    assert line.take() is again
    last, answer = job()
    line.put(last)
    line.refuse_all()
    assert isinstance(answer.exception(0), Unavailable)
    assert line.take() is None
