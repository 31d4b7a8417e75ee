"""Contract of the pages of what came in: a person reports with one sentence, by a link that knows the workflow, without script; every
signal says what became of it; what nobody could place is seen and assigned."""

from __future__ import annotations

import msgspec
import pytest

from stopwork.ledger.records import Incident, Signal
from stopwork.ledger.words import Severity, SignalKind
from stopwork.operations import reporting
from stopwork.operations.reporting import Report
from stopwork.server.pages.builders.reports import answers_of
from stopwork.server.pages.stories.reports import SILENT
from tests.support.office import KIM, LEE, WORKFLOW
from tests.unit.server.browser import Browser, said
from tests.unit.server.house import House


@pytest.fixture
def kim(opened: House) -> Browser:
    return Browser.signed_in(opened, KIM)


def signals(opened: House) -> list[Signal]:
    return opened.office.read(lambda view: list(view.each(Signal, order="id")))


def test_one_sentence_is_enough(opened: House, kim: Browser) -> None:
    form = kim.page("/report").select_one('form[action="/report"]')
    assert form is not None
    assert [each["name"] for each in form.select("[required]")] == ["text"]
    kim.send("/report", text="Globex got it twice.")
    [signal] = signals(opened)
    assert (signal.workflow, signal.summary, signal.facts["by"]) == ("", "Globex got it twice.", KIM.id)
    assert kim.send("/report", text=" ").status_code == 303
    assert len(signals(opened)) == 1


def test_a_link_knows_the_workflow_and_its_time_zone(opened: House, kim: Browser) -> None:
    page = kim.page(f"/report?workflow={WORKFLOW}")
    assert [each["value"] for each in page.select("select[name=workflow] option[selected]")] == [WORKFLOW]
    assert [each.get_text() for each in page.select("select[name=zone] option[selected]")] == [
        "America/New_York"
    ]
    sent = kim.send(
        "/report",
        text="Globex got it twice.\nBoth are open.",
        workflow=WORKFLOW,
        where="the CRM",
        when="2026-03-02T07:30",
        zone="America/New_York",
        by="Jo, at Globex",
        noticed_by="customer",
        type="duplicate_work",
    )
    [signal] = signals(opened)
    assert signal.occurred_at.isoformat() == "2026-03-02T12:30:00+00:00"
    told = {"where": "the CRM", "when": "2026-03-02T07:30 America/New_York", "by": "Jo, at Globex"}
    assert told.items() <= signal.facts.items()
    [incident] = opened.office.read(lambda view: list(view.each(Incident)))
    assert (incident.type, incident.detected_by) == ("duplicate_work", "customer")
    assert incident.id in said(sent)
    assert sent.headers["location"] == f"/incidents/{incident.id}"


@pytest.mark.parametrize(
    ("when", "zone"), [("yesterday", "UTC"), ("2026-03-02T07:30", "Atlantis"), ("2026-03-02T07:30", "../etc")]
)
def test_a_time_that_cannot_be_read_loses_no_report(
    opened: House, kim: Browser, when: str, zone: str
) -> None:
    kim.send(
        "/report", text="It broke.", when=when, zone=zone, workflow="none such", type="odd", noticed_by="odd"
    )
    [signal] = signals(opened)
    assert signal.facts["when"] == f"{when} {zone}"
    assert signal.facts["said_workflow"] == "none such"


def test_every_signal_says_what_became_of_it_and_what_nobody_could_place_is_assigned(
    opened: House, kim: Browser
) -> None:
    every = [
        Report(
            source="mail",
            kind=SignalKind.USER_REPORT,
            summary="Wrong renewal <b>",
            facts={"by": "jo@customer.test"},
        ),
        *[
            Report(
                source="tool",
                kind=SignalKind.ALERT,
                summary="Flood",
                workflow=WORKFLOW,
                severity=Severity.SEV2,
            )
            for _ in range(15)
        ],
    ]
    opened.office.write(lambda tx: reporting.report_all(tx, opened.office.inst.manifests, every), actor=LEE)
    page = kim.page("/signals")
    text = page.get_text(" ", strip=True)
    assert "1 signal about no known workflow" in text
    assert "and 5 more" in text
    assert "Wrong renewal <b>" in text
    assert "1 report about no known workflow" in kim.page("/").get_text(" ", strip=True)
    [unplaced] = kim.page("/signals?state=unplaced").select("li.row")
    form = unplaced.select_one("form")
    assert form is not None
    kim.send(str(form["action"]), workflow=WORKFLOW)
    assert all(each.workflow for each in signals(opened))
    assert "no known workflow" not in kim.page("/signals").get_text()
    assert kim.page(f"/signals?workflow={WORKFLOW}").select("li.row")
    assert kim.page("/incidents").select('a[href="/report"]')


def test_an_id_of_a_signal_leads_to_where_it_is_told(opened: House, kim: Browser) -> None:
    kim.send("/report", text="It broke.")
    [signal] = signals(opened)
    led = kim.http.get(f"/records/{signal.id}")
    assert led.headers["location"] == f"/signals#{signal.id}"


def test_signals_are_narrowed_by_kind_by_what_became_of_them_and_by_words(
    opened: House, kim: Browser
) -> None:
    every = [
        Report(source="mail", kind=SignalKind.USER_REPORT, summary="Wrong renewal at Globex"),
        Report(source="tool", kind=SignalKind.COST, summary="Globex costs too much", workflow=WORKFLOW),
    ]
    opened.office.write(lambda tx: reporting.report_all(tx, opened.office.inst.manifests, every), actor=LEE)

    def rows(query: str) -> list[str]:
        page = kim.page(f"/signals?{query}")
        assert page.select_one("input[type=search][name=text]") is not None
        return [each.get_text() for each in page.select("li.row strong")]

    assert rows("text=globex+wrong") == rows("state=unplaced") == rows("kind=user_report")
    assert rows("text=GLOBEX&kind=cost") == ["Globex costs too much"]
    assert len(rows("text=globex")) == len(rows("kind=&state=&text=")) == 2
    assert rows("text=initech") == rows("kind=nonsense") == []
    assert "Nothing was noticed" not in kim.page("/signals?text=initech").get_text()
    page = kim.page("/signals?text=globex&kind=cost")
    assert page.select("option[value=cost][selected]")
    assert page.select("input[name=text][value=globex]")


def test_what_is_not_known_of_a_duty_is_no_answer() -> None:
    silent = msgspec.structs.replace(
        SILENT, facts={"rule": "background duties", "threshold": 30, "value": None}
    )
    assert answers_of(silent) == (("Rule", "background duties"), ("Threshold", "30"))


def test_a_value_is_shown_with_its_unit() -> None:
    facts = {"rule": "start_within", "threshold": 600, "value": 601, "unit": "seconds since the run was due"}
    late = msgspec.structs.replace(SILENT, facts=facts)
    assert answers_of(late)[1:] == (
        ("Threshold", "600"),
        ("Value", "601"),
        ("Unit", "seconds since the run was due"),
    )


def test_what_a_signal_answers_stands_in_the_list(opened: House, kim: Browser) -> None:
    kim.send("/report", text="Globex got it twice.", where="the CRM", by="Jo")
    [row] = kim.page("/signals").select("li.row")
    assert "Where: the CRM · When: not said · By: Jo" in row.get_text(" ", strip=True)
