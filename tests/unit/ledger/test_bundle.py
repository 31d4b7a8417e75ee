"""Contract of writing a bundle: a valid bag with everything in it, the same bytes for the same content, all or nothing."""

from __future__ import annotations

import hashlib
import io
import json
import tracemalloc
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from stopwork.kernel.errors import Conflict, Invalid, Tampered, TooLarge
from stopwork.ledger.bundle import BundleFacts, SealedEntry, write_bundle
from stopwork.ledger.notes import Checkpoint, checkpoint_text, verify
from tests.unit.ledger.evidence import (
    BODIES,
    CREATED_AT,
    EXPORTED,
    ORIGIN,
    PAYLOAD,
    SIGNER,
    STRANGER,
    bundle,
    checkpoint_of,
    log_of,
    sealed,
    unpacked,
)


def test_it_holds_the_entries_their_proofs_and_the_payload() -> None:
    files = unpacked(bundle())
    assert files["data/journal.jsonl"] == b"".join(BODIES[index] + b"\n" for index in EXPORTED)
    proofs = [json.loads(line) for line in files["data/proofs.jsonl"].splitlines()]
    assert [proof["index"] for proof in proofs] == list(EXPORTED)
    assert proofs[0]["leaf"] == hashlib.sha256(b"\x00" + BODIES[3]).hexdigest()
    assert proofs[0]["proof"] == [node.hex() for node in log_of(BODIES).inclusion_proof(3)]
    assert {name: files[f"data/{name}"] for name in PAYLOAD} == PAYLOAD


def test_it_is_a_bagit_1_0_bag() -> None:
    files = unpacked(bundle())
    payload = {name: content for name, content in files.items() if name.startswith("data/")}
    assert files["bagit.txt"] == b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
    assert dict(line.split(": ", 1) for line in files["bag-info.txt"].decode().splitlines()) == {
        "External-Identifier": "AI-INC-2026-0302-001",
        "External-Description": "Duplicate tasks from a retry",
        "Bagging-Date": "2026-03-02",
        "Bag-Software-Agent": "Stopwork",
        "Payload-Oxum": f"{sum(map(len, payload.values()))}.{len(payload)}",
    }
    for manifest, covered in (
        ("manifest-sha256.txt", set(payload)),
        (
            "tagmanifest-sha256.txt",
            set(files) - set(payload) - {"tagmanifest-sha256.txt", "statement.dsse.json"},
        ),
    ):
        pairs = [line.split("  ") for line in files[manifest].decode().splitlines()]
        listed = {name: sha256 for sha256, name in pairs}
        assert set(listed) == covered
        assert all(hashlib.sha256(files[name]).hexdigest() == sha256 for name, sha256 in listed.items())


def test_it_carries_the_checkpoint_as_it_was_signed() -> None:
    note = unpacked(bundle())["checkpoint.txt"].decode()
    tree = log_of(BODIES)
    assert verify(note, [SIGNER.vkey]) == checkpoint_text(Checkpoint(ORIGIN, tree.size, tree.root()))


def test_the_same_content_gives_the_same_bytes() -> None:
    assert bundle() == bundle(payload=dict(reversed(PAYLOAD.items())))


def test_the_facts_are_those_of_the_file(tmp_path: Path) -> None:
    tree, path = log_of(BODIES), tmp_path / "evidence.zip"
    facts = write_bundle(
        path,
        external_id="AI-INC-2026-0302-001",
        description="",
        payload={},
        entries=iter(sealed(tree, BODIES, EXPORTED)),
        checkpoint=checkpoint_of(tree, SIGNER),
        signer=SIGNER,
        created_at=CREATED_AT,
    )
    data = path.read_bytes()
    assert facts == BundleFacts(
        digest=f"sha256:{hashlib.sha256(data).hexdigest()}",
        size_bytes=len(data),
        entries=len(EXPORTED),
        files=len(unpacked(data)),
    )
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_copied_as_it_is(tmp_path: Path) -> None:
    source = tmp_path / "input.csv"
    source.write_bytes(bytes(range(256)) * 5000)
    assert unpacked(bundle(payload={"blobs/input": source}))["data/blobs/input"] == source.read_bytes()


