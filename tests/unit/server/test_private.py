"""Contract of private incidents: whoever is not named finds none, wherever they look: every address that answers something, every page, the
journal, the live stream, what others say of it; and nothing can be done with it. Those who are named, and administrators, see it all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
import pytest

from stopwork.control.holds import describe
from stopwork.kernel.errors import Conflict
from stopwork.ledger import records as r
from stopwork.ledger.events import name_of
from stopwork.ledger.words import ScopeKind, Severity
from stopwork.operations import holds, incidents, legal_hold, postmortems, privacy
from stopwork.server.api.endpoint import Endpoint, Fetch
from stopwork.server.pages.forms import FORMS
from stopwork.server.pages.routes import _PAGES as PAGES
from stopwork.storage.discreet import UNSAID
from stopwork.storage.tables import TABLES
from tests.support.office import DANA, KIM, LEE, WORKFLOW
from tests.support.trouble import Trouble
from tests.unit.server.browser import Browser
from tests.unit.server.described import endpoints
from tests.unit.server.house import ADMIN, STRANGER, House, house

SECRET = "the director was called by name"
PATH = re.compile(r"{(\w+)(?::\w+)?}")


class Kept:
    """A private incident with one of everything, and what its parts are called."""

    def __init__(self, opened: House, trouble: Trouble) -> None:
        self.opened = opened
        self.trouble = trouble
        self.id = trouble.incident
        write = opened.office.write
        write(partial(incidents.add_note, incident=self.id, text=SECRET), actor=LEE)
        write(partial(incidents.record_root_cause, incident=self.id, text=SECRET), actor=LEE)
        write(
            partial(
                holds.pause,
                scope=r.Scope(kind=ScopeKind.TOOL, name="mail.send", workflow=WORKFLOW),
                reason=SECRET,
                incident=self.id,
            ),
            actor=LEE,
        )
        opened.office.do(opened.office.begin("stopped"), "mail.send", to="jo@acme.test")
        write(partial(legal_hold.lift, incident=self.id, reason="anew"), actor=ADMIN)
        write(partial(legal_hold.hold, incident=self.id, reason=SECRET), actor=LEE)
        self.trouble.checklist()
        self.trouble.seal()
        self.trouble.audit()
        self.plan = self.trouble.propose()
        self.messages = self.trouble.draft()
        write(
            partial(postmortems.save, incident=self.id, fields={"summary": SECRET}, follow_ups=()), actor=LEE
        )
        self.other = write(
            partial(incidents.open_by_hand, manifests=opened.office.inst.manifests, workflow="invoices"),
            actor=LEE,
        ).id
        write(partial(incidents.add_note, incident=self.other, text=f"Compare {self.id}."), actor=LEE)
        write(partial(privacy.restrict, incident=self.id, readers=[DANA.id], reason=SECRET), actor=LEE)

    def each(self, kind: type[r.Record], **conditions: Any) -> list[Any]:
        return self.opened.office.read(lambda view: list(view.each(kind, **conditions)))

    def values(self, parameter: str) -> list[str]:
        """Answer what an address may be asked about, private things first."""
        of = {"incident": self.id}
        found = {
            "incident": [self.id, self.other],
            "into": [self.id],
            "plan": [self.plan.id],
            "item": [each.id for each in (*self.each(r.Item, **of), *self.each(r.ContainmentItem, **of))],
            "message": [each.id for each in self.messages],
            "signal": [each.id for each in self.each(r.Signal, **of)],
            "run": [each.id for each in self.each(r.Run)],
            "before": [each.id for each in self.each(r.Run)],
            "call": [each.id for each in self.each(r.Call)],
            "hold": [each.id for each in self.each(r.Hold)],
            "workflow": [WORKFLOW],
            "record": [each.id for each in (*self.each(r.Signal, **of), *self.each(r.Bundle, **of))],
        }
        return [each for each in found.get(parameter, ["1"]) if each]

    def paths(self, path: str) -> list[str]:
        """Answer an address for each thing that it can be about."""
        made = [path]
        for parameter in PATH.findall(path):
            made = [
                re.sub(rf"{{{parameter}(:\w+)?}}", value, each)
                for each in made
                for value in self.values(parameter)[:6]
            ]
        return made

    def done_by_a_stranger(self) -> list[str]:
        """Answer what is on record in their name, but for signing in and what they do elsewhere."""
        entries = self.opened.office.read(lambda view: view.entries(limit=10_000))
        theirs = [each.event for each in entries if each.actor == STRANGER]
        names = [name_of(each) for each in theirs if getattr(each, "incident", None) != self.other]
        return [name for name in names if not name.startswith("credential.")]

    def betrayed_by(self, text: str) -> list[str]:
        title = self.each(r.Incident, id=self.id)[0].title
        return [each for each in (self.id, SECRET, title) if each in text]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    troubles: list[Trouble] = []
    with house(
        tmp_path_factory.mktemp("house"), first=lambda office: troubles.append(Trouble(office))
    ) as opened:
        yield Kept(opened, troubles[0])


@pytest.fixture(scope="module")
def rows(kept: Kept) -> tuple[Endpoint, ...]:
    return endpoints(kept.opened.office.crew)


def test_no_address_tells_a_stranger_of_it(kept: Kept, rows: tuple[Endpoint, ...]) -> None:
    stranger = kept.opened.as_(STRANGER)
    asked = [path for row in rows if row.method == "GET" for path in kept.paths(row.path)]
    assert len(asked) > 40
    for path in asked:
        answer = stranger.get(path)
        unsaid = [each for each in kept.betrayed_by(answer.text) if each not in path]
        assert not unsaid, path
        if kept.id in path:
            assert answer.status_code == 404, path


@pytest.mark.parametrize("query", ["incident={}", "incident={}&limit=500", "workflow=renewals", "limit=1000"])
@pytest.mark.parametrize("path", ["journal", "signals", "incidents", "holds"])
def test_no_filter_tells_a_stranger_of_it(kept: Kept, path: str, query: str) -> None:
    answer = kept.opened.as_(STRANGER).get(f"/v1/{path}?{query.format(kept.id)}")
    unsaid = kept.betrayed_by(answer.text)
    assert answer.status_code >= 400 or not unsaid, unsaid


def test_no_page_tells_a_stranger_of_it(kept: Kept) -> None:
    stranger = Browser.signed_in(kept.opened, STRANGER)
    for pattern in (*PAGES, "/records/{record}", "/incidents/{incident}/evidence"):
        for path in kept.paths(pattern):
            if path == f"/incidents/{kept.other}/evidence":
                continue  # what is sealed is handed out as it was said
            answer = stranger.http.get(path)
            text = answer.text + answer.headers.get("location", "")
            shown = text.replace(f'value="{path}"', "").replace(path, "")
            assert not kept.betrayed_by(shown), path
            if kept.id in path:
                assert answer.status_code == 404, path
    for path in (
        f"/journal?incident={kept.id}",
        f"/incidents/new?run=x&workflow={WORKFLOW}",
        "/incidents?status=all",
    ):
        shown = stranger.http.get(path).text.replace(path, "").replace(path.replace("&", "&amp;"), "")
        assert not [each for each in kept.betrayed_by(shown) if each not in path], path


def test_nothing_can_be_done_with_it_by_a_stranger(kept: Kept, rows: tuple[Endpoint, ...]) -> None:
    stranger = kept.opened.as_(STRANGER)
    for row in rows:
        parts = set(PATH.findall(row.path)) & {"incident", "plan", "message"}
        if row.method == "GET" or not parts:
            continue
        for path in kept.paths(row.path):
            if kept.other in path:
                continue
            answer = stranger.request(row.method, path, json={"reason": "x"})
            assert answer.status_code in (404, 422), (path, answer.text)
            if isinstance(row.does, Fetch):
                assert answer.status_code == 404
    assert kept.done_by_a_stranger() == []


def test_no_form_reaches_it_from_outside(kept: Kept) -> None:
    stranger = Browser.signed_in(kept.opened, STRANGER)
    csrf = stranger.csrf
    for pattern in FORMS:
        if "{incident}" in pattern:
            stranger.send(pattern.replace("{incident}", kept.id), csrf=csrf, reason="x", text="x", note="x")
    stranger.send(
        "/pause", csrf=csrf, hold="workflow:block:renewals", workflow=WORKFLOW, incident=kept.id, reason="x"
    )
    assert kept.done_by_a_stranger() == []


def test_a_merge_into_it_is_as_into_none(kept: Kept) -> None:
    stranger = kept.opened.as_(STRANGER)
    hidden = stranger.post(f"/v1/incidents/{kept.other}/merge", json={"into": kept.id, "reason": "x"})
    none = stranger.post(
        f"/v1/incidents/{kept.other}/merge", json={"into": "AI-INC-2000-0101-001", "reason": "x"}
    )
    assert (hidden.status_code, none.status_code) == (404, 404)
    assert hidden.json()["title"] == none.json()["title"]
    assert hidden.json()["hint"] == none.json()["hint"]


def test_what_it_stops_is_seen_by_all_without_its_reason(kept: Kept) -> None:
    shown = [each for each in kept.opened.as_(STRANGER).get("/v1/holds").json() if "mail.send" in str(each)]
    assert [(each["reason"], each["incident"]) for each in shown] == [(UNSAID, None)]


@pytest.mark.parametrize("who", [LEE, DANA, ADMIN])
def test_whoever_is_named_sees_all_of_it_and_so_do_administrators(kept: Kept, who: r.Principal) -> None:
    person = kept.opened.as_(who)
    assert person.get(f"/v1/incidents/{kept.id}").json()["private"]
    assert SECRET in person.get("/v1/journal?limit=1000").text
    assert kept.id in Browser.signed_in(kept.opened, who).page("/incidents").text


@pytest.mark.parametrize("kind", TABLES, ids=[each.__name__ for each in TABLES])
def test_no_record_of_any_kind_tells_a_stranger_of_it(kept: Kept, kind: type[r.Record]) -> None:
    office = kept.opened.office
    told = office.read(lambda view: list(privacy.seen_by(view, STRANGER, office.clock.now()).each(kind)))
    assert not kept.betrayed_by(msgspec.json.encode(told).decode())
    assert not {UNSAID, None}.intersection(getattr(each, "id", "") for each in told)


def test_an_error_tells_a_stranger_neither_its_name_nor_why_something_is_held(kept: Kept) -> None:
    store = kept.opened.office.inst.store
    (hold,) = [each for each in kept.each(r.Hold, incident=kept.id) if each.reason == SECRET]
    error = Conflict(
        f"held for {kept.id}",
        hint=describe(hold),
        found=[kept.id, 3],
        named=[kept.id],
        tools=["mail.send", 3],
        epoch=3,
        expected=describe(hold),
    )
    shown = privacy.told(store, STRANGER, error)
    assert not kept.betrayed_by(f"{shown} {shown.hint} {shown.fields}")
    assert hold.id in shown.hint
    assert shown.fields.keys() == {"tools", "epoch", "expected"}
    assert (shown.fields["tools"], shown.fields["epoch"]) == (["mail.send", 3], 3)


def test_an_incident_whose_id_begins_like_that_of_a_private_one_keeps_its_name(kept: Kept) -> None:
    office = kept.opened.office
    office.write(
        partial(incidents.add_note, incident=kept.other, text=f"See {kept.id}0, not {kept.id}."), actor=LEE
    )
    notes = kept.opened.as_(STRANGER).get(f"/v1/incidents/{kept.other}/timeline").text
    assert f"See {kept.id}0, not {UNSAID}." in notes


def test_whoever_takes_a_role_sees_it(kept: Kept) -> None:
    assert kept.opened.as_(KIM).get(f"/v1/incidents/{kept.id}").status_code == 404
    kept.opened.office.write(
        partial(incidents.hand_over, incident=kept.id, role="communication_owner", to=KIM.id), actor=LEE
    )
    assert kept.opened.as_(KIM).get(f"/v1/incidents/{kept.id}").status_code == 200


def test_a_list_is_full_although_some_of_it_is_left_out(kept: Kept) -> None:
    visible = [
        kept.opened.office.write(
            partial(
                incidents.open_by_hand,
                manifests=kept.opened.office.inst.manifests,
                workflow="invoices",
                request=str(n),
                severity=Severity.SEV3,
            ),
            actor=LEE,
        ).id
        for n in range(5)
    ]
    stranger = kept.opened.as_(STRANGER)
    first = stranger.get("/v1/incidents?limit=4").json()
    second = stranger.get(f"/v1/incidents?limit=4&after={first[-1]['id']}").json()
    assert len(first) == 4
    assert {each["id"] for each in (*first, *second)} == {*visible, kept.other}
    lines = stranger.get("/v1/journal?limit=20").json()
    assert len(lines) == 20
