"""Contract of fsck and the sealed files: each is compared with what was sealed, and what lies beside them and no record names is said, with the
way out, and is no fault.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from pathlib import Path

import pytest

from stopwork.kernel.clock import ManualClock
from stopwork.storage.fsck import Fault, fsck
from stopwork.storage.store import Store
from tests.support.told import START, incident_with_evidence, recording


def a_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        written.writestr("bagit.txt", "x" * 1_000)
    return file.getvalue()


SEALED = "AI-INC-1-001.zip"
CONTENT = a_zip()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database that names one sealed file, beside which it lies."""
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / SEALED).write_bytes(CONTENT)
    digest = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    with Store.open(tmp_path / "stopwork.db", clock=ManualClock(START)) as store:
        store.write(recording(*incident_with_evidence("AI-INC-1", path=SEALED, digest=digest)))
    return tmp_path / "stopwork.db"


@pytest.fixture
def evidence(database: Path) -> Path:
    return database.parent / "evidence"


def test_evidence_files_are_compared_with_what_was_sealed(database: Path, evidence: Path) -> None:
    report = fsck(database, evidence=evidence)
    assert (report.clean, report.bundles, report.unrecorded) == (True, 1, ())

    bundle = evidence / SEALED
    bundle.write_bytes(CONTENT[:-1] + b"x")
    assert fsck(database, evidence=evidence).faults == (
        Fault(where=f"evidence file {SEALED}", what="is not the one that was sealed"),
    )
    bundle.unlink()
    assert fsck(database, evidence=evidence).faults == (
        Fault(where=f"evidence file {SEALED}", what="is missing; AI-INC-1 was sealed into it"),
    )
    os.mkfifo(bundle)
    assert fsck(database, evidence=evidence).faults == (
        Fault(where=f"evidence file {SEALED}", what="cannot be read: it is no file"),
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ("is not whole", "Remove it")),
        (CONTENT[:-30], ("is not whole", "Remove it")),
        (CONTENT, ("is whole", "Keep it")),
    ],
    ids=["reserved", "half written", "whole"],
)
def test_a_bundle_that_no_record_names_is_told_apart_by_its_end(
    database: Path, evidence: Path, content: bytes, said: tuple[str, str]
) -> None:
    (evidence / "AI-INC-1-002.zip").write_bytes(content)
    report = fsck(database, evidence=evidence)
    assert report.clean
    (found,) = report.unrecorded
    assert found.where == "evidence file AI-INC-1-002.zip"
    assert all(each in found.what for each in said)


def test_whatever_else_lies_there_is_named_in_the_order_of_its_names(database: Path, evidence: Path) -> None:
    (evidence / "notes.txt").write_text("of mine")
    (evidence / "a folder").mkdir()
    (evidence / "link.zip").symlink_to("nowhere")
    os.mkfifo(evidence / "pipe.zip")
    report = fsck(database, evidence=evidence)
    assert report.clean
    assert [each.where.removeprefix("evidence file ") for each in report.unrecorded] == [
        "a folder",
        "link.zip",
        "notes.txt",
        "pipe.zip",
    ]


def test_nothing_is_said_of_the_files_where_the_records_are_not_looked_at(
    database: Path, evidence: Path
) -> None:
    (evidence / "AI-INC-1-002.zip").touch()
    assert fsck(database, evidence=evidence, log_only=True).unrecorded == ()
    assert fsck(database).unrecorded == ()
    assert fsck(database, evidence=evidence / "not there").unrecorded == ()
