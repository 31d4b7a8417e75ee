"""Contract: who may call what, as one table over every row of the API. A refusal says who can, and records nothing.

The columns are a request without a token, the workflow's agent, the agent of another workflow, a person without a part in
it, its technical owner, its business owner, an administrator who is none of these, and the feed of a system. ``401`` and ``403`` are refusals for who
asks; ``-`` is any other answer: these requests are about nothing that exists, so whoever may ask learns just that.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from stopwork.ledger.records import Principal
from stopwork.server.api.endpoint import Access, Endpoint
from tests.support.office import AGENT, DANA, LEE, MANIFEST, WORKFLOW
from tests.unit.server.described import endpoints
from tests.unit.server.house import ADMIN, FEED, OTHER, STRANGER, House, house, is_problem
from tests.unit.server.story import Story

WHO: Final[tuple[Principal | None, ...]] = (None, AGENT, OTHER, STRANGER, LEE, DANA, ADMIN, FEED)

ANYBODY: Final = "-   -   -   -   -   -   -   -"
GUARDED: Final = "401 -   -   -   -   -   -   403"
PEOPLE: Final = "401 403 403 -   -   -   -   403"
FEEDS: Final = "401 403 403 -   -   -   -   -"
BY_ACCESS: Final = {
    Access.PUBLIC: ANYBODY,
    Access.ANY: GUARDED,
    Access.PERSON: PEOPLE,
    Access.FEED: FEEDS,
    Access.REPORT: GUARDED,
    Access.SIGNED: GUARDED,
    Access.MONITOR: PEOPLE,
}


@pytest.fixture(scope="module")
def rows(shared: House) -> tuple[Endpoint, ...]:
    return endpoints(shared.office.crew)


def found(shared: House, method: str, path: str, **body: object) -> str:
    """Answer one line of the table: what each of them gets."""
    said = []
    for who in WHO:
        before = shared.entries_of_others()
        answer = shared.as_(who).request(method, path, json=body if method in ("POST", "PUT") else None)
        said.append(str(answer.status_code) if answer.status_code in (401, 403) else "-")
        if answer.status_code in (401, 403):
            is_problem(answer)
            assert shared.entries_of_others() == before
    return "".join(each.ljust(4) for each in said).rstrip()


def test_only_the_health_of_the_server_and_spending_a_link_are_public(rows: tuple[Endpoint, ...]) -> None:
    assert {row.name for row in rows if row.access is Access.PUBLIC} == {"health", "spend_link"}


def test_what_agents_may_ask_is_the_permit_protocol_and_a_few_looks(rows: tuple[Endpoint, ...]) -> None:
    asked = {row.name for row in rows if row.access is Access.ANY and row.tag != "guard"}
    assert asked == {"get_workflow", "set_hold", "get_hold", "get_approval", "get_draft", "who_am_i"}
    assert {row.access for row in rows if row.tag == "guard"} == {Access.ANY}


def test_every_row_keeps_its_access(shared: House, rows: tuple[Endpoint, ...]) -> None:
    """Everyone asks everything about things that do not exist; the empty body is refused after the person is."""
    for row in rows:
        path = re.sub(r"{\w+(:\w+)?}", "none", row.path)
        if row.name == "spend_link":
            continue  # it has no caller, only a secret
        line = found(shared, row.method, path)
        assert line == BY_ACCESS[row.access], row.name


@pytest.fixture(scope="module")
def story(shared: House) -> Story:
    told = Story(shared)
    told.agent_repeats_itself()
    told.drafted()
    told.sealed()
    told.audited()
    told.proposed()
    told.post(told.at("/messages"))
    return told


#                 none agent other pat  lee  dana root
OWN_WORKFLOW = "  401  -    403  -    -    -    -  403"
NOT_OTHERS = "    401  -    403  -    -    -    -  403"
BUSINESS_OWNER = "401  403  403  403  403  -    403  403"
OWNERS = "        401  403  403  403  -    -    -  403"
ADMINISTRATOR = " 401  403  403  403  403  403  -  403"
ITSELF_OR_ADMIN = "401 403  403  -    403  403  -  403"


def test_an_agent_asks_about_its_own_workflow_only(shared: House, story: Story) -> None:
    run = {"workflow": WORKFLOW, "trigger": "manual", "trigger_id": "t"}
    scope = {"kind": "tool", "name": "crm.read_account", "workflow": WORKFLOW}
    mail = shared.get("/v1/approvals")[0]["id"]
    lines = {
        "start_run": found(shared, "POST", "/v1/runs", run="run-a", **run),
        "rejoin_run": found(shared, "POST", "/v1/runs/run-a/rejoin"),
        "finish_run": found(shared, "POST", "/v1/runs/run-a/finish", status="succeeded"),
        "record_step": found(shared, "POST", "/v1/runs/run-a/steps", kind="message", name="said"),
        "ask_permit": found(shared, "POST", "/v1/permits", call="c-1", run="run-a", tool="x", args={}),
        "attempt_call": found(shared, "POST", "/v1/calls/call-1/attempt"),
        "finish_call": found(shared, "POST", "/v1/calls/call-1/outcome", outcome="failed"),
        "observe_effects": found(shared, "POST", "/v1/calls/call-1/effects"),
        "register_point": found(shared, "POST", "/v1/points", workflow=WORKFLOW, name="p"),
        "get_workflow": found(shared, "GET", f"/v1/workflows/{WORKFLOW}"),
        "get_hold": found(shared, "GET", f"/v1/holds/{story.held}"),
        "claim_drafts": found(shared, "POST", "/v1/drafts/claim", workflow=WORKFLOW, session="s"),
        "get_draft": found(shared, "GET", "/v1/drafts/call-d1"),
        "get_approval": found(shared, "GET", f"/v1/approvals/{mail}"),
        "set_hold": found(shared, "POST", "/v1/holds", scope=scope, reason="a test"),
    }
    assert set(map(squeezed, lines.values())) == {squeezed(OWN_WORKFLOW)}, lines


def test_an_agent_stops_nothing_but_its_own_workflow(shared: House) -> None:
    everything = found(shared, "POST", "/v1/holds", scope={"kind": "everything"}, reason="a test")
    assert squeezed(everything) == "401 403 403 - - - - 403"


def test_what_only_particular_people_may_do(shared: House, story: Story) -> None:
    """Each is asked with what the records hold now, so that only who asks stands in the way."""
    plan = shared.get(f"/v1/plans/{story.plan}")
    approve = {"digest": "another", "note": "x"}
    text = MANIFEST.replace("Weekly", "Every week's")
    root = shared.post("/v1/tokens", who=ADMIN, kind="person", id=ADMIN.id)["credential"]["id"]
    own = shared.post("/v1/tokens", who=STRANGER, kind="person", id=STRANGER.id)["credential"]["id"]
    agents = shared.post("/v1/tokens", who=DANA, kind="agent", id=WORKFLOW)["credential"]["id"]
    mail = shared.get("/v1/approvals", state="pending")[0]
    draft = {"digest": "another", "reason": "x"}
    decide = {"approve": False, "digest": mail["digest"], "note": "no"}
    table = {
        "edit a draft": (found(shared, "POST", "/v1/drafts/call-d1/edit", args={}, **draft), OWNERS),
        "discard a draft": (found(shared, "POST", "/v1/drafts/call-d1/discard", reason="x"), OWNERS),
        "approve a plan": (
            found(shared, "POST", f"/v1/plans/{plan['id']}/approve", **approve),
            BUSINESS_OWNER,
        ),
        "answer a gate": (
            found(shared, "POST", f"/v1/approvals/{mail['id']}/decide", **decide),
            BUSINESS_OWNER,
        ),
        "change a manifest": (found(shared, "POST", "/v1/manifests", text=text, reason="x"), OWNERS),
        "make an agent's token": (found(shared, "POST", "/v1/tokens", kind="agent", id=WORKFLOW), OWNERS),
        "make a person's token": (
            found(shared, "POST", "/v1/tokens", kind="person", id="jo@acme.test"),
            ADMINISTRATOR,
        ),
        "make a person's link": (found(shared, "POST", "/v1/links", address="jo@acme.test"), ADMINISTRATOR),
        "make an administrator": (
            found(shared, "POST", "/v1/tokens", kind="person", id="sam@acme.test", administrator=True),
            ADMINISTRATOR,
        ),
        "end an agent's token": (found(shared, "POST", f"/v1/tokens/{agents}/revoke", reason="x"), PEOPLE),
        "end one's own token": (
            found(shared, "POST", f"/v1/tokens/{own}/revoke", reason="x"),
            ITSELF_OR_ADMIN,
        ),
        "end another's token": (
            found(shared, "POST", f"/v1/tokens/{root}/revoke", reason="x"),
            ADMINISTRATOR,
        ),
    }
    assert {what: squeezed(line) for what, (line, _) in table.items()} == {
        what: squeezed(expected) for what, (_, expected) in table.items()
    }


def test_autonomy_comes_back_by_the_business_owner_alone(tmp_path: Path) -> None:
    with house(tmp_path) as shared:
        story = Story(shared)
        story.until_the_return()
        lines = {
            "sign": found(shared, "POST", story.at("/checks/owner_approved"), note="I agree."),
            "give a stage back": found(shared, "POST", story.at("/raise")),
        }
    assert set(map(squeezed, lines.values())) == {squeezed(BUSINESS_OWNER)}, lines


def test_nobody_holds_a_credential_of_the_system(shared: House) -> None:
    answer = shared.as_(ADMIN).post("/v1/tokens", json={"kind": "system", "id": "root@acme.test"})
    assert (answer.status_code, is_problem(answer)["code"]) == (422, "invalid")


def test_a_cookie_alone_changes_nothing_over_the_api(shared: House) -> None:
    browser = shared.client(cookie=f"stopwork_session={shared.tokens[LEE.id]}")
    body = {"workflow": WORKFLOW}
    assert browser.get("/v1/me").json()["principal"]["id"] == LEE.id
    for token in ("", "none", "é"):
        refused = browser.post(
            "/v1/incidents", json=body, headers={b"x-stopwork-csrf": token.encode("latin-1")}
        )
        assert (refused.status_code, is_problem(refused)["code"]) == (403, "denied")


def squeezed(line: str) -> str:
    return " ".join(line.split())
