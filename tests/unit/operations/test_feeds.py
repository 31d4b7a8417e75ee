"""Contract of feeds: what a system tells is recorded once, with the guarded call that made it, whatever the order and however late; only its feed
may tell, and what cannot be right is refused with where it stands. What no call explains is an approval bypass, end to end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stopwork.kernel.errors import Denied, Invalid
from stopwork.ledger.records import FeedChange, Incident, Principal, Signal
from stopwork.ledger.words import IncidentType, Operation, PrincipalKind
from stopwork.operations import credentials, feeds
from stopwork.operations.feeds import Fed, Told
from tests.support.office import AGENT, DANA, LEE, MANIFEST, Office

FEED = Principal(kind=PrincipalKind.FEED, id="crm")
IDENTITY = "agent-renewals@acme.test"
DECLARED = MANIFEST.replace("tools:\n", f"identities: {{crm: [{IDENTITY}]}}\ntools:\n").replace(
    # A tool that does not say what it changes would explain any change.
    "  crm.set_discount:\n    effect: update\n    permission: crm.accounts.write\n",
    "  crm.set_discount:\n    effect: update\n    permission: crm.accounts.write\n"
    "    object: {system: crm, type: discount, id: args.account_id}\n",
)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Office(tmp_path, manifest=DECLARED) as opened:
        yield opened


def told(office: Office, name: str, object_id: str = "acme", **more: Any) -> Told:
    given = {
        "id": name,
        "at": office.clock.now(),
        "by": IDENTITY,
        "object": {"type": "account", "id": object_id},
        "operation": Operation.MODIFIED,
        "fields": {"renewal": ["2026-07-01", "2026-07-02"]},
    }
    return msgspec.convert(given | more, Told)


def feed(office: Office, *changes: Told, actor: Principal = FEED, system: str = "crm") -> Fed:
    return office.write(
        lambda tx: feeds.feed(tx, office.inst.manifests, system=system, changes=changes), actor=actor
    )


def change(office: Office, name: str) -> FeedChange:
    return office.read(lambda view: view.need(FeedChange, f"crm/{name}"))


def signals(office: Office) -> list[Signal]:
    found = office.read(lambda view: view.find(Signal, limit=50))
    return [each for each in found if each.type is IncidentType.APPROVAL_BYPASS]


def test_what_is_told_twice_is_recorded_once(office: Office) -> None:
    one, two = told(office, "1"), told(office, "2", "globex")
    assert feed(office, one, one) == Fed(taken=1, known=1)
    before = office.store.last_seq
    assert feed(office, one) == Fed(taken=0, known=1)
    assert office.store.last_seq == before
    assert feed(office, two, one) == Fed(taken=1, known=1)


def test_a_change_that_says_something_else_now_is_named_and_not_taken(office: Office) -> None:
    feed(office, told(office, "1"))
    assert feed(office, told(office, "1", "globex")) == Fed(taken=0, known=0, differing=("1",))
    assert change(office, "1").object.id == "acme"


def test_a_guarded_call_explains_its_change(office: Office) -> None:
    run = office.begin()
    permit = office.do(run, "crm.update_account", account_id="acme", renewal="2026-07-02")
    feed(
        office,
        told(office, "1"),
        told(office, "2", by=IDENTITY.upper()),
        told(office, "3", by="jo@acme.test"),
    )
    assert change(office, "1").call == permit.call
    assert change(office, "2").call == permit.call
    assert (change(office, "3").agents, change(office, "3").call) == ((), None)
    office.wait(minutes=10)
    assert not signals(office)


CHATTY = DECLARED.replace(
    "tools:\n", "tools:\n  chat.post: {effect: send}\n  notify: {effect: send}\n"
).replace(f"{{crm: [{IDENTITY}]}}", f"{{crm: [{IDENTITY}], chat: [{IDENTITY}], pager: [{IDENTITY}]}}")


@pytest.mark.parametrize("tool", ["chat.post", "notify"])
@pytest.mark.parametrize("kind", ["account", "contact"])
@pytest.mark.parametrize("operation", [Operation.MODIFIED, Operation.CREATED])
def test_what_was_sent_explains_no_change_in_a_system_of_other_tools_objects(
    tmp_path: Path, tool: str, kind: str, operation: Operation
) -> None:
    with Office(tmp_path, manifest=CHATTY) as office:
        posted = office.do(office.begin(), tool, text="done")
        assert posted.call
        feed(office, told(office, "1", object={"type": kind, "id": "acme"}, operation=operation))
        assert (change(office, "1").call, change(office, "1").beside) == (None, None)
        office.wait(minutes=5)
        [signal] = signals(office)
        assert signal.incident is not None


@pytest.mark.parametrize(("tool", "system"), [("chat.post", "chat"), ("notify", "pager")])
def test_what_was_sent_explains_what_its_own_system_tells(tmp_path: Path, tool: str, system: str) -> None:
    """A tool whose name does not say its system is at work where no other tool is."""
    with Office(tmp_path, manifest=CHATTY) as office:
        posted = office.do(office.begin(), tool, text="done")
        of_it = told(office, "1", object={"type": "message", "id": "m-1"}, operation=Operation.CREATED)
        feed(office, of_it, system=system, actor=Principal(kind=PrincipalKind.FEED, id=system))
        known = office.read(lambda view: view.need(FeedChange, f"{system}/1"))
        assert known.call == posted.call
        office.wait(minutes=5)
        assert not signals(office)


def test_an_update_that_declares_no_object_explains_a_change_in_its_own_system(tmp_path: Path) -> None:
    bare = DECLARED.replace("    object: {system: crm, type: discount, id: args.account_id}\n", "")
    with Office(tmp_path, manifest=bare) as office:
        permit = office.do(office.begin(), "crm.set_discount", account_id="acme", percent="5")
        feed(office, told(office, "1"))
        assert change(office, "1").call == permit.call


def test_a_call_in_flight_explains_its_change(office: Office) -> None:
    permit = office.ask(office.begin(), "crm.update_account", account_id="acme", renewal="2026-07-02")
    office.attempt(permit)
    feed(office, told(office, "1"))
    assert change(office, "1").call == permit.call


def test_days_later_a_change_is_still_explained(office: Office) -> None:
    permit = office.do(office.begin(), "crm.update_account", account_id="acme", renewal="2026-07-02")
    late = told(office, "1")
    office.wait(days=20)
    feed(office, late)
    assert change(office, "1").call == permit.call


def test_a_change_past_the_guard_opens_an_incident_after_a_moment(office: Office) -> None:
    feed(office, told(office, "1"))
    office.wait(minutes=1)
    assert not signals(office)
    office.wait(minutes=2)
    [signal] = signals(office)
    assert signal.facts["changes"] == ["crm/1"]
    assert signal.incident is not None
    incident = office.read(lambda view: view.need(Incident, str(signal.incident)))
    assert incident.type is IncidentType.APPROVAL_BYPASS


def test_a_call_that_comes_after_the_feed_still_explains_it(office: Office) -> None:
    """The system's clock is ahead, or its feed is quicker than the agent."""
    feed(office, told(office, "1"))
    office.wait(seconds=30)
    office.do(office.begin(), "crm.update_account", account_id="acme", renewal="2026-07-02")
    office.wait(minutes=5)
    assert not signals(office)


