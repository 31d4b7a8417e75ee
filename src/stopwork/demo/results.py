"""What stays of the demo: the one-page report and the evidence bundle of its incident."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from stopwork.demo.people import Person
from stopwork.incidents.report import OnePage, markdown
from stopwork.kernel.errors import NotFound

REPORT = "report.md"


def save_report(asking: Person, incident: str, folder: Path) -> str:
    """Write the report as Markdown and as JSON, and answer the Markdown."""
    page = asking.get(f"/v1/incidents/{incident}/report")
    text = markdown(msgspec.convert(page, OnePage))
    (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(page)))
    (folder / REPORT).write_text(text, encoding="utf-8")
    return text


def save_bundle(asking: Person, incident: str, folder: Path) -> Path:
    """Write the newest bundle as it is handed out; ``NotFound`` while nothing is sealed."""
    file = folder / f"{incident}.zip"
    file.write_bytes(asking.fetch(f"/v1/incidents/{incident}/bundle"))
    return file


def save_what_there_is(asking: Person, folder: Path) -> None:
    """Write report and bundle of the newest incident, as far as it has come."""
    for incident in asking.get("/v1/incidents", limit=1):
        save_report(asking, incident["id"], folder)
        with contextlib.suppress(NotFound):
            save_bundle(asking, incident["id"], folder)
