"""Contract: only the person who is signed in acts in the console, on purpose, and nothing recorded can act in their browser."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Final

import httpx
import pytest
from bs4 import BeautifulSoup

from stopwork.kernel.clock import ManualClock
from stopwork.server.app import create_app
from stopwork.server.auth import COOKIE
from stopwork.server.pages.forms import FORMS
from stopwork.server.pages.rendering import CONTENT_SECURITY_POLICY
from stopwork.server.pages.routes import FLASH, MAX_FORM_BYTES, console_routes
from tests.support.office import AGENT, DANA, LEE, MANIFEST, Office
from tests.unit.server.browser import Browser, said
from tests.unit.server.house import ADMIN, House, house, serving
from tests.unit.server.story import Story

PAGES: Final = ("/", "/pause", "/holds", "/approvals", "/incidents", "/incidents/new", "/journal")


@pytest.fixture(scope="module")
def lee(shared: House) -> Browser:
    return Browser.signed_in(shared, LEE)


# --- forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_the_token_of_this_session_does_nothing(
    shared: House, lee: Browser, path: str
) -> None:
    others = Browser.signed_in(shared, DANA).csrf
    before = shared.entries_of_others()
    filled = re.sub(r"{\w+}", "none", path)
    for token in ("", "0" * 64, others, lee.csrf[:-1], "\xe9"):
        answer = lee.send(filled, csrf=token, reason="x", text="x")
        assert answer.status_code == 303
        assert said(answer) == "this form is not from your session"
    assert shared.entries_of_others() == before


@pytest.mark.parametrize("path", FORMS)
def test_a_form_of_nobody_leads_to_the_sign_in(shared: House, path: str) -> None:
    for cookies in ({}, {COOKIE: "none"}, {COOKIE: shared.tokens[AGENT.id]}):
        nobody = shared.client()
        nobody.cookies.update(cookies)
        answer = nobody.post(re.sub(r"{\w+}", "none", path), data={"csrf": ""})
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


@pytest.mark.parametrize("path", [*PAGES, "/nothing", "/runs/none", "/incidents/none/evidence"])
def test_a_page_of_nobody_leads_to_the_sign_in(shared: House, path: str) -> None:
    for cookies in ({}, {COOKIE: "none"}, {COOKIE: shared.tokens[AGENT.id]}):
        nobody = shared.client()
        nobody.cookies.update(cookies)
        answer = nobody.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


def test_a_form_that_is_too_large_or_no_form_is_refused(lee: Browser) -> None:
    answer = lee.http.post("/incidents", content=b"text=" + b"x" * MAX_FORM_BYTES)
    assert answer.status_code == 303
    assert "over" in said(answer)
    assert said(lee.http.post("/incidents", content=b"\xff\xfe")) == "the form cannot be read"
    assert said(lee.http.post("/incidents", content=b"&".join([b"a=1"] * 6000))) == "the form cannot be read"


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        ("{own}/incidents/new?workflow=renewals", "/incidents/new?workflow=renewals"),
        ("https://{host}/holds", "/holds"),
        ("", "/"),
        ("https://elsewhere.test/", "/"),
        ("{own}//elsewhere.test/", "/"),
        ("{own}/\\elsewhere.test/", "/"),
        ("{own}/\t/elsewhere.test/", "/"),
        ("{own}.elsewhere.test/", "/"),
        ("{own}@elsewhere.test/", "/"),
        ("http://[", "/"),
        ("javascript:alert(1)", "/"),
        ("/\\elsewhere.test", "/"),
    ],
)
def test_a_form_leads_back_within_this_console_only(lee: Browser, referer: str, back: str) -> None:
    own = lee.house.url
    spelled = referer.format(own=own, host=own.removeprefix("http://"))
    answer = lee.send("/incidents", referer=spelled, text="")
    assert (answer.status_code, answer.headers["location"]) == (303, back)


@pytest.mark.parametrize(
    "tampered",
    [
        "none",
        "%%%",
        "é",
        base64.b64encode(b"\xff" * 20).decode(),
        base64.b64encode(b"[" * 2000).decode(),
        base64.b64encode(json.dumps({"kind": "shout", "text": "x", "hint": ""}).encode()).decode(),
        base64.b64encode(json.dumps({"kind": "done", "text": 1}).encode()).decode(),
        "A" * 3000,
    ],
)
def test_a_message_cookie_that_was_tampered_with_is_ignored(lee: Browser, tampered: str) -> None:
    header = f"{COOKIE}={lee.session}; {FLASH}={tampered}".encode()
    answer = httpx.get(f"{lee.house.url}/holds", headers={b"cookie": header}, trust_env=False)
    assert answer.status_code == 200
    assert 'class="flash"' not in answer.text


def test_a_message_cookie_cannot_bring_markup(lee: Browser) -> None:
    forged = {"kind": "done", "text": "<script>alert(1)</script>", "hint": "<img src=x onerror=alert(1)>"}
    spelled = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode()
    header = f"{COOKIE}={lee.session}; {FLASH}={spelled}"
    answer = httpx.get(f"{lee.house.url}/holds", headers={"cookie": header}, trust_env=False)
    assert "<script>alert" not in answer.text
    assert "<img" not in answer.text
    assert "&lt;script&gt;alert" in answer.text


# --- signing in and out --------------------------------------------------------------------------


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(shared: House) -> None:
    answer = Browser(shared).spend(shared.link(LEE))
    cookie = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "lax"
    assert cookie["path"] == "/"
    assert not cookie["domain"]
    assert 0 < int(cookie["max-age"]) <= 12 * 3600


def test_behind_https_the_session_cookie_never_travels_in_the_clear(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        app = create_app(office.crew, console=lambda: console_routes(office.crew, secure=True))
        with serving(app) as url:
            behind = House(office, url)
            answer = Browser(behind).spend(behind.link(LEE))
            assert SimpleCookie(answer.headers["set-cookie"])[COOKIE]["secure"]
            behind.close()


def test_a_link_is_spent_by_the_button_and_once(shared: House) -> None:
    secret = shared.link(LEE)
    visitor = Browser(shared)
    for _ in range(3):  # a mail scanner may look at it as often as it likes
        assert f"Sign in as {LEE.id}" in visitor.http.get(f"/sign-in/{secret}").text
    assert visitor.spend(secret).status_code == 303
    assert visitor.http.get("/").status_code == 200
    again = Browser(shared)
    answer = again.spend(secret)
    assert answer.status_code == 401
    assert "used already" in answer.text
    assert again.session == ""


def test_of_two_who_spend_a_link_at_once_one_wins(shared: House) -> None:
    secret = shared.link(LEE)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: Browser(shared).spend(secret).status_code, range(8)))
    assert sorted(answers) == [303] + [401] * 7


def test_a_link_that_ran_out_signs_nobody_in(shared: House) -> None:
    secret = shared.link(LEE)
    clock = shared.office.clock
    assert isinstance(clock, ManualClock)
    clock.advance(timedelta(hours=1))
    visitor = Browser(shared)
    assert "has expired" in visitor.http.get(f"/sign-in/{secret}").text
    assert visitor.spend(secret).status_code == 401


@pytest.mark.parametrize("kind", ["nothing", "an agent's token", "a person's token", "a very long one"])
def test_what_is_no_link_signs_nobody_in(shared: House, kind: str) -> None:
    secret = {
        "nothing": "",
        "an agent's token": shared.tokens[AGENT.id],
        "a person's token": shared.tokens[LEE.id],
        "a very long one": "x" * 50_000,
    }[kind]
    visitor = Browser(shared)
    assert visitor.spend(secret).status_code == 401
    assert visitor.session == ""


def test_nobody_is_signed_in_by_another_site(shared: House) -> None:
    secret = shared.link(LEE)
    for site in ("cross-site", "same-site"):
        assert Browser(shared).spend(secret, **{"sec-fetch-site": site}).status_code == 403
    assert Browser(shared).spend(secret, **{"sec-fetch-site": "same-origin"}).status_code == 303


def test_signing_out_ends_the_session_on_the_server(shared: House) -> None:
    leaving = Browser.signed_in(shared, LEE)
    kept = leaving.session
    assert leaving.send("/sign-out", csrf="none").status_code == 403
    assert leaving.http.get("/").status_code == 200, "another site cannot sign anybody out"
    answer = leaving.send("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert leaving.session == ""
    copied = shared.client(cookie=f"{COOKIE}={kept}")
    assert copied.get("/").headers["location"] == "/sign-in"
    assert shared.client(authorization=f"Bearer {kept}").get("/v1/me").status_code == 401


def test_a_session_ends_by_itself(shared: House) -> None:
    staying = Browser.signed_in(shared, LEE)
    clock = shared.office.clock
    assert isinstance(clock, ManualClock)
    clock.advance(timedelta(hours=12))
    assert staying.http.get("/").headers["location"] == "/sign-in"


# --- pages ---------------------------------------------------------------------------------------

HOSTILE: Final = (
    "\"'><script>alert(1)</script><img src=x onerror=alert(1)> javascript:alert(1) {{ 3*1234567 }}</title>"
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Story]]:
    """A house in which every free field of the story holds markup."""
    with house(tmp_path_factory.mktemp("hostile")) as found:
        told = Story(found)
        text = MANIFEST.replace("title: Weekly renewal preparation", f"title: {json.dumps(HOSTILE)}")
        found.post("/v1/manifests", text=text, reason=HOSTILE)
        found.office.crm.accounts["globex"]["owner"] = HOSTILE
        told.start("run-0")
        found.post(
            "/v1/runs",
            who=AGENT,
            run="run-1",
            workflow="renewals",
            trigger="manual",
            trigger_id=HOSTILE,
            runtime={HOSTILE: HOSTILE},
        )
        unlisted = {"run": "run-h", "workflow": "renewals", "trigger": HOSTILE, "trigger_id": HOSTILE}
        found.post("/v1/runs", who=AGENT, **unlisted)
        step = {"kind": "model_call", "name": HOSTILE, "facts": {HOSTILE: HOSTILE}, "source": HOSTILE}
        found.post("/v1/runs/run-1/steps", who=AGENT, **step)
        asked = {"call": "call-x", "run": "run-1", "tool": HOSTILE}
        found.post("/v1/permits", who=AGENT, **asked, args={HOSTILE: HOSTILE})
        told.call("run-1", "call-m", tool="mail.send", to=HOSTILE)
        told.lose("run-1", "call-l")
        for number in (1, 2):
            told.call("run-1", f"call-{number}", nth=number, account_id=HOSTILE, title=HOSTILE)
        found.post("/v1/runs/run-1/finish", who=AGENT, status="failed", error=HOSTILE)
        found.office.crew.catch_up()
        told.incident = found.get("/v1/incidents")[0]["id"]
        found.post(told.at("/notes"), text=HOSTILE)
        found.post(told.at("/severity"), severity="sev1", reason=HOSTILE)
        found.post("/v1/tokens", who=ADMIN, kind="person", id="kim&lt@acme.test")
        found.post(told.at("/handover"), role="commander", to="kim&lt@acme.test", note=HOSTILE)
        found.post(told.at("/root-cause"), text=HOSTILE)
        scope = {"kind": "tool", "name": HOSTILE, "workflow": "renewals"}
        held = found.post("/v1/holds", scope=scope, reason=HOSTILE, incident=told.incident)
        told.held = held["hold"]["id"]
        found.post(told.at("/seal"))
        for item in found.post(told.at("/containment")):
            found.post(f"/v1/containment/{item['id']}", state="not_applicable", verified_how=HOSTILE)
        found.post(told.at("/audit"))
        told.proposed()
        [first, *_] = found.post(told.at("/messages"))
        edited = f"/v1/messages/{first['id']}"
        found.post(edited, recipients=[f"{HOSTILE}@x"], subject=HOSTILE, body=HOSTILE)
        found.put(told.at("/postmortem"), fields={"summary": HOSTILE}, follow_ups=[])
        named = found.client(authorization=f"Bearer {found.tokens[ADMIN.id]}")
        assert named.post("/v1/incidents", json={"workflow": "renewals", "title": HOSTILE}).is_success
        yield found, told


def test_nothing_recorded_becomes_markup(hostile: tuple[House, Story]) -> None:
    shared, story = hostile
    reader = Browser.signed_in(shared, DANA)
    asked = shared.get("/v1/approvals")[0]["id"]
    of_records = [
        f"/incidents/{story.incident}",
        f"/incidents/{story.incident}/report",
        "/runs/run-1",
        "/runs/run-h",
    ]
    of_records += ["/workflows/renewals", f"/holds/{story.held}", f"/approvals/{asked}"]
    shown = 0
    for path in (*PAGES, *of_records, f"/pause?incident={story.incident}", "/pause?workflow=renewals"):
        text = reader.http.get(path).text
        shown += "&lt;script&gt;alert(1)" in text
        _holds_no_markup_of_others(path, text)
    assert shown >= 8, "the hostile words have to be on the pages, or the test proves nothing"


@pytest.mark.parametrize(
    "path",
    [
        "/runs/{0}",
        "/incidents/{0}",
        "/holds/{0}",
        "/workflows/{0}",
        "/{0}",
        "/journal?workflow={0}&before={0}&run={0}",
        "/journal?before=" + "9" * 40,
        "/journal?before=%C2%B2",
        "/pause?tool={0}&workflow={0}",
        "/pause?incident={0}",
        "/incidents?state={0}&workflow={0}",
        "/incidents/new?workflow={0}&run={0}",
        "/sign-in/{0}",
        "//elsewhere.test/{0}",
        "/workflows/renewals?view={0}&after={0}",
    ],
)
def test_nothing_in_an_address_becomes_markup_or_an_error_of_ours(lee: Browser, path: str) -> None:
    browser = Browser.signed_in(lee.house, LEE)
    answer = browser.http.get(path.format("%22%27%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E"))
    assert answer.status_code in (200, 303, 404, 422), answer.text[:300]
    _holds_no_markup_of_others(path, answer.text)


def _holds_no_markup_of_others(path: str, text: str) -> None:
    page = BeautifulSoup(text, "html.parser")
    for script in page.find_all("script"):
        assert str(script.get("src", "")).startswith("/static/"), path
        assert not script.string, path
    assert page.find("img") is None, path
    for tag in page.find_all(True):
        assert not [name for name in tag.attrs if name.startswith("on")], f"{path}: {tag.name}"
        for name in ("href", "src", "action", "formaction", "hx-get"):
            address = str(tag.get(name, "/"))
            assert re.match(r"/(?![/\\])|#|\?|$", address), f"{path}: {name}={address}"
    assert "3703701" not in text, path


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/holds",
        "/nothing",
        "/sign-in",
        "/v1/health",
        "/v1/nothing",
        "/static/stopwork.css",
        "/static/no",
    ],
)
def test_every_answer_binds_the_browser(lee: Browser, path: str) -> None:
    for browser in (Browser.signed_in(lee.house, LEE).http, lee.house.client()):
        for method in ("GET", "HEAD", "PUT"):
            answer = browser.request(method, path)
            assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "same-origin"


def test_no_page_is_kept_by_a_browser_or_a_proxy(shared: House) -> None:
    reader = Browser.signed_in(shared, LEE)
    for path in (*PAGES, "/sign-in", "/nothing"):
        assert reader.http.get(path).headers["cache-control"] == "no-store", path


def test_the_policy_allows_no_inline_script_and_no_other_origin() -> None:
    parts = dict(part.strip().split(" ", 1) for part in CONTENT_SECURITY_POLICY.split(";"))
    assert parts["default-src"] == "'none'"
    assert parts["script-src"] == "'self'"
    assert parts["form-action"] == "'self'"
    assert parts["frame-ancestors"] == "'none'"
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY
