"""Contract of looks: who reads what a run's calls hold is on record where that is evidence of an incident with sensitive data, once for some
minutes; reads of anything else leave no trace, and neither do agents, who write these records themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stopwork.ledger.records import Principal
from stopwork.ledger.words import CustodyDeed
from stopwork.operations import custody
from tests.support.office import AGENT, DANA, LEE, MANIFEST, Office
from tests.support.trouble import Trouble

SENSITIVE = MANIFEST.replace("title: Weekly", "data_classes: [banking]\ntitle: Weekly")


@pytest.fixture(params=[MANIFEST, SENSITIVE], ids=["plain", "sensitive"])
def trouble(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Trouble]:
    with Office(tmp_path, manifest=request.param) as office:
        trouble = Trouble(office)
        assert trouble.known.data_classes == (("banking",) if request.param == SENSITIVE else ())
        yield trouble


def looks(trouble: Trouble) -> list[str]:
    lines = trouble.office.read(lambda view: list(custody.custody(view, trouble.incident)))
    return [f"{line.by.id}: {line.what}" for line in lines if line.deed is CustodyDeed.VIEWED]


def read(trouble: Trouble, who: Principal) -> None:
    custody.note_reading(trouble.office.inst, who, runs=(trouble.run,), what=f"run {trouble.run}")


def test_a_person_who_reads_sensitive_evidence_is_on_record_once(trouble: Trouble) -> None:
    for who in (DANA, DANA, LEE, AGENT):
        read(trouble, who)
    expected = [f"{DANA.id}: run {trouble.run}", f"{LEE.id}: run {trouble.run}"]
    sensitive = bool(trouble.known.data_classes)
    assert looks(trouble) == (expected if sensitive else [])


def test_later_it_is_another_look(trouble: Trouble) -> None:
    read(trouble, DANA)
    trouble.office.wait(minutes=16)
    read(trouble, DANA)
    assert len(looks(trouble)) == (2 if trouble.known.data_classes else 0)


def test_a_run_of_no_incident_leaves_no_trace(trouble: Trouble) -> None:
    office = trouble.office
    custody.note_reading(office.inst, DANA, runs=(office.begin("another"),), what="run")
    assert looks(trouble) == []
