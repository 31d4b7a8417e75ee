"""Contract of answering a question over the API: only who is asked, about what was shown, in time, once; each refusal says why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stopwork.ledger.records import Principal
from stopwork.operations import manifests
from tests.support.office import AGENT, DANA, KIM, LEE, MANIFEST
from tests.unit.server.browser import Browser, said
from tests.unit.server.house import House, house, is_problem

STRICT = MANIFEST.replace(
    "    external: true\n",
    "    external: true\n"
    "    deny_when: args.to.endsWith('@rival.test')\n"
    "    args_schema: {properties: {subject: {type: string, maxLength: 40}}}\n",
).replace("approvers: [business]", "approvers: [business, technical], quorum: 2")
MAIL: dict[str, Any] = {"to": "someone@customer.test", "subject": "Your renewal"}


@pytest.fixture
def opened(tmp_path: Any) -> Iterator[House]:
    with house(tmp_path) as found:
        found.office.write(lambda tx: manifests.apply(tx, STRICT, reason="two people"), actor=DANA)
        yield found


class Question:
    """One question about a mail, and the ways to answer it."""

    def __init__(self, opened: House) -> None:
        self.house = opened
        office = opened.office
        self.run = office.begin()
        permit = office.ask(self.run, "mail.send", call="call_1", **MAIL)
        self.id = permit.approval or ""
        self.digest = self.shown()["digest"]

    def shown(self) -> Any:
        return self.house.as_(LEE).get(f"/v1/approvals/{self.id}").json()

    def answer(self, who: Principal, **body: Any) -> Any:
        asked = {"approve": True, "digest": self.digest} | body
        return self.house.as_(who).post(f"/v1/approvals/{self.id}/decide", json=asked)

    def refused(self, who: Principal, status: int, **body: Any) -> dict[str, Any]:
        before = self.shown()
        answer = self.answer(who, **body)
        problem = is_problem(answer)
        assert answer.status_code == status, problem
        assert self.shown() == before, "nothing is recorded"
        assert problem["hint"]
        return problem


@pytest.fixture
def question(opened: House) -> Question:
    return Question(opened)


def test_a_digest_of_something_else(question: Question) -> None:
    problem = question.refused(DANA, 409, digest="sha256:" + "0" * 64)
    assert (problem["expected"], problem["hint"]) == (question.digest, "Open the question again.")


def test_an_agent(question: Question) -> None:
    assert question.answer(AGENT).status_code == 403
    assert question.answer(AGENT, args=MAIL).status_code == 403


def test_who_is_not_asked_or_not_yet(question: Question) -> None:
    assert "is asked as well when nobody has by" in question.refused(KIM, 403)["hint"]


def test_twice(question: Question) -> None:
    assert question.answer(DANA).json()["state"] == "pending"
    assert "has decided" in question.refused(DANA, 409)["detail"]


def test_after_somebody_else_has_decided(question: Question) -> None:
    question.answer(DANA, approve=False, note="not now")
    assert "is rejected already, by dana@acme.test" in question.refused(LEE, 409)["detail"]


def test_after_somebody_else_has_changed_it(question: Question) -> None:
    changed = question.answer(LEE, args={**MAIL, "subject": "About your renewal"}).json()
    assert [change["after"]["subject"] for change in changed["edits"]] == ["About your renewal"]
    assert "lee@acme.test has changed it" in question.refused(DANA, 409)["detail"]
    assert question.answer(DANA, digest=changed["digest"]).json()["state"] == "approved"
    permit = question.house.office.ask(question.run, "mail.send", call="call_1", **MAIL)
    assert permit.args["subject"] == "About your renewal"


def test_too_late(question: Question) -> None:
    question.house.office.wait(hours=4)
    assert "expired" in question.refused(DANA, 409)["detail"]


def test_after_the_rules_have_changed(question: Question) -> None:
    again = STRICT.replace("Weekly renewal preparation", "Weekly preparation")
    question.house.office.write(lambda tx: manifests.apply(tx, again, reason="a title"), actor=DANA)
    problem = question.refused(DANA, 409)
    assert problem["found"] == ["the manifest went from version 2 to 3"]


EDITS: dict[str, tuple[dict[str, Any], str, str]] = {
    "against the schema": ({**MAIL, "subject": "x" * 41}, "args.subject", "maxLength 40"),
    "of another type": ({**MAIL, "subject": 3}, "args.subject", "type string"),
    "that the manifest denies": ({**MAIL, "to": "a@rival.test"}, "args", "endsWith('@rival.test')"),
    "with one missing": ({"to": MAIL["to"]}, "args.subject", "for no other"),
    "with one too many": ({**MAIL, "bcc": "x"}, "args.bcc", "for no other"),
    "that are the same": (MAIL, "args", "approve what is asked as it is"),
}


@pytest.mark.parametrize("name", EDITS)
def test_arguments(question: Question, name: str) -> None:
    args, field, allowed = EDITS[name]
    problem = question.refused(DANA, 422, args=args)
    assert problem["field"] == field
    assert allowed in problem["hint"]


def test_a_no_with_arguments(question: Question) -> None:
    assert question.refused(DANA, 422, approve=False, args=MAIL)["field"] == "args"


def test_the_evidence_of_it(question: Question, opened: House) -> None:
    found = opened.as_(DANA).get(f"/v1/approvals/{question.id}/evidence").json()
    assert (found["will_run"]["digest"], found["stale"]) == (question.digest, [])


def test_the_form_of_the_console_changes_what_it_was_sent_and_nothing_else(question: Question) -> None:
    browser = Browser.signed_in(question.house, DANA)
    fields = {"digest": question.digest, "decision": "edit", "note": "clearer"}
    answer = browser.send(f"/approvals/{question.id}", **fields, **{"arg:subject": " About\r\nyour renewal"})
    assert said(answer) == "Approved as you changed it; 1 other must agree."
    args = question.shown()["content"]["args"]
    assert args == {**MAIL, "subject": " About\nyour renewal"}, "what people write stays as it is"
    page = browser.page(f"/approvals/{question.id}")
    assert [each.text for each in page.find_all("del")] == [MAIL["subject"]]


def test_the_form_says_what_cannot_be_so(question: Question) -> None:
    browser = Browser.signed_in(question.house, DANA)
    fields = {"digest": question.digest, "decision": "edit", "arg:subject": "x" * 41}
    assert said(browser.send(f"/approvals/{question.id}", **fields)).startswith("args.subject: ")
    assert question.shown()["edits"] == []
