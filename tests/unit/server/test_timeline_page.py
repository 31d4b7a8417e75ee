"""Contract of the timeline's page: what stands in the address is what is shown, in the zone that it names; pins, corrections, notes and files
work by forms alone; files are saved and never shown, and what is too large is refused with the bound.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import pytest

from stopwork.ledger.events import EvidenceViewed
from stopwork.ledger.peoples_words import MAX_TEXT_CHARS
from stopwork.ledger.records import Note, Scope
from stopwork.ledger.words import HoldMode, ScopeKind, Severity
from stopwork.operations import holds
from stopwork.operations.attaching import MAX_UPLOAD_BYTES
from stopwork.operations.incidents import open_by_hand
from tests.support.office import DANA, KIM, LEE, WORKFLOW
from tests.support.triaging import new_incident
from tests.unit.server.browser import Browser, said
from tests.unit.server.house import House

HOSTILE = b"<html><script>alert(1)</script>"


class Case(NamedTuple):
    """An incident that was opened by hand, with a hold, so that no detector comes between."""

    incident: str


@pytest.fixture
def trouble(opened: House) -> Case:
    office = opened.office
    found = office.write(
        partial(open_by_hand, manifests=office.inst.manifests, workflow=WORKFLOW, severity=Severity.SEV2),
        actor=KIM,
    )
    scope = Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW)
    office.write(
        partial(holds.pause, scope=scope, mode=HoldMode.BLOCK, reason="to look", incident=found.id), actor=KIM
    )
    return Case(found.id)


def path(trouble: Case, **query: str) -> str:
    return f"/incidents/{trouble.incident}/timeline" + (
        "?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else ""
    )


def shown(browser: Browser, address: str) -> list[str]:
    return [each.get_text(" ", strip=True) for each in browser.page(address).select("[data-entry]")]


def test_every_entry_stands_there_with_both_times(opened: House, trouble: Case) -> None:
    lee = Browser.signed_in(opened, LEE)
    before = "2026-03-01T08:14:00"
    lee.send(path(trouble) + "/note", text="It began here.", occurred_at=before, zone="America/New_York")
    [note] = shown(lee, path(trouble, kind="incident.note_added", zone="America/New_York"))
    assert "2026-03-01 08:14:00 EST recorded 2026-03-02 08:00:00 EST It began here." in note
    rows = shown(lee, path(trouble, order="occurred"))
    assert "It began here." in rows[0]
    assert len(rows) == len(shown(lee, path(trouble)))


@pytest.mark.parametrize(
    ("query", "holds", "lacks"),
    [
        ({"person": "dana@acme.test"}, "seen by dana", "seen by lee"),
        ({"kind": "hold"}, "Held:", "seen by"),
        ({"phase": "pause"}, "Held:", "Incident opened"),
        ({"text": "LEE"}, "seen by lee", "seen by dana"),
        ({"text": "nothing says this"}, "", "seen by"),
        ({"phase": "no such phase"}, "Held:", "%%"),
    ],
)
def test_the_address_says_what_is_shown(
    opened: House, trouble: Case, query: dict[str, str], holds: str, lacks: str
) -> None:
    for who, name in ((LEE, "lee"), (DANA, "dana")):
        Browser.signed_in(opened, who).send(path(trouble) + "/note", text=f"seen by {name}")
    text = " ".join(shown(Browser.signed_in(opened, KIM), path(trouble, **query)))
    assert holds in text
    assert lacks not in text


def test_an_entry_is_pinned_corrected_and_unpinned_by_forms_that_lead_back(
    opened: House, trouble: Case
) -> None:
    lee = Browser.signed_in(opened, LEE)
    lee.send(path(trouble) + "/note", text="Two were called.")
    here = path(trouble, kind="incident.note_added")
    [row] = lee.page(here).select("[data-entry]")
    entry = str(row["id"]).removeprefix("entry-")
    hidden = row.select("form")[0].select("input[type=hidden]")
    fields = {str(each["name"]): str(each["value"]) for each in hidden if each["name"] != "csrf"}
    answer = lee.send(path(trouble) + "/pin", **fields)
    assert answer.headers["location"] == f"{here}#entry-{entry}"
    lee.send(path(trouble) + "/correct", entry=entry, text="Three were called.", reason="counted again")
    [text] = shown(lee, path(trouble, pinned="only"))
    for each in ("Three were called.", "At first: Two were called.", "counted again", f"pinned by {LEE.id}"):
        assert each in text
    lee.send(path(trouble) + "/unpin", entry=entry)
    assert shown(lee, path(trouble, pinned="only")) == []


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+00:00", "0002-01-01T00:00:00+14:00", "9999-12-31T23:59:59+00:00"]
)
def test_a_time_at_the_end_of_the_calendar_takes_the_page_from_nobody(
    opened: House, trouble: Case, moment: str, zone: str
) -> None:
    lee = Browser.signed_in(opened, LEE)
    lee.send(path(trouble) + "/note", text="Long ago.", occurred_at=moment)
    assert lee.http.get(path(trouble, zone=zone)).status_code == 200
    assert lee.http.get(path(trouble) + f"/export?form=csv&zone={zone}").status_code == 200


@pytest.mark.parametrize("entry", ["0", "-1", "x", "9" * 40, "99999999"])
def test_what_is_no_entry_changes_nothing(opened: House, trouble: Case, entry: str) -> None:
    lee, before = Browser.signed_in(opened, LEE), opened.entries_of_others()
    assert lee.send(path(trouble) + "/pin", entry=entry).status_code == 303
    assert opened.entries_of_others() == before


def attach(browser: Browser, trouble: Case, name: str, content: bytes) -> int:
    answer = browser.http.post(
        f"/incidents/{trouble.incident}/attachments",
        data={"csrf": browser.csrf, "why": "what they saw"},
        files={"file": (name, content, "text/html")},
    )
    return answer.status_code


def test_a_file_is_saved_and_never_shown(opened: House, trouble: Case) -> None:
    lee = Browser.signed_in(opened, LEE)
    assert attach(lee, trouble, "../../etc/page\u202e.html", HOSTILE) == 303
    assert attach(lee, trouble, "C:\\logs\\page.html", HOSTILE) == 303
    [row] = lee.page(path(trouble, kind="evidence.added")).select("[data-entry]")
    assert "text/plain" in row.get_text()
    link = row.select_one("a[download]")
    assert link is not None
    assert link.get_text() == "page.html"
    taken = lee.http.get(str(link["href"]))
    assert taken.content == HOSTILE
    assert taken.headers["content-type"] == "application/octet-stream"
    assert taken.headers["content-disposition"].startswith("attachment;")
    assert taken.headers["x-content-type-options"] == "nosniff"
    entries = opened.office.read(lambda v: v.entries(kinds=("evidence.viewed",), incident=trouble.incident))
    assert [e.event.what for e in entries if isinstance(e.event, EvidenceViewed)][-1].startswith("page.html")


def test_a_note_is_as_long_in_the_console_as_anywhere(opened: House, trouble: Case) -> None:
    kim = Browser.signed_in(opened, KIM)
    # A browser sends the end of each line as two characters.
    kim.send(path(trouble) + "/note", text="x\r\n" * (MAX_TEXT_CHARS // 2 - 1) + "xx")
    noted = opened.office.read(lambda view: view.find(Note, incident=trouble.incident, limit=9))
    assert [len(note.text) for note in noted] == [MAX_TEXT_CHARS]
    assert len(kim.page(path(trouble)).select(f"textarea[name=text][maxlength='{MAX_TEXT_CHARS}']")) == 2
    refused = kim.send(path(trouble) + "/note", text="x" * (MAX_TEXT_CHARS + 1))
    assert "20,001 characters" in said(refused)
    assert opened.office.read(lambda view: view.count(Note, incident=trouble.incident)) == 1


def test_what_is_too_large_is_refused_with_the_bound(opened: House, trouble: Case) -> None:
    answer = opened.as_(LEE).post(
        f"/v1/incidents/{trouble.incident}/attachments",
        params={"name": "disk.img"},
        content=bytes(MAX_UPLOAD_BYTES + 1),
        headers={"content-type": "application/octet-stream"},
    )
    assert answer.status_code == 413
    assert str(MAX_UPLOAD_BYTES) in answer.json()["detail"]


@pytest.mark.parametrize("form", ["jsonl", "md", "csv"])
def test_all_of_it_can_be_taken_out_and_that_is_recorded(opened: House, trouble: Case, form: str) -> None:
    lee = Browser.signed_in(opened, LEE)
    lee.send(path(trouble) + "/note", text='=HYPERLINK("http://x") | <b>')
    answer = lee.http.get(path(trouble) + f"/export?form={form}&zone=Asia/Tokyo")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment;")
    if form == "csv":
        assert "'=HYPERLINK" in answer.text
    if form == "md":
        assert "\\<b\\>" in answer.text
        assert "JST" in answer.text
    entries = opened.office.read(lambda v: v.entries(kinds=("evidence.viewed",), incident=trouble.incident))
    assert all(isinstance(e.event, EvidenceViewed) and e.event.exported for e in entries)
    assert len(entries) == 1


def test_a_strange_form_or_zone_is_said(opened: House, trouble: Case) -> None:
    lee = Browser.signed_in(opened, LEE)
    assert lee.http.get(path(trouble) + "/export?form=docx").status_code == 422
    assert lee.http.get(path(trouble, zone="../../etc/passwd")).status_code == 422


def test_it_is_taken_with_one_click_and_says_by_whom(opened: House) -> None:
    office = opened.office
    raised = new_incident(office, severity=Severity.SEV2)
    office.wait(seconds=1)
    lee, at = Browser.signed_in(opened, LEE), f"/incidents/{raised}"
    assert "Nobody has taken it yet" in lee.page(at).get_text(" ", strip=True)
    assert lee.page(at).select_one("button[data-take]") is not None
    office.wait(hours=4)
    assert "Nobody has taken it, due" in lee.page("/").get_text(" ", strip=True)
    lee.send(f"{at}/acknowledge")
    text = lee.page(at).get_text(" ", strip=True)
    assert f"Taken by {LEE.id}" in text
    assert "Nobody has taken it" not in text
