"""Contract of incidents under concurrency, on both databases and on servers that share one: ids without a gap and none twice, whatever is
declined meanwhile; one cause has one incident; and of two decisions that exclude each other one is made, and the other is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from stopwork.detect.detector import Finding
from stopwork.kernel.errors import Conflict
from stopwork.ledger.records import Incident, Principal
from stopwork.ledger.words import IncidentStatus, IncidentType, PrincipalKind, Severity, SignalKind
from stopwork.operations import manifests, signals, triage
from stopwork.storage.fsck import fsck
from tests.support.office import DANA, KIM, LEE, MANIFEST, WORKFLOW
from tests.support.replicas import Replica
from tests.support.triaging import PROPOSES

DETECTORS = Principal(kind=PrincipalKind.SYSTEM, id="detectors")
OPENINGS = 50


@pytest.fixture
def servers(location: str) -> Iterator[list[Replica]]:
    """Answer two servers where the database can be shared, and one where it cannot."""
    count = 2 if location.startswith("postgresql") else 1
    with Replica.several(count, partial(Replica.open, location)) as opened:
        opened[0].store.write(
            lambda tx: manifests.apply(tx, MANIFEST + PROPOSES, reason="the first version"), actor=LEE
        )
        yield opened


def noticed(server: Replica, key: str) -> Future[signals.Raised]:
    def work(tx: Any) -> signals.Raised:
        finding = Finding(
            type=IncidentType.TOOL_MISUSE,
            kind=SignalKind.POLICY_VIOLATION,
            detector="policy_violation",
            key=key,
            workflow=WORKFLOW,
            summary="it does what it should not",
            occurred_at=tx.now,
            facts={},
            severity=Severity.SEV1,
        )
        return signals.raise_finding(tx, server.manifests, finding)

    return server.store.submit(work, actor=DETECTORS)


def proposals(servers: Sequence[Replica], count: int) -> list[str]:
    raised = [noticed(servers[n % len(servers)], f"cause-{n}") for n in range(count)]
    return [str(each.result(30).incident) for each in raised]


def incidents(servers: Sequence[Replica]) -> dict[str, Incident]:
    return {each.id: each for each in servers[-1].store.read(lambda view: list(view.each(Incident)))}


def outcome(decided: Future[Any]) -> str:
    try:
        decided.result(30)
    except Conflict as error:
        return error.detail
    return "done"


def test_fifty_openings_at_once_give_fifty_ids_without_a_gap(servers: list[Replica]) -> None:
    opened = proposals(servers, OPENINGS)
    days = {each.rsplit("-", 1)[0] for each in opened}
    for day in days:
        of_day = sorted(each for each in opened if each.startswith(day))
        assert of_day == [f"{day}-{n:03d}" for n in range(1, len(of_day) + 1)]
    assert len(set(opened)) == OPENINGS
    assert fsck(servers[0].store).clean


def test_one_cause_that_everybody_notices_at_once_is_one_incident(servers: list[Replica]) -> None:
    raised = [noticed(servers[n % len(servers)], "the same").result for n in range(OPENINGS)]
    found = [each(30) for each in raised]
    assert len({each.incident for each in found}) == 1
    assert sum(each.opened for each in found) == 1
    (incident,) = incidents(servers).values()
    assert len(incident.signals) == OPENINGS


def test_of_an_acceptance_and_a_refusal_at_once_one_is_made(servers: list[Replica]) -> None:
    """What is accepted may be declined still; what is declined is not accepted any more."""
    for n, proposed in enumerate(proposals(servers, 10)):
        decided: list[Future[Any]] = [
            servers[n % len(servers)].store.submit(partial(triage.accept, incident=proposed), actor=KIM),
            servers[(n + 1) % len(servers)].store.submit(
                partial(triage.decline, incident=proposed, reason="a test"), actor=DANA
            ),
        ]
        answers = [outcome(each) for each in decided]
        assert answers[1] == "done"
        assert answers[0] in ("done", f"{proposed} is declined")
        assert incidents(servers)[proposed].status is IncidentStatus.DECLINED


def test_of_two_merges_into_each_other_one_is_made(servers: list[Replica]) -> None:
    ids = proposals(servers, 10)
    for one, other in zip(ids[::2], ids[1::2], strict=True):
        merges = [
            server.store.submit(
                partial(triage.merge, manifests=server.manifests, incident=a, into=b, reason="one cause"),
                actor=KIM,
            )
            for server, (a, b) in zip((servers[0], servers[-1]), ((one, other), (other, one)), strict=True)
        ]
        answers = sorted(outcome(each) for each in merges)
        assert answers.count("done") == 1
        found = incidents(servers)
        assert sorted(found[each].status for each in (one, other)) == ["merged", "proposed"]
        assert sum(len(found[each].merged) for each in (one, other)) == 1


def test_signals_that_come_while_incidents_are_declined_are_never_lost(servers: list[Replica]) -> None:
    proposed = proposals(servers, 1)[0]
    raised = [noticed(servers[n % len(servers)], "cause-0") for n in range(10)]
    declined = servers[0].store.submit(
        partial(triage.decline, incident=proposed, reason="a test"), actor=DANA
    )
    raised += [noticed(servers[n % len(servers)], "cause-0") for n in range(10)]
    declined.result(30)
    homes = {str(each.result(30).incident) for each in raised}
    assert homes <= set(incidents(servers))
    assert sum(len(each.signals) for each in incidents(servers).values()) == 21
