"""Contract of webhooks: a mapping makes reports of what a tool sends, and loses nothing where it does not fit; a file that is wrong is
refused with the field; a message that is not signed, or not lately, is refused."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from ruamel.yaml import YAML

from stopwork.kernel.errors import Invalid, Unauthenticated
from stopwork.ledger.records import Principal
from stopwork.ledger.words import IncidentType, PrincipalKind, Severity, SignalKind
from stopwork.operations.alertmanager import Alerts, reports_of
from stopwork.operations.intake_file import ways_of
from stopwork.operations.reporting import report_all
from stopwork.operations.signatures import signature, verified
from stopwork.operations.webhooks import MAX_ITEMS, Webhook, WebhookSettings, described
from tests.repository.tree import ROOT
from tests.support.office import WORKFLOW, Office

REPORTER = Principal(kind=PrincipalKind.REPORTER, id="desk")
NOW = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
DESK: dict[str, Any] = {
    "each": "body.tickets",
    "when": 'item.priority != "low"',
    "workflow": "item.agent",
    "kind": "user_report",
    "type": 'item.topic == "mail" ? "external_send" : "bad_writeback"',
    "summary": "item.title",
    "key": "item.topic",
    "severity": "sev2",
    "occurred_at": "item.at",
    "delivery": 'item.id + "/" + string(item.version)',
    "facts": {"seen": "item.title", "by": "item.requester"},
}
TICKET: dict[str, Any] = {
    "id": "T-1",
    "version": 3,
    "priority": "high",
    "agent": "renewals",
    "topic": "mail",
    "title": "Wrong mail to Globex",
    "at": "2026-03-02T08:00:00-05:00",
    "requester": "jo@customer.test",
}


def webhook(**settings: Any) -> Webhook:
    return ways_of({"webhooks": {"desk": DESK | settings}}, env={}).webhooks["desk"]


def test_each_item_that_is_wanted_is_a_report() -> None:
    mapped = webhook().reports({"tickets": [TICKET, TICKET | {"priority": "low"}]})
    [report] = mapped.reports
    assert mapped.unwanted == 1
    assert (report.kind, report.type, report.severity) == (
        SignalKind.USER_REPORT,
        IncidentType.EXTERNAL_SEND,
        Severity.SEV2,
    )
    assert (report.workflow, report.summary, report.key) == ("renewals", "Wrong mail to Globex", "mail")
    assert (report.occurred_at, report.delivery) == (NOW, "T-1/3")
    assert report.facts == {"seen": "Wrong mail to Globex", "by": "jo@customer.test"}


@pytest.mark.parametrize(
    "body", [None, [], 17, "text", {"tickets": 3}, {"ticket": []}, {"tickets": [{"title": "It broke"}]}]
)
def test_what_does_not_fit_is_reported_with_what_was_wrong(body: Any) -> None:
    [report] = webhook().reports(body).reports
    assert report.facts["mapping_failed"]
    assert report.facts["sent"]
    assert report.summary


@pytest.mark.parametrize("said", [{"name": "High"}, ["sev1"], 1, True, "9999-12-31T23:59:59-12:00"])
def test_a_value_of_another_form_than_a_word_loses_no_report(said: Any) -> None:
    settings = WebhookSettings(
        summary="item.title",
        kind="item.said",
        type="item.said",
        severity="item.said",
        occurred_at="item.said",
    )
    [report] = Webhook("desk", settings).reports({"title": "It broke", "said": said}).reports
    assert (report.summary, report.severity) == ("It broke", None)
    assert "severity" in report.facts["mapping_failed"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"at": "soon"}, "occurred_at"), ({"topic": 3}, "key"), ({"at": 10**30}, "occurred_at")],
)
def test_one_value_that_does_not_fit_loses_no_other(changed: dict[str, Any], said: str) -> None:
    [report] = webhook().reports({"tickets": [TICKET | changed]}).reports
    assert report.summary == "Wrong mail to Globex"
    if said == "occurred_at":
        assert said in report.facts["mapping_failed"]


def test_more_items_than_are_looked_at_are_said() -> None:
    mapped = webhook().reports({"tickets": [TICKET] * (MAX_ITEMS + 5)}, delivery="m-1")
    assert len(mapped.reports) == MAX_ITEMS + 1
    assert str(MAX_ITEMS + 5) in mapped.reports[-1].summary


def test_a_message_without_a_name_of_its_own_has_the_senders() -> None:
    mapped = webhook(delivery="").reports({"tickets": [TICKET, TICKET]}, delivery="m-1")
    assert [each.delivery for each in mapped.reports] == ["m-1/0", "m-1/1"]


def test_what_would_come_in_can_be_shown() -> None:
    [shown] = described(webhook().reports({"tickets": [TICKET]}))
    assert shown["occurred_at"] == "2026-03-02T08:00:00-05:00"
    assert "run" not in shown


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"webhooks": {"desk": {}}}, "webhooks.desk.summary"),
        ({"webhooks": {"desk": DESK | {"sumary": "x"}}}, "webhooks.desk.sumary"),
        ({"webhooks": {"desk": DESK | {"summary": "item.title +"}}}, "webhooks.desk.summary"),
        ({"webhooks": {"desk": DESK | {"summary": "args.title"}}}, "webhooks.desk.summary"),
        ({"webhooks": {"desk": DESK | {"kind": "rumour"}}}, "webhooks.desk.kind"),
        ({"webhooks": {"desk": DESK | {"type": "sabotage"}}}, "webhooks.desk.type"),
        ({"webhooks": {"desk": DESK | {"when": '"yes"'}}}, "webhooks.desk.when"),
        ({"webhooks": {"alertmanager": DESK}}, "webhooks.alertmanager"),
        ({"webhooks": {"Big Desk": DESK}}, "webhooks.Big Desk"),
        ({"webhooks": {"desk": DESK | {"secret": SECRET}}}, "webhooks.desk.secret"),
        ({"webhooks": {"desk": DESK | {"secret": "env:NOWHERE"}}}, "webhooks.desk.secret"),
        ({"webhooks": {"desk": DESK | {"secret": "env:SHORT"}}}, "webhooks.desk.secret"),
        ({"webhooks": {"desk": DESK | {"secret": "file:/nowhere"}}}, "webhooks.desk.secret"),
        ({"hooks": {}}, "hooks"),
        ({"webhooks": {"desk": DESK | {"facts": {"a": 5}}}}, "webhooks.desk.facts.a"),
        ({"agents": {"gardener": None}}, "agents.gardener"),
        (["webhooks"], ""),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_field(given: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        ways_of(given, env={"SHORT": "whsec_abcd"})
    assert refused.value.fields["field"] == field
    assert SECRET not in refused.value.detail
    assert refused.value.hint


def test_a_secret_is_found_where_the_file_says() -> None:
    ways = ways_of({"webhooks": {"desk": DESK | {"secret": "env:DESK"}}}, env={"DESK": SECRET})
    assert ways.webhooks["desk"].key == b"k" * 32
    assert (
        ways_of({"webhooks": {"desk": DESK | {"secret": "env:DESK"}}}, env=None).webhooks["desk"].key is None
    )


KEY = b"k" * 32
BODY = b'{"a": 1}'
AT = str(int(NOW.timestamp()))


def signed(**changes: str) -> dict[str, str]:
    good = {
        "webhook-id": "msg_1",
        "webhook-timestamp": AT,
        "webhook-signature": signature(KEY, "msg_1", AT, BODY),
    }
    return good | {name.replace("_", "-"): value for name, value in changes.items()}


def test_the_example_of_the_specification_verifies() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    given = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert given == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "headers",
    [signed(), signed(webhook_signature="v1a,xyz " + signed()["webhook-signature"])],
    ids=["one", "several"],
)
def test_a_message_that_is_signed_lately_is_taken_by_its_id(headers: dict[str, str]) -> None:
    assert verified(KEY, headers, BODY, now=NOW + timedelta(minutes=4)) == "msg_1"


@pytest.mark.parametrize(
    ("headers", "body", "now"),
    [
        ({}, BODY, NOW),
        (signed(webhook_id="msg_2"), BODY, NOW),
        (signed(webhook_id=""), BODY, NOW),
        (signed(webhook_timestamp="1"), BODY, NOW),
        (signed(webhook_timestamp="-5"), BODY, NOW),
        (signed(webhook_timestamp="9" * 40), BODY, NOW),
        (signed(webhook_timestamp="²"), BODY, NOW),
        (signed(webhook_signature="v1,é"), BODY, NOW),
        (signed(webhook_signature=""), BODY, NOW),
        (signed(), b'{"a": 2}', NOW),
        (signed(), BODY, NOW + timedelta(minutes=6)),
        (signed(), BODY, NOW - timedelta(minutes=6)),
    ],
)
def test_any_other_is_refused(headers: dict[str, str], body: bytes, now: datetime) -> None:
    with pytest.raises(Unauthenticated):
        verified(KEY, headers, body, now=now)
    with pytest.raises(Unauthenticated):
        verified(b"another key of that length", signed(), BODY, now=NOW)


ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "TaskFlood", "workflow": "renewals", "severity": "critical"},
    "annotations": {"summary": "400 tasks in a minute", "threshold": "50", "value": "400"},
    "startsAt": "2026-03-02T12:59:00Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "https://prometheus.test/graph",
    "fingerprint": "b0c2",
}


def alerts(*every: dict[str, Any], **more: Any) -> Any:
    return reports_of(
        msgspec.convert({"version": "4", "alerts": list(every), "receiver": "x"} | more, Alerts)
    )


def test_an_alert_says_its_rule_its_threshold_and_its_value() -> None:
    [report] = alerts(ALERT)
    assert (report.kind, report.severity, report.workflow) == (SignalKind.ALERT, Severity.SEV1, "renewals")
    assert (report.key, report.summary, report.alarming) == ("TaskFlood", "400 tasks in a minute", True)
    assert report.facts | {"rule": "TaskFlood", "threshold": "50", "value": "400"} == report.facts
    assert report.delivery == alerts(ALERT)[0].delivery


def test_an_alert_that_is_over_is_another_delivery_and_alarms_nobody() -> None:
    [over] = alerts(ALERT | {"status": "resolved", "endsAt": "2026-03-02T13:30:00Z"})
    assert not over.alarming
    assert over.summary == "over: 400 tasks in a minute"
    assert over.delivery != alerts(ALERT)[0].delivery


def test_labels_say_what_it_is_and_odd_ones_do_no_harm() -> None:
    labels = {"signal_kind": "cost", "incident_type": "cost_runaway", "severity": "sev0"}
    [report] = alerts({"status": "firing", "labels": labels})
    assert (report.kind, report.type, report.severity) == (
        SignalKind.COST,
        IncidentType.COST_RUNAWAY,
        Severity.SEV0,
    )
    [odd] = alerts({"status": "firing", "labels": {"signal_kind": "x", "severity": "x"}})
    assert (odd.kind, odd.type, odd.severity) == (SignalKind.ALERT, None, None)


@pytest.mark.parametrize(
    "odd",
    [
        {"startsAt": "0001-01-01T00:00:00Z"},
        {"startsAt": "2026-03-02T12:59:00"},
        {"status": "resolved", "endsAt": "0001-01-01T00:00:00Z", "startsAt": "9999-12-31T23:59:59Z"},
        {"annotations": {"summary": " \n", "description": ""}},
        {"annotations": {}, "labels": {"alertname": " ", "workflow": WORKFLOW}},
    ],
    ids=["no time", "no zone", "no end", "blank", "nameless"],
)
def test_an_odd_alert_keeps_no_other_of_its_delivery_from_being_taken(
    office: Office, odd: dict[str, Any]
) -> None:
    every = alerts(ALERT, ALERT | {"fingerprint": "odd"} | odd, ALERT | {"fingerprint": "c"})
    taken = office.write(lambda tx: report_all(tx, office.inst.manifests, every), actor=REPORTER)
    assert len({each.signal for each in taken}) == 3


def test_a_blank_summary_of_a_webhook_keeps_no_other_item_from_being_taken(office: Office) -> None:
    tickets = [TICKET | {"title": title, "id": title} for title in ("one", " \n ", "three")]
    mapped = webhook().reports({"tickets": tickets})
    taken = office.write(lambda tx: report_all(tx, office.inst.manifests, mapped.reports), actor=REPORTER)
    assert len(taken) == 3
    assert "cannot read" in mapped.reports[1].summary


def test_what_alertmanager_left_out_is_said() -> None:
    said = alerts(ALERT, truncatedAlerts=7, externalURL="https://alerts.acme.test")[-1]
    assert "7 more" in said.summary
    assert said.facts["where"] == "https://alerts.acme.test"


def test_the_file_of_the_how_to_is_a_good_one() -> None:
    page = (ROOT / "docs/how-to/report.md").read_text("utf-8")
    [text] = [each for each in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "webhooks:" in each]
    ways = ways_of(YAML(typ="safe").load(text), env={"DESK_WEBHOOK_SECRET": SECRET})
    ticket = {
        "id": "T-1",
        "version": 2,
        "subject": "Wrong mail",
        "topic": "mail",
        "tags": ["agent"],
        "fields": {"workflow": "renewals"},
        "created_at": 1_772_456_400,
        "description": "It went to Globex.",
        "requester": "jo@customer.test",
    }
    [report] = ways.webhooks["desk"].reports({"tickets": [ticket, ticket | {"tags": []}]}).reports
    assert "mapping_failed" not in report.facts
    assert (report.type, report.delivery, report.occurred_at) == (IncidentType.EXTERNAL_SEND, "T-1/2", NOW)
