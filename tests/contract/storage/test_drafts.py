"""Contract of drafts on either database: of guards that come at the same time to different servers, one carries out each released draft."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from stopwork.control import drafting
from stopwork.control import protocol as p
from stopwork.kernel.errors import Conflict
from stopwork.ledger.records import Draft, Scope
from stopwork.ledger.words import DraftState, HoldMode, Outcome, ScopeKind, Verdict
from stopwork.operations import drafts, holds
from stopwork.storage.fsck import fsck
from tests.support.databases import POSTGRESQL
from tests.support.office import DANA, WORKFLOW
from tests.support.replicas import TOOL, Replica, at_once

DRAFTS = 6
GUARDS = 4


@pytest.fixture
def replicas(location: str) -> Iterator[list[Replica]]:
    """Two servers on PostgreSQL; on SQLite the one that there can be, twice."""
    shared = location.startswith(POSTGRESQL)
    with Replica.several(2 if shared else 1, partial(Replica.open, location)) as opened:
        opened[0].apply()
        yield opened if shared else opened * 2


def released(replica: Replica) -> list[str]:
    scope = Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW)
    replica.write(partial(holds.pause, scope=scope, mode=HoldMode.DRAFT_ONLY, reason="to look"))
    run = replica.begin("monday")
    ids = [f"call-{number}" for number in range(DRAFTS)]
    for each in ids:
        assert replica.ask(run, TOOL, each, title=each).verdict is Verdict.DRAFT
        work = partial(drafts.release, manifests=replica.manifests, draft=each, reason="it is right")
        replica.write(work, actor=DANA)
    return ids


def test_each_is_claimed_by_one_guard_and_done_once(replicas: list[Replica]) -> None:
    ids = released(replicas[0])

    def guard(number: int) -> list[str]:
        replica, session, mine = replicas[number % 2], f"session-{number}", []
        claim = drafting.ClaimDrafts(workflow=WORKFLOW, session=session, limit=1)
        while claimed := replica.send(claim).drafts:
            [each] = claimed
            asked = p.AskPermit(
                call=each.call,
                run=each.run.ticket.run,
                tool=each.tool,
                args=each.args,
                session=session,
                draft=each.draft,
            )
            assert replica.send(asked).verdict is Verdict.ALLOW
            replica.send(p.RecordAttempt(call=each.call, session=session))
            replica.send(p.RecordOutcome(call=each.call, outcome=Outcome.SUCCEEDED, session=session))
            mine.append(each.draft)
        return mine

    done = at_once([partial(guard, number) for number in range(GUARDS)])
    assert sorted(each for mine in done if isinstance(mine, list) for each in mine) == ids
    states = replicas[1].store.read(lambda view: [each.state for each in view.each(Draft)])
    assert states == [DraftState.DONE] * DRAFTS
    assert fsck(replicas[0].store).clean


def test_one_claim_permits_one_guard_on_any_server(replicas: list[Replica]) -> None:
    released(replicas[0])
    claim = drafting.ClaimDrafts(workflow=WORKFLOW, session="session-a", limit=1)
    [each] = replicas[0].send(claim).drafts
    with pytest.raises(Conflict, match="claimed by another guard"):
        replicas[1].send(
            p.AskPermit(
                call=each.call,
                run=each.run.ticket.run,
                tool=each.tool,
                args=each.args,
                session="session-b",
                draft=each.draft,
            )
        )
