"""Contract of looking at many calls: every one of the workflow since then, newest first and once, as far as is asked, on either database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest

from stopwork.ledger.records import Call, Record
from stopwork.storage import glances
from tests.support.office import WORKFLOW
from tests.support.replicas import TOOL, Replica


class Glance(Record):
    """Some of what a call says."""

    id: str
    args: dict[str, str]


@pytest.fixture
def replica(location: str) -> Iterator[Replica]:
    with Replica.several(1, partial(Replica.open, location)) as (opened,):
        opened.apply()
        yield opened


def test_every_call_is_looked_at_once_from_then_on(replica: Replica) -> None:
    run = replica.begin("monday")
    for number in range(5):
        replica.ask(run, TOOL, f"call-{number}", title=f"quoted “a”\0 {number}")
    calls = replica.store.read(
        lambda view: sorted(view.each(Call), key=lambda call: (call.requested_at, call.id))
    )
    assert len(calls) == 5
    look = partial(glances.calls_as, kind=Glance, workflow=WORKFLOW)
    for since in (
        calls[0].requested_at,
        calls[2].requested_at,
        calls[-1].requested_at + timedelta(seconds=1),
    ):
        for page in (1, 2, 5, 100):
            found = replica.store.read(lambda view: list(look(view, since=since, page=page)))  # noqa: B023 - used at once
            assert found == [
                (call.requested_at, Glance(id=call.id, args=call.args))
                for call in reversed(calls)
                if call.requested_at >= since
            ]
