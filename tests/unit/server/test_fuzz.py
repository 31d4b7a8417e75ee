"""Contract: nothing that anybody sends makes the server fail. Whatever is asked, the answer comes soon, is what the
description says or a problem document, and the server goes on.

The requests are made from the description: bodies that fit it, bodies that nearly do, and bodies that are anything; ids that
exist and ids that cannot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stopwork.server.api import guard
from stopwork.server.api.endpoint import Endpoint
from stopwork.server.app import AFTER_THE_GUARD
from stopwork.server.pages.forms import FORMS
from tests.support.office import AGENT, DANA, LEE, WORKFLOW
from tests.unit.server.browser import Browser, said
from tests.unit.server.described import Description, description
from tests.unit.server.house import ADMIN, OTHER, REPORTER, STRANGER, House, house, is_problem
from tests.unit.server.story import Story

ROWS: Final = (*guard.ENDPOINTS, *AFTER_THE_GUARD)
ANSWERED_WITHIN_S: Final = 5
EXAMPLES: Final = 12

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    [
        "",
        "\x00",
        "../../etc/passwd",
        "'; DROP TABLE run; --",
        "{{7*7}}",
        "%s%n",
        "\u202e",
        "9" * 400,
        WORKFLOW,
    ]
)
numbers = st.integers() | st.sampled_from([-1, 0, 2**31, 2**53, 2**63, 2**64, 10**300]) | st.floats(width=64)
anything = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(words, inside, max_size=4),
    max_leaves=12,
)
moments = st.sampled_from(
    [
        "2026-03-02T13:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-03-02T13:00:00",
        "now",
    ]
)


#: What is chosen in the console's lists, beside ids.
CHOICES: Final = (
    "approve",
    "reject",
    "send",
    "save",
    "close",
    "done",
    "sev2",
    "20",
    "tool:block:crm.create_task",
)
SOMETHING_WENT_WRONG: Final = "something went wrong here"


class Told:
    """A house in the middle of an incident, and the ids that exist in it."""

    def __init__(self, opened: House) -> None:
        self.house = opened
        self.api: Description = description(opened.office.crew)
        story = Story(opened)
        story.made_up_for()
        story.agent_repeats_itself()
        story.sealed()
        story.contained()
        story.audited()
        story.proposed()
        messages = story.post(story.at("/messages"))
        self.ids = {
            "workflow": WORKFLOW,
            "incident": story.incident,
            "hold": story.held,
            "plan": story.plan,
            "run": "run-1",
            "call": "call-lost",
            "point": "point_0001",
            "message": messages[0]["id"],
            "approval": story.get("/v1/approvals")[0]["id"],
            "item": story.get(story.at("/containment"))[0]["id"],
            "check": "tests_added",
            "credential": "cred_0001",
            "draft": "call-d1",
            "version": "1",
            "backfill": "backfill_0001",
            "system": "crm",
            "digest": "sha256:" + 64 * "0",
            "signal": story.get("/v1/signals")[0]["id"],
            "webhook": "desk",
        }
        story.stored()
        self.browser = Browser.signed_in(opened, DANA)
        self.csrf = self.browser.csrf
        pages = (
            "/pause",
            "/incidents/new",
            "/report",
            f"/incidents/{story.incident}",
            f"/approvals/{self.ids['approval']}",
            f"/drafts/{self.ids['draft']}",
        )
        fields = {str(field["name"]) for page in pages for field in self.browser.page(page).select("[name]")}
        self.fields = sorted(fields - {"csrf", "viewport", "color-scheme", "referrer", "htmx-config"})
        self.values = [
            *self.ids.values(),
            story.get(f"/v1/plans/{story.plan}")["digest"],
            messages[0]["digest"],
        ]

    def without_guards(self) -> None:
        """Let no guard be connected: a pause test waits for those that are, and these never confirm anything."""
        for point in self.house.get("/v1/points"):
            self.house.as_(AGENT).delete(f"/v1/points/{point['point']}")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with house(tmp_path_factory.mktemp("house")) as opened:
        yield Told(opened)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_every_answer_is_a_good_one_or_a_problem(told: Told, row: Endpoint, data: st.DataObject) -> None:
    path = row.path.replace(":path", "")
    for name in set(told.ids) & set(_names(path)):
        value = data.draw(
            st.just(told.ids[name]) | st.just(told.ids[name]) | words.filter(_stays), label=name
        )
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    assert "{" not in path
    if path.endswith("/pause-test"):
        told.without_guards()
    operation = told.api.document["paths"][row.path.replace(":path", "")][row.method.lower()]
    query = data.draw(_query(operation), label="query")
    content = data.draw(_content(told, operation), label="body")
    who = data.draw(
        st.sampled_from([DANA, DANA, LEE, AGENT, AGENT, ADMIN, OTHER, STRANGER, REPORTER, None]), label="who"
    )
    headers = {"content-type": row.raw[0]} if row.raw else {}
    answer = told.house.as_(who).request(row.method, path, params=query, content=content, headers=headers)
    assert answer.elapsed.total_seconds() < ANSWERED_WITHIN_S
    if answer.is_success:
        assert answer.status_code == row.status
    else:
        assert answer.status_code < 500, answer.text
        is_problem(answer)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=EXAMPLES, derandomize=True, database=None, deadline=None)
@given(data=st.data())
def test_no_form_of_the_console_makes_the_server_fail(told: Told, form: str, data: st.DataObject) -> None:
    path = re.sub(r"{(\w+)}", lambda found: told.ids[found[1]], form)
    if path.endswith("/pause-test"):
        told.without_guards()
    values = st.sampled_from([*told.values, *CHOICES]) | words
    fields = data.draw(st.dictionaries(st.sampled_from(told.fields), values, max_size=10), label="fields")
    answer = told.browser.send(path, csrf=told.csrf, **fields)
    assert answer.status_code == 303
    assert said(answer) != SOMETHING_WENT_WRONG


def test_after_all_that_the_records_are_whole(told: Told) -> None:
    opened = told.house
    opened.office.crew.catch_up()
    health = opened.get("/v1/health")
    assert health["ok"], health
    seen, there = 0, opened.journal_size()
    while lines := opened.get("/v1/journal", after=seen, limit=1000):
        seen = lines[-1]["seq"]
    assert seen >= there
    opened.get(f"/v1/incidents/{told.ids['incident']}/report")


def _names(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _stays(value: str) -> bool:
    """Answer whether a value stands in an address as one step of it."""
    return value not in ("", ".", "..")


def _query(operation: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    known = {
        part["name"]: words | numbers.map(str) for part in operation["parameters"] if part["in"] == "query"
    }
    return st.fixed_dictionaries({}, optional=known)


def _content(told: Told, operation: dict[str, Any]) -> st.SearchStrategy[bytes | None]:
    if "requestBody" not in operation:
        return st.none()
    taken = operation["requestBody"]["content"]
    if "schema" not in taken.get("application/json", {}):
        return st.binary(max_size=200) | (words | anything).map(lambda value: json.dumps(value).encode())
    fitting = _fitting(told, taken["application/json"]["schema"])
    nearly = st.tuples(fitting, words, anything).map(
        lambda drawn: {**drawn[0], drawn[1]: drawn[2]} if isinstance(drawn[0], dict) else drawn[2]
    )
    values = fitting | fitting | fitting | nearly | anything
    return values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50)


def _fitting(told: Told, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema allows, or that are just outside of it."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return st.deferred(lambda: _fitting(told, told.api.document["components"]["schemas"][name]))
    if "anyOf" in schema:
        return st.one_of([_fitting(told, each) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object" if "properties" in schema:
            parts = {name: _fitting(told, part) for name, part in schema["properties"].items()}
            needed = {name: parts.pop(name) for name in schema.get("required", ())}
            return st.fixed_dictionaries(needed, optional=parts)
        case "object":
            return st.dictionaries(words, anything, max_size=3)
        case "array":
            return st.lists(_fitting(told, schema["items"]) if "items" in schema else anything, max_size=3)
        case "string" if schema.get("format") == "date-time":
            return moments
        case "string":
            return st.sampled_from(told.values) | words
        case "integer" | "number":
            return st.integers(-1, 100) | numbers
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return anything
