"""Promise: any change, removal or reordering of a sealed record is found by verification, offline, without trusting the server. The bundle
here is that of a real incident, verified by the file that travels in it, run by a bare interpreter.
"""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from stopwork.kernel.errors import NotFound, Tampered
from stopwork.ledger.records import Bundle
from stopwork.ledger.verify import Outcome, verify_bundle
from stopwork.operations import evidence, sealing
from stopwork.operations.installation import DATABASE, EVIDENCE
from stopwork.storage.fsck import fsck
from tests.support.office import DANA, LEE, Office
from tests.support.trouble import Trouble

SMALL_BYTES = 100
SEED = 20260302


class Sealed:
    """A sealed bundle, its verifier on disk, and the key that people were given."""

    def __init__(self, folder: Path) -> None:
        with Office(folder / "data") as office:
            trouble = Trouble(office)
            self.incident = trouble.incident
            bundle = trouble.seal()
            self.path = evidence.fetch(office.inst, DANA, incident=self.incident)
            self.key = office.inst.signer.vkey
            self.entries = bundle.entries
        self.verifier = folder / "verify.py"
        with zipfile.ZipFile(self.path) as bag:
            self.verifier.write_bytes(bag.read("verify.py"))

    def verify(self, bundle: Path) -> subprocess.CompletedProcess[str]:
        """Run the verifier with nothing but Python: no packages, no environment."""
        command = [sys.executable, "-I", "-S", str(self.verifier), str(bundle), "--key", self.key, "--json"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env={}, check=False)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    return Sealed(tmp_path_factory.mktemp("sealed"))


def test_the_bundle_verifies_offline_with_what_is_in_it(sealed: Sealed) -> None:
    done = sealed.verify(sealed.path)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["outcome"] == "verified"
    assert sealed.entries > 10