def test_a_refused_call_is_named_with_the_change_it_did_not_make(office: Office) -> None:
    run = office.begin()
    sent = told(office, "1", object={"type": "discount", "id": "acme"})
    permit = office.ask(run, "crm.set_discount", account_id="acme", percent="1")
    feed(office, sent)
    assert change(office, "1").refused == permit.call
    office.wait(minutes=5)
    [signal] = signals(office)
    assert signal.facts["refused"] == permit.call


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"at": "2026-03-02T13:00:00"}, "changes[0].at"),
        ({"at": "2036-03-02T13:00:00Z"}, "changes[0].at"),
        ({"fields": {"text": [None, "x" * 20_000]}}, "changes[0].fields"),
    ],
)
def test_what_cannot_be_right_is_refused_with_where_it_stands(
    office: Office, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        feed(office, told(office, "1", **wrong))
    assert refused.value.problem()["field"] == field
    assert refused.value.hint


@pytest.mark.parametrize("actor", [AGENT, DANA, Principal(kind=PrincipalKind.FEED, id="erp")])
def test_only_its_feed_or_an_administrator_tells_of_a_system(office: Office, actor: Principal) -> None:
    with pytest.raises(Denied):
        feed(office, told(office, "1"), actor=actor)


def test_only_an_administrator_makes_a_feed_s_token(office: Office) -> None:
    with pytest.raises(Denied):
        office.write(lambda tx: credentials.issue(tx, principal=FEED), actor=LEE)
    bad = Principal(kind=PrincipalKind.FEED, id="The CRM")
    with pytest.raises(Invalid):
        office.write(lambda tx: credentials.issue(tx, principal=bad), actor=SETUP)
    assert (
        office.write(lambda tx: credentials.issue(tx, principal=FEED), actor=SETUP).credential.principal
        == FEED
    )


def test_a_full_batch_is_told_in_a_moment(office: Office) -> None:
    many = [told(office, str(number), f"object-{number}") for number in range(feeds.MAX_CHANGES)]
    assert feed(office, *many) == Fed(taken=feeds.MAX_CHANGES, known=0)
    office.clock.advance(timedelta(minutes=5))  # type: ignore[attr-defined]
    office.wait(minutes=1)
    assert sum(each.facts["value"] for each in signals(office)) == feeds.MAX_CHANGES


SETUP = Principal(kind=PrincipalKind.SYSTEM, id="setup")
