"""Writes what the API's rows and the errors say about themselves into docs/reference: api.md and errors.md.

Run it after a change to an endpoint or an error: `.venv/bin/python scripts/api_reference.py`.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stopwork.kernel.errors import StopworkError
from stopwork.operations.installation import Installation
from stopwork.server import problems
from stopwork.server.api.endpoint import Access, Endpoint
from stopwork.server.api.openapi import document
from stopwork.server.app import all_endpoints
from stopwork.worker.crew import Crew

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
API_PAGE = REFERENCE / "api.md"
ERRORS_PAGE = REFERENCE / "errors.md"
BEGIN, END = "<!-- tables: made by scripts/api_reference.py -->", "<!-- end of tables -->"

_WHO = {
    Access.PUBLIC: "anyone",
    Access.ANY: "agents and people",
    Access.PERSON: "a person",
    Access.FEED: "feeds and people",
    Access.REPORT: "people, agents and reporters",
    Access.SIGNED: "people, agents and reporters, or whoever signs it",
    Access.MONITOR: "monitors and people",
}
_HEADINGS = {
    "guard": "What guards ask",
    "manifests": "Manifests",
    "workflows": "Workflows",
    "holds": "Holds",
    "approvals": "Approvals",
    "drafts": "Drafted calls",
    "backfills": "Backfills",
    "feeds": "Feeds of systems of record",
    "log": "The evidence log",
    "signals": "Signals in",
    "calls": "Calls whose outcome is unknown",
    "incidents": "Incidents",
    "recovery": "Recovery plans",
    "messages": "Messages",
    "records": "Looking things up",
    "people": "Tokens and links",
    "health": "Health",
}


def page(present: str, tables: str) -> str:
    """Answer the page with its tables made anew; the words around them stay."""
    before, _, rest = present.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def endpoint_tables() -> str:
    """Answer one table for each part of the API, a row for each endpoint."""
    with tempfile.TemporaryDirectory() as folder, Installation.open(folder) as installation:
        rows = all_endpoints(Crew(installation))
    described = document(rows)
    return "\n".join(
        _table(heading, [row for row in rows if row.tag == tag], described)
        for tag, heading in _HEADINGS.items()
    )


def error_table() -> str:
    """Answer the table of every error that an answer may be, subclasses behind their bases."""
    head = ["| status | `code` | title |", "| --- | --- | --- |"]
    found = sorted(_kinds(StopworkError), key=lambda kind: (kind.status, kind.code))
    return "\n".join(
        [
            *head,
            *(f"| {kind.status} | `{kind.code}` | {(kind.__doc__ or '').strip()} |" for kind in found),
            "",
        ]
    )


def _kinds(kind: type[StopworkError]) -> Iterator[type[StopworkError]]:
    for below in kind.__subclasses__():
        if below.__module__ in (StopworkError.__module__, problems.__name__):
            yield below
            yield from _kinds(below)


def _table(heading: str, rows: list[Endpoint], described: dict[str, Any]) -> str:
    head = ["| request | does | who | body or query | answer |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([f"### {heading}", "", *head, *(_row(row, described) for row in rows), ""])


def _row(row: Endpoint, described: dict[str, Any]) -> str:
    path = re.sub(r":\w+}", "}", row.path)
    takes = _takes(row, described["components"]["schemas"])
    answer = f"`{row.status}` {_answers(described['paths'][path][row.method.lower()])}"
    cells = (f"`{row.method} {path}`", row.summary, _WHO[row.access], takes, answer)
    return f"| {' | '.join(cells)} |"


def _takes(row: Endpoint, schemas: dict[str, Any]) -> str:
    given = row.body or row.query
    if given is None:
        return ""
    schema = schemas[given.__name__]
    needed = schema.get("required", ())
    names = (f"**`{name}`**" if name in needed else f"`{name}`" for name in schema["properties"])
    return ("" if row.body else "?") + ", ".join(names)


def _answers(operation: dict[str, Any]) -> str:
    """Answer what a good answer holds, in the words of the description."""
    good = next(answer for status, answer in operation["responses"].items() if status != "default")
    return " or ".join(
        _named(media["schema"]) if "schema" in media else f"`{media_type}`"
        for media_type, media in good["content"].items()
    )


def _named(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"`{schema['$ref'].rsplit('/', 1)[-1]}`"
    if "anyOf" in schema:
        return " or ".join(_named(each) for each in schema["anyOf"])
    return f"list of {_named(schema['items'])}" if "items" in schema else f"`{schema['type']}`"


def main() -> None:
    """Write both pages."""
    API_PAGE.write_text(page(API_PAGE.read_text("utf-8"), endpoint_tables()), "utf-8")
    ERRORS_PAGE.write_text(page(ERRORS_PAGE.read_text("utf-8"), error_table()), "utf-8")


if __name__ == "__main__":
    main()