def test_a_changed_bundle_fails_offline_as_well(sealed: Sealed, tmp_path: Path) -> None:
    content = bytearray(sealed.path.read_bytes())
    content[len(content) // 2] ^= 1
    changed = tmp_path / "changed.zip"
    changed.write_bytes(content)
    assert sealed.verify(changed).returncode == 1


def places(bundle: Path, sample: int) -> list[int]:
    """Answer where to change a byte: spread over the file by a seed, and all of every small member and of the directory."""
    size = bundle.stat().st_size
    chosen = set(random.Random(SEED).sample(range(size), sample))
    with zipfile.ZipFile(bundle) as bag:
        for member in bag.infolist():
            if member.file_size <= SMALL_BYTES:
                start = member.header_offset
                chosen |= set(range(start, min(start + 30 + len(member.filename) + member.file_size, size)))
        chosen |= set(range(size - 22, size))
    return sorted(chosen)


@pytest.mark.parametrize("sample", [300, pytest.param(5_000, marks=pytest.mark.slow)])
def test_no_byte_can_be_changed(sealed: Sealed, tmp_path: Path, sample: int) -> None:
    original = sealed.path.read_bytes()
    changed = tmp_path / "changed.zip"
    unnoticed = []
    for place in places(sealed.path, sample):
        content = bytearray(original)
        content[place] ^= 1 << (place % 8)
        changed.write_bytes(content)
        if verify_bundle(changed, [sealed.key]).outcome is Outcome.VERIFIED:
            unnoticed.append(place)
    assert unnoticed == []


@pytest.mark.parametrize("cut", [1, 22, 1000])
def test_no_end_can_be_cut_off_or_added(sealed: Sealed, tmp_path: Path, cut: int) -> None:
    original = sealed.path.read_bytes()
    for content in (original[:-cut], original + b"\0" * cut, original[cut:]):
        changed = tmp_path / "changed.zip"
        changed.write_bytes(content)
        assert verify_bundle(changed, [sealed.key]).outcome is not Outcome.VERIFIED


def test_another_installation_s_key_does_not_vouch_for_it(sealed: Sealed, tmp_path: Path) -> None:
    with Office(tmp_path / "other") as other:
        assert verify_bundle(sealed.path, [other.inst.signer.vkey]).outcome is Outcome.TAMPERED


# --- the server's own records ----------------------------------------------------------------------------


def edit(trouble: Trouble, statement: str, *values: object) -> None:
    """Change the database as its administrator could, while the server runs."""
    path = trouble.office.inst.folder / DATABASE
    with closing(sqlite3.connect(path, timeout=10)) as connection, connection:
        assert connection.execute(statement, values).rowcount > 0


def test_an_entry_edited_before_it_is_sealed_stops_the_sealer(trouble: Trouble) -> None:
    office = trouble.office
    office.begin("another")
    seq = office.store.last_seq
    edit(
        trouble,
        "UPDATE journal SET body = replace(CAST(body AS TEXT), 'renewals', 'payrolls') WHERE seq = ?",
        seq,
    )
    with pytest.raises(Tampered, match=f"journal entry {seq}") as caught:
        sealing.seal(office.store, office.inst.signer)
    assert "fsck" in caught.value.hint


def test_an_entry_edited_after_it_was_sealed_is_found_before_it_gets_into_a_bundle(trouble: Trouble) -> None:
    office = trouble.office
    trouble.seal()
    (entry,) = office.read(lambda view: view.entries(kinds=("incident.opened",)))
    edit(
        trouble,
        "UPDATE journal SET body = replace(CAST(body AS TEXT), 'the same work twice', 'nothing') WHERE seq = ?",
        entry.seq,
    )
    with pytest.raises(Tampered, match=f"entry {entry.seq - 1} is not in the log"):
        trouble.seal()
    assert fsck(office.store).faults[0].where == f"journal entry {entry.seq}"


def test_what_cannot_be_read_any_more_is_said_to_be_tampered_with(trouble: Trouble) -> None:
    edit(trouble, "UPDATE journal SET body = x'00ff' WHERE kind = 'incident.opened'")
    with pytest.raises(Tampered, match="cannot be read"):
        trouble.seal()
    edit(trouble, "UPDATE incident SET record = x'00ff'")
    with pytest.raises(Tampered, match="a record of kind Incident cannot be read"):
        _ = trouble.known


def test_a_record_edited_behind_the_journal_is_found(trouble: Trouble) -> None:
    edit(
        trouble,
        "UPDATE incident SET record = replace(CAST(record AS TEXT), 'duplicate_work', 'cost_runaway')",
    )
    fault = fsck(trouble.office.store).faults[0]
    assert (fault.where, "type" in fault.what) == (f"incident {trouble.incident}", True)


def test_entries_cut_off_behind_the_sealer_s_back_stop_it(trouble: Trouble) -> None:
    office = trouble.office
    office.begin("another")
    edit(trouble, "DELETE FROM journal WHERE seq = ?", office.store.last_seq)
    with pytest.raises(Tampered, match="is missing"):
        sealing.seal(office.store, office.inst.signer)


def test_a_journal_shorter_than_its_newest_checkpoint_stops_the_sealer(trouble: Trouble) -> None:
    office = trouble.office
    size = sealing.seal(office.store, office.inst.signer)
    edit(trouble, "DELETE FROM journal WHERE seq > ?", size - 3)
    office.begin("another")
    with pytest.raises(Tampered, match="is missing"):
        sealing.seal(office.store, office.inst.signer)


def test_a_bundle_that_was_exchanged_is_not_handed_out(trouble: Trouble) -> None:
    office = trouble.office
    bundle = trouble.seal()
    path = office.inst.folder / EVIDENCE / bundle.path
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(Tampered, match="is not the one that was sealed"):
        evidence.fetch(office.inst, DANA, incident=trouble.incident)
    path.unlink()
    with pytest.raises(NotFound, match="is gone"):
        evidence.fetch(office.inst, DANA, incident=trouble.incident)
    assert office.read(lambda view: view.entries(kinds=("evidence.viewed",))) == [], "nothing was taken out"


def test_sealing_never_writes_over_a_file_that_is_there(trouble: Trouble) -> None:
    """Another server that shares the folder may be sealing, and a database that was put back counts fewer bundles than there are."""
    folder = trouble.office.inst.folder / EVIDENCE
    others = folder / f"{trouble.incident}-002.zip"
    others.write_bytes(b"sealed before")
    assert (trouble.seal().path, others.read_bytes()) == (f"{trouble.incident}-003.zip", b"sealed before")


def test_sealing_at_once_gives_every_bundle_a_file_of_its_own(trouble: Trouble) -> None:
    office = trouble.office
    with ThreadPoolExecutor(4) as pool:
        bundles: list[Bundle] = list(
            pool.map(lambda _n: evidence.seal(office.inst, LEE, incident=trouble.incident), range(4))
        )
    paths = [office.inst.folder / EVIDENCE / bundle.path for bundle in bundles]
    assert len(set(paths)) == 4
    assert all(verify_bundle(path, [office.inst.signer.vkey]).outcome is Outcome.VERIFIED for path in paths)


def test_each_look_at_evidence_is_on_record(trouble: Trouble) -> None:
    trouble.seal()
    evidence.fetch(trouble.office.inst, DANA, incident=trouble.incident)
    (entry,) = trouble.office.read(lambda view: view.entries(kinds=("evidence.viewed",)))
    assert entry.actor == DANA
