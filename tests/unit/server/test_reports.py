"""Contract of the ways in: a reporter's token says what was noticed and nothing else; a person's report, a tool's signal and a mail
become signals that say where they came from; a flood leaves the server answering, and is one incident."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stopwork.operations.signatures import signature
from stopwork.server.api.endpoint import Access
from tests.support.office import AGENT, KIM, LEE, WORKFLOW
from tests.unit.server.described import endpoints
from tests.unit.server.house import ADMIN, REPORTER, House, is_problem


def test_a_reporter_may_say_what_it_noticed_and_nothing_else(opened: House) -> None:
    client = opened.as_(REPORTER)
    open_to_it = set()
    for row in endpoints(opened.office.crew):
        path = re.sub(r"{\w+(:\w+)?}", "none", row.path)
        answer = client.request(row.method, path, json={} if row.method in ("POST", "PUT") else None)
        if answer.status_code != 403:
            open_to_it.add(row.name)
            assert row.access in (Access.REPORT, Access.SIGNED, Access.PUBLIC), row.name
    assert {"report", "raise_signal", "report_by_mail"} <= open_to_it
    assert client.get("/v1/stream").status_code == 403


def test_a_reporter_has_a_plain_name_and_an_administrator_who_made_it(opened: House) -> None:
    for who, name, status in ((LEE, "prometheus", 403), (REPORTER, "prometheus", 403)):
        made = opened.as_(who).post("/v1/tokens", json={"kind": "reporter", "id": name})
        assert made.status_code == status
    for name, status in (("pager.duty-2", 201), ("Pager Duty", 422), ("x" * 64, 422)):
        made = opened.as_(ADMIN).post("/v1/tokens", json={"kind": "reporter", "id": name})
        assert made.status_code == status, name


def test_a_report_says_what_where_when_and_by_whom(opened: House) -> None:
    told: dict[str, Any] = {
        "text": "Globex got the same task twice.",
        "workflow": WORKFLOW,
        "where": "the CRM",
        "when": "2026-03-02T08:30:00-05:00",
        "noticed_by": "customer",
    }
    received = opened.post("/v1/reports", who=KIM, **told, request="r-1")
    assert opened.post("/v1/reports", who=KIM, **told, request="r-1")["reception"] == "known"
    [signal] = opened.get("/v1/signals", incident=received["incident"])
    assert (
        signal["occurred_at"] == "2026-03-02T13:00:00Z"
    )  # the house's now: what is said to come is taken as now
    assert (
        signal["facts"]
        | {
            "seen": told["text"],
            "where": "the CRM",
            "by": KIM.id,
            "detected_by": "customer",
            "source": "report",
        }
        == signal["facts"]
    )
    assert opened.get(f"/v1/incidents/{received['incident']}")["detected_by"] == "customer"


def test_what_does_not_fit_is_refused_with_its_field(opened: House) -> None:
    for body, field in (
        ({}, "text"),
        ({"text": ""}, "text"),
        ({"text": "x" * 10_001}, "text"),
        ({"text": "x", "type": "sabotage"}, "type"),
        ({"text": "x", "when": "yesterday"}, "when"),
        ({"text": "x", "severity": "sev0"}, "severity"),
    ):
        answer = opened.as_(KIM).post("/v1/reports", json=body)
        assert answer.status_code == 422
        assert field in is_problem(answer)["detail"]
    huge = opened.as_(KIM).post("/v1/reports", json={"text": "x" * 100_000})
    assert huge.status_code == 413


def test_a_mail_by_the_tag_of_its_address(opened: House) -> None:
    mail = (
        f"From: Jo <jo@customer.test>\r\nTo: reports+{WORKFLOW}@acme.test\r\nMessage-ID: <1@customer.test>\r\n"
        "Subject: wrong date\r\n\r\nThe renewal date is wrong.\r\n"
    )
    headers = {"content-type": "message/rfc822"}
    sent = [opened.as_(REPORTER).post("/v1/inbox/mail", content=mail, headers=headers) for _ in range(2)]
    assert [each.json()["reception"] for each in sent] == ["raised", "known"]
    [signal] = opened.get("/v1/signals")
    assert (signal["workflow"], signal["summary"]) == (WORKFLOW, "wrong date")
    assert signal["facts"]["by_is"] == "what the mail says, and unverified"
    other = opened.as_(REPORTER).post("/v1/inbox/mail", content=mail, headers={"content-type": "image/png"})
    assert other.status_code == 415
    nothing = opened.as_(REPORTER).post("/v1/inbox/mail", content=b"\xff" * 99, headers=headers)
    assert nothing.status_code == 400
    is_problem(nothing)


def test_a_webhook_is_taken_with_a_token_or_signed(opened: House) -> None:
    body = b'{"what": "The till was emptied twice"}'
    at = str(int(opened.office.clock.now().timestamp()))
    headers = {"content-type": "application/json", "webhook-id": "m-1", "webhook-timestamp": at}
    good = {"webhook-signature": signature(b"t" * 32, "m-1", at, body)}
    till, desk = "/v1/webhooks/till", "/v1/webhooks/desk"
    stranger = opened.client()
    for refused in ({}, {"webhook-signature": signature(b"x" * 32, "m-1", at, body)}):
        answer = stranger.post(till, content=body, headers=headers | refused)
        assert (answer.status_code, is_problem(answer)["code"]) == (401, "unauthenticated")
    assert opened.as_(REPORTER).post(till, content=body, headers=headers).status_code == 401
    assert stranger.post(desk, content=b"{}", headers=headers | good).status_code == 401
    assert stranger.post("/v1/webhooks/none", content=b"{}", headers=headers).status_code == 401
    assert opened.as_(REPORTER).post("/v1/webhooks/none", json={}).status_code == 404
    assert opened.get("/v1/signals") == []
    taken = [stranger.post(till, content=body, headers=headers | good).json()["taken"] for _ in range(2)]
    assert taken == [{"raised": 1}, {"known": 1}]
    [signal] = opened.get("/v1/signals")
    assert signal["facts"]["reported_by"] == "webhook till"
    broken = opened.as_(REPORTER).post(desk, content=b"{", headers={"content-type": "application/json"})
    assert broken.status_code == 400


def test_an_alert_that_is_over_is_noted_with_its_incident_and_closes_nothing(opened: House) -> None:
    alert = {
        "labels": {"alertname": "Flood", "workflow": WORKFLOW, "severity": "critical"},
        "startsAt": "2026-03-02T12:00:00Z",
        "fingerprint": "f1",
    }

    def send(status: str) -> Any:
        body = {"version": "4", "alerts": [alert | {"status": status}]}
        return opened.post("/v1/webhooks/alertmanager", who=REPORTER, **body)

    assert [send(each)["taken"] for each in ("firing", "firing", "resolved")] == [
        {"raised": 1},
        {"known": 1},
        {"raised": 1},
    ]
    [incident] = opened.get("/v1/incidents")
    assert incident["status"] != "closed"
    assert len(incident["signals"]) == 2
    opened.post("/v1/webhooks/alertmanager", who=REPORTER, version="4", alerts=[])


def test_a_flood_is_one_incident_and_permits_are_answered_meanwhile(opened: House) -> None:
    body = {
        "kind": "alert",
        "summary": "queue is full",
        "workflow": WORKFLOW,
        "key": "queue",
        "severity": "sev2",
    }
    run = opened.post(
        "/v1/runs", who=AGENT, run="run-f", workflow=WORKFLOW, trigger="manual", trigger_id="f"
    )["run"]

    def send(number: int) -> str:
        answer = opened.as_(REPORTER).post("/v1/signals", json=body | {"delivery": str(number)})
        return str(answer.json()["reception"])

    with ThreadPoolExecutor(8) as senders:
        sent = senders.map(send, range(400))
        for number in range(10):
            asked = {"call": f"call-f{number}", "run": run, "tool": "crm.read_account"}
            permit = opened.post("/v1/permits", who=AGENT, **asked, args={"account_id": str(number)})
            assert permit["verdict"] == "allow"
        received = list(sent)
    assert received.count("raised") == 10
    assert received.count("counted") == 390
    [incident] = opened.get("/v1/incidents")
    kept = opened.get("/v1/signals", incident=incident["id"])
    assert sum(each["repeats"] for each in kept) + len(kept) == 400
