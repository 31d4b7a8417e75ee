"""Contract: asking twice has an answer of its own: the same thing again, a new one beside the old, or a refusal that says why.

A client whose answer was lost asks again, and two people press one button. Each row below says what comes of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from stopwork.ledger.records import Principal
from tests.support.office import AGENT, DANA, KIM, LEE, WORKFLOW
from tests.unit.server.house import House, house, is_problem
from tests.unit.server.story import Story


@pytest.fixture
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with house(tmp_path_factory.mktemp("house")) as opened:
        told = Story(opened)
        told.agent_repeats_itself()
        yield told


def asked(opened: House, who: Principal, path: str, **body: Any) -> httpx.Response:
    return opened.as_(who).post(path, json=body)


def at_once(times: int, ask: Callable[[], httpx.Response]) -> list[httpx.Response]:
    with ThreadPoolExecutor(times) as pool:
        return [each.result() for each in [pool.submit(ask) for _ in range(times)]]


def conflict(answer: httpx.Response) -> str:
    problem = is_problem(answer)
    assert (answer.status_code, problem["code"]) == (409, "conflict")
    return str(problem["detail"])


def test_the_same_again_for_what_names_itself(story: Story) -> None:
    """Runs, calls, outcomes, holds, opened incidents, revoked tokens: the second answer is the first."""
    opened = story.house
    run = {"run": "run-2", "workflow": WORKFLOW, "trigger": "manual", "trigger_id": "t"}
    scope = {"kind": "tool", "name": "crm.read_account", "workflow": WORKFLOW}
    token = opened.post("/v1/tokens", who=DANA, kind="person", id=DANA.id)["credential"]["id"]
    requests: list[tuple[Principal, str, dict[str, Any]]] = [
        (AGENT, "/v1/runs", run),
        (
            AGENT,
            "/v1/permits",
            {"call": "c-2", "run": "run-2", "tool": "crm.read_account", "args": {"account_id": "acme"}},
        ),
        (AGENT, "/v1/calls/c-2/outcome", {"outcome": "succeeded", "result": {"ok": True}}),
        (AGENT, "/v1/runs/run-2/finish", {"status": "succeeded"}),
        (LEE, "/v1/holds", {"scope": scope, "reason": "unsafe"}),
        (LEE, "/v1/incidents", {"workflow": WORKFLOW, "title": "Seen by hand", "request": "one"}),
        (LEE, story.at("/containment"), {}),
        (DANA, f"/v1/tokens/{token}/revoke", {"reason": "it was lost"}),
    ]
    for who, path, body in requests:
        first = asked(opened, who, path, **body)
        assert first.is_success, first.text
        before = opened.journal_size()
        again = asked(opened, who, path, **body)
        assert (again.status_code, again.json()) == (first.status_code, first.json()), path
        since = opened.get("/v1/journal", after=before)
        kinds = [line["kind"] for line in since if line["actor"]["kind"] != "system"]
        assert [kind for kind in kinds if kind != "call.decided"] == [], path


def test_an_incident_opened_at_once_by_one_request_is_one(story: Story) -> None:
    body = {"workflow": WORKFLOW, "request": "one"}
    answers = at_once(6, lambda: asked(story.house, LEE, "/v1/incidents", **body))
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_without_a_name_every_opening_is_an_incident_of_its_own(story: Story) -> None:
    ids = {asked(story.house, LEE, "/v1/incidents", workflow=WORKFLOW).json()["id"] for _ in range(2)}
    assert len(ids) == 2


def test_what_ended_one_way_does_not_end_another_way(story: Story) -> None:
    opened = story.house
    ended = asked(opened, AGENT, "/v1/runs/run-1/finish", status="succeeded")
    assert "already" in conflict(ended)
    other = asked(opened, AGENT, "/v1/calls/call-1/outcome", outcome="failed")
    assert "has ended" in conflict(other)
    changed = asked(
        opened, AGENT, "/v1/permits", call="call-1", run="run-1", tool="crm.read_account", args={}
    )
    assert "another call" in conflict(changed)


def test_evidence_sealed_again_is_a_bundle_beside_the_first(story: Story) -> None:
    """Also when two do it at once: no file is written over, and each record names the file that it was made of."""
    answers = at_once(3, lambda: asked(story.house, LEE, story.at("/seal")))
    assert [answer.status_code for answer in answers] == [201] * 3
    bundles = [answer.json() for answer in answers]
    assert len({bundle["path"] for bundle in bundles}) == 3
    for bundle in bundles:
        file = story.house.office.inst.folder / "evidence" / bundle["path"]
        assert file.stat().st_size == bundle["size_bytes"]


def test_an_audit_and_a_plan_made_again_take_the_place_of_the_first(story: Story) -> None:
    opened = story.house
    story.sealed()
    assert "audit" in conflict(asked(opened, LEE, story.at("/plan")))
    audits = [story.post(story.at("/audit"))["id"] for _ in range(2)]
    assert story.get(story.at("/audit"))["id"] == audits[1]
    first, second = story.proposed(), story.proposed()
    assert first["id"] != second["id"]
    assert story.get(story.at())["plan"] == second["id"]
    late = asked(opened, DANA, f"/v1/plans/{first['id']}/approve", digest=first["digest"])
    assert "not the plan" in conflict(late)


def test_a_plan_is_approved_once_and_run_to_one_end(story: Story) -> None:
    opened = story.house
    story.sealed()
    story.audited()
    plan = story.proposed()
    where = f"/v1/plans/{plan['id']}"
    assert "not approved" in conflict(asked(opened, LEE, f"{where}/run"))
    answers = at_once(2, lambda: asked(opened, DANA, f"{where}/approve", digest=plan["digest"]))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert "approved already" in conflict(next(each for each in answers if not each.is_success))
    runs = at_once(3, lambda: asked(opened, LEE, f"{where}/run"))
    assert {answer.status_code for answer in runs} <= {200, 409}
    assert asked(opened, LEE, f"{where}/run").json()["state"] == "finished"
    changed = [str(ref) for ref in opened.office.crm.replaced]
    assert len(changed) == len(set(changed)), "nothing is put right twice"


def test_a_message_is_approved_and_sent_once(story: Story) -> None:
    opened = story.house
    drafts = story.post(story.at("/messages"))
    assert story.post(story.at("/messages")) == drafts, "who has a draft gets no second one"
    where = f"/v1/messages/{drafts[0]['id']}"
    assert "approve" in is_problem(asked(opened, DANA, f"{where}/send"))["hint"].lower()
    digest = drafts[0]["digest"]
    assert asked(opened, DANA, f"{where}/approve", digest=digest).is_success
    conflict(asked(opened, DANA, f"{where}/approve", digest=digest))
    before = opened.journal_size()
    answers = at_once(4, lambda: asked(opened, DANA, f"{where}/send"))
    assert {answer.status_code for answer in answers} <= {200, 409}
    kinds = [line["kind"] for line in opened.get("/v1/journal", after=before)]
    assert kinds.count("message.sent") == 1
    conflict(asked(opened, DANA, f"{where}/send"))


def test_a_question_is_answered_once_by_each(story: Story) -> None:
    opened = story.house
    question = opened.get("/v1/approvals", state="pending")[0]
    decide = {"approve": True, "digest": question["digest"], "note": "yes"}
    where = f"/v1/approvals/{question['id']}/decide"
    answers = at_once(3, lambda: asked(opened, DANA, where, **decide))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]


def test_a_hold_is_lifted_once(story: Story) -> None:
    opened = story.house
    scope = {"kind": "tool", "name": "pay.invoice", "workflow": "invoices"}
    held = opened.post("/v1/holds", scope=scope, reason="to be sure")["hold"]["id"]
    first = opened.post(f"/v1/holds/{held}/lift", who=KIM, reason="It was a drill.")
    before = opened.entries_of_others()
    assert opened.post(f"/v1/holds/{held}/lift", who=KIM, reason="It was a drill.") == first
    conflict(asked(opened, DANA, f"/v1/holds/{held}/lift", reason="Again."))
    assert opened.entries_of_others() == before


def test_the_return_goes_one_stage_at_a_time(story: Story) -> None:
    opened = story.house
    story.put_right()
    story.signed()
    answers = at_once(3, lambda: asked(opened, DANA, story.at("/raise")))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    assert opened.get(f"/v1/workflows/{WORKFLOW}")["stage"] == "read_only"
    conflict(asked(opened, DANA, story.at("/raise")))


def test_a_closed_incident_is_closed_and_does_not_change(story: Story) -> None:
    opened = story.house
    story.put_right()
    story.returned()
    story.closed()
    before = opened.entries_of_others()
    assert asked(opened, DANA, story.at("/close"), reason="Again.").json()["status"] == "closed"
    assert opened.entries_of_others() == before
    for rest, body in (
        ("/severity", {"severity": "sev0"}),
        ("/handover", {"role": "commander", "to": LEE.id}),
        ("/root-cause", {"text": "Another one."}),
        ("/next-update", {"at": "2027-01-01T00:00:00Z"}),
        ("/plan", {}),
        ("/raise", {}),
    ):
        conflict(asked(opened, DANA, story.at(rest), **body))
    assert opened.get(story.at())["status"] == "closed"