def test_large_files_are_not_held_in_memory(tmp_path: Path) -> None:
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    target = tmp_path / "evidence.zip"
    bundle()
    tracemalloc.start()
    tree = log_of(BODIES)
    write_bundle(
        target,
        external_id="x",
        description="",
        payload={"large": source},
        entries=sealed(tree, BODIES, EXPORTED),
        checkpoint=checkpoint_of(tree, SIGNER),
        signer=SIGNER,
        created_at=CREATED_AT,
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert target.stat().st_size > 64 * 1024 * 1024
    assert peak < 16 * 1024 * 1024
    with zipfile.ZipFile(target) as archive:
        assert archive.getinfo("data/large").file_size == 64 * 1024 * 1024


# --- what is refused -------------------------------------------------------------------------------

TREE = log_of(BODIES)
OTHER = SealedEntry(index=3, body=b'{"entry":"other"}', proof=TREE.inclusion_proof(3))
REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "an entry that is not in the log": ({"entries": [OTHER]}, Tampered, "entry 3 is not in the log"),
    "entries out of order": (
        {"entries": sealed(TREE, BODIES, (4, 3))},
        Invalid,
        "entry 3 comes after entry 4",
    ),
    "an entry twice": ({"entries": sealed(TREE, BODIES, (4, 4))}, Invalid, "entry 4 comes after entry 4"),
    "a checkpoint by somebody else": (
        {"checkpoint": checkpoint_of(TREE, STRANGER)},
        Tampered,
        "no signature by the expected key",
    ),
    "a note that is no checkpoint": ({"checkpoint": SIGNER.sign("text\n")}, Invalid, "not a checkpoint"),
    "a payload name that climbs": ({"payload": {"../x": b""}}, Invalid, "'../x' cannot be the name"),
    "an absolute payload name": ({"payload": {"/x": b""}}, Invalid, "cannot be the name"),
    "a payload name with a space": ({"payload": {"a b": b""}}, Invalid, "cannot be the name"),
    "a payload name that is taken": ({"payload": {"journal.jsonl": b""}}, Invalid, "cannot be the name"),
    "a label that is not printable": ({"external_id": "a\x1bb"}, Invalid, "printable text"),
    "a label that is too long": ({"description": "x" * 1001}, Invalid, "printable text"),
    "a time without a zone": (
        {"created_at": datetime.fromisoformat("2026-03-02T09:30")},
        Invalid,
        "without a zone",
    ),
}


@pytest.mark.parametrize(("changes", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_evidence_is_refused(
    changes: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        bundle(**changes)


def test_an_entry_is_one_line() -> None:
    with pytest.raises(Invalid, match="entry 0 is not one line"):
        bundle([b"two\nlines"], [0])


def test_labels_are_put_on_one_line() -> None:
    info = unpacked(bundle(description="first\nContact-Email: x@acme.test"))["bag-info.txt"].decode()
    assert "External-Description: first Contact-Email: x@acme.test\n" in info


def test_more_files_than_a_bundle_holds_are_refused() -> None:
    with pytest.raises(TooLarge, match="65544 files"):
        bundle(payload={f"blobs/{number}": b"" for number in range(65_535)})


def test_a_file_that_changes_meanwhile_is_noticed() -> None:
    class Changing(io.BytesIO):
        """Answers something else each time it is read."""

        reads = 0

        def seek(self, offset: int, whence: int = 0) -> int:
            self.reads += 1
            self.truncate(0)
            super().seek(0)
            self.write(b"%d" % self.reads)
            return super().seek(0)

    with pytest.raises(Conflict, match="data/log changed"):
        bundle(payload={"log": Changing()})


def test_a_failed_export_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "evidence.zip"
    target.write_bytes(b"before")
    with pytest.raises(FileNotFoundError):
        write_bundle(
            target,
            external_id="x",
            description="",
            payload={"gone": tmp_path / "gone"},
            entries=[],
            checkpoint=checkpoint_of(TREE, SIGNER),
            signer=SIGNER,
            created_at=CREATED_AT,
        )
    assert (target.read_bytes(), list(tmp_path.iterdir())) == (b"before", [target])
