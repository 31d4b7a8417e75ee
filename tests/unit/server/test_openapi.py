"""Contract: the description lists every row of the API once, is OpenAPI 3.1, and every reference in it leads somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from stopwork.server.api.endpoint import Access, Endpoint, Fetch
from tests.support.office import Office
from tests.unit.server.described import Description, description, endpoints

METHODS = {"get", "put", "post", "delete", "patch"}


@pytest.fixture(scope="module")
def rows(office: Office) -> tuple[Endpoint, ...]:
    return endpoints(office.crew)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with Office(tmp_path_factory.mktemp("office")) as opened:
        yield opened


@pytest.fixture(scope="module")
def api(office: Office) -> Description:
    return description(office.crew)


def test_it_is_openapi_3_1(api: Description) -> None:
    spelled = api.document
    assert spelled["openapi"] == "3.1.0"
    assert {"title", "version"} <= spelled["info"].keys()
    for path, methods in spelled["paths"].items():
        assert re.fullmatch(r"(/[a-z0-9.-]+|/{\w+})+", path), path
        assert methods.keys() <= METHODS
        for operation in methods.values():
            assert operation["responses"]
            for answer in operation["responses"].values():
                assert "$ref" in answer or answer["description"]


def test_every_row_is_described_once(api: Description, rows: tuple[Endpoint, ...]) -> None:
    assert api.names() == {row.name for row in rows} | {"listen", "export_traces"}
    assert len({row.name for row in rows}) == len(rows)
    assert len({(row.method, row.path) for row in rows}) == len(rows)


def test_every_row_says_what_goes_in_and_out(api: Description, rows: tuple[Endpoint, ...]) -> None:
    for row in rows:
        path = re.sub(r":\w+}", "}", row.path)
        operation = api.document["paths"][path][row.method.lower()]
        named = {part["name"] for part in operation["parameters"] if part["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))
        asked = {part["name"] for part in operation["parameters"] if part["in"] == "query"}
        assert asked == (set(row.query.__struct_fields__) if row.query else set())
        assert ("requestBody" in operation) == (row.body is not None or bool(row.raw))
        assert (operation["security"] == []) == (row.access is Access.PUBLIC)
        assert operation["summary"]
        assert operation["tags"] != [""]
        good = operation["responses"][str(row.status)]["content"]
        answered = "application/json" if row.answer is not None else next(iter(row.also), "")
        assert next(iter(good)) == (row.does.media_type if isinstance(row.does, Fetch) else answered)
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}


def test_every_reference_leads_somewhere(api: Description) -> None:
    for reference in _references(api.document):
        place: Any = api.document
        for step in reference.removeprefix("#/").split("/"):
            assert step in place, reference
            place = place[step]


def test_every_schema_is_a_schema(api: Description) -> None:
    for schema in api.document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for methods in api.document["paths"].values():
        for operation in methods.values():
            for part in operation["parameters"]:
                Draft202012Validator.check_schema(part["schema"])


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(part, list):
        for each in part:
            yield from _references(each)
