"""Contract of verification: an untouched bundle verifies, a touched one never does, and the first wrong thing is named.

What an attacker without the key can do is done here: change any byte, repair every checksum, drop, edit and reorder entries.
"""

from __future__ import annotations

import json
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from stopwork.kernel.canonical import canonical_bytes
from stopwork.ledger.merkle import leaf_hash
from stopwork.ledger.notes import Checkpoint, Signer, checkpoint_text
from stopwork.ledger.offline import bag
from stopwork.ledger.verify import Broken, Outcome, verify_bundle
from tests.unit.ledger.evidence import (
    BODIES,
    EXPORTED,
    ORIGIN,
    SIGNER,
    STRANGER,
    bundle,
    first_failure,
    good_bundle,
    log_of,
    packed,
    repaired,
    unpacked,
    verified,
    written,
)

EVERY_CHECK = ["container", "bag", "payload", "tag_files", "statement", "checkpoint", "entries"]


# --- an untouched bundle ---------------------------------------------------------------------------


def test_an_untouched_bundle_verifies(tmp_path: Path) -> None:
    report = verified(tmp_path, good_bundle(), SIGNER.vkey)
    assert report.outcome is Outcome.VERIFIED
    assert [check.name for check in report.checks] == [*EVERY_CHECK, "key"]
    assert report.failure is None
    assert report.facts is not None
    assert (report.facts.id, report.facts.signer) == ("AI-INC-2026-0302-001", SIGNER.vkey)
    assert (report.facts.fingerprint, report.facts.origin) == (SIGNER.key.fingerprint, ORIGIN)
    assert (report.facts.entries, report.facts.log_size) == (len(EXPORTED), len(BODIES))
    assert report.facts.created_at == "2026-03-02T09:30:00Z"


def test_the_report_says_whether_the_key_was_compared(tmp_path: Path) -> None:
    without, with_key = verified(tmp_path, good_bundle()), verified(tmp_path, good_bundle(), SIGNER.vkey)
    assert (without.outcome, without.key_compared) == (Outcome.VERIFIED, False)
    assert without.not_proven[0].startswith("Whose key it is")
    assert with_key.key_compared
    assert not any(sentence.startswith("Whose key it is") for sentence in with_key.not_proven)
    assert [
        "which is one that you gave, signed exactly these" in each.proven[0] for each in (without, with_key)
    ] == [False, True]
    assert (
        sum(f"ends with the first {len(BODIES)} entries of the log" in each for each in with_key.not_proven)
        == 1
    )


def test_the_report_says_whether_entries_were_left_out(tmp_path: Path) -> None:
    selection = verified(tmp_path, good_bundle())
    whole = verified(tmp_path, bundle(indexes=range(len(BODIES))))
    assert selection.not_proven[-1].startswith("That the entries left out do not matter")
    assert set(whole.not_proven) == set(selection.not_proven) - {selection.not_proven[-1]}


def test_one_of_several_keys_is_enough(tmp_path: Path) -> None:
    assert verified(tmp_path, good_bundle(), STRANGER.vkey, SIGNER.vkey).outcome is Outcome.VERIFIED


def test_a_witnessed_checkpoint_verifies(tmp_path: Path) -> None:
    tree = log_of(BODIES)
    text = checkpoint_text(Checkpoint(ORIGIN, tree.size, tree.root()))
    witness = Signer("witness.test", bytes(32)).sign(text).split("\n\n")[1]
    data = bundle(checkpoint=SIGNER.sign(text) + witness)
    assert verified(tmp_path, data, SIGNER.vkey).outcome is Outcome.VERIFIED


def test_a_bundle_without_entries_verifies(tmp_path: Path) -> None:
    assert verified(tmp_path, bundle(indexes=[])).outcome is Outcome.VERIFIED


# --- any change ------------------------------------------------------------------------------------


def test_every_single_byte_matters() -> None:
    data = bytearray(good_bundle())
    chance = random.Random(6962)
    for position, byte in enumerate(good_bundle()):
        data[position] = byte ^ (1 << chance.randrange(8))
        with suppress(Broken):
            assert first_failure(bytes(data)) is not None, f"a changed byte at {position} was not found"
        data[position] = byte


def test_every_single_byte_of_a_file_matters_when_all_checksums_are_repaired() -> None:
    files, chance = unpacked(good_bundle()), random.Random(8493)
    signed = {bag.STATEMENT: range(len(files[bag.STATEMENT]))}
    others = {name: chance.sample(range(len(files[name])), min(len(files[name]), 25)) for name in files}
    for name, positions in (others | signed).items():
        for position in positions:
            content = bytearray(files[name])
            content[position] ^= 1 << chance.randrange(8)
            changed = files | {name: bytes(content)}
            repack = packed if name in (bag.MANIFEST, bag.TAG_MANIFEST) else repaired
            assert first_failure(repack(changed)) is not None, f"byte {position} of {name}"


def mutated(data: bytes, chance: random.Random) -> bytes:
    a, b = sorted(chance.sample(range(len(data)), 2))
    some = chance.randrange(1, 40)
    match chance.randrange(8):
        case 0:
            return data[:a] + chance.randbytes(some) + data[a:]
        case 1:
            return data[:a] + data[a + some :]
        case 2:
            return data[:a] + data[b : b + some] + data[a + some : b] + data[a : a + some] + data[b + some :]
        case 3:
            return data[:a]
        case 4:
            return data[:b] + data[a : a + some] + data[b:]
        case 5:
            return data[:a] + chance.randbytes(some) + data[a + some :]
        case 6:
            return data[a:]
        case _:
            return data[:a] + data[b:]


@pytest.mark.parametrize("seed", range(8))
def test_no_mutation_verifies_and_none_is_answered_by_an_exception(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for round_ in range(250):
        data = good_bundle()
        if round_ % 2:
            data = mutated(data, chance)
        else:  # in one file, with everything repaired that needs no key
            files = unpacked(data)
            name = chance.choice([name for name in sorted(files) if name != bag.VERIFIER])
            repack = packed if name in (bag.MANIFEST, bag.TAG_MANIFEST) else repaired
            data = repack(files | {name: mutated(files[name] * 2, chance)})
        if data == good_bundle():
            continue
        report = verified(tmp_path, data)
        assert report.outcome is not Outcome.VERIFIED, f"seed {seed}, round {round_}"
        assert report.failure is not None
        assert report.proven == report.not_proven == ()
        report.as_text(), json.dumps(report.as_json())


# --- what is wrong is named ------------------------------------------------------------------------

Lines = list[bytes]


def dropped(journal: Lines, _proofs: Lines) -> None:
    del journal[2]


def last_dropped(journal: Lines, _proofs: Lines) -> None:
    del journal[-1]


def dropped_with_its_proof(journal: Lines, proofs: Lines) -> None:
    del journal[2], proofs[2]


def last_dropped_with_its_proof(journal: Lines, proofs: Lines) -> None:
    del journal[-1], proofs[-1]


def edited(journal: Lines, _proofs: Lines) -> None:
    journal[2] = journal[2].replace(b"requested", b"completed")


def edited_with_its_leaf(journal: Lines, proofs: Lines) -> None:
    edited(journal, proofs)
    proof = json.loads(proofs[2])
    proofs[2] = canonical_bytes(proof | {"leaf": leaf_hash(journal[2]).hex()})


def reordered(journal: Lines, _proofs: Lines) -> None:
    journal[2], journal[4] = journal[4], journal[2]


def reordered_with_their_proofs(journal: Lines, proofs: Lines) -> None:
    journal[2], journal[3] = journal[3], journal[2]
    proofs[2], proofs[3] = proofs[3], proofs[2]


def doubled(journal: Lines, _proofs: Lines) -> None:
    journal.insert(3, journal[2])


def invented(journal: Lines, _proofs: Lines) -> None:
    journal.insert(2, b'{"entry":"invented"}')


def invented_at_the_end(journal: Lines, _proofs: Lines) -> None:
    journal.append(b'{"entry":"invented"}')


def proof_dropped(_journal: Lines, proofs: Lines) -> None:
    del proofs[-1]


def another_entry_of_the_log(journal: Lines, proofs: Lines) -> None:
    journal.append(BODIES[15])
    tree = log_of(BODIES)
    proof = [node.hex() for node in tree.inclusion_proof(15)]
    proofs.append(canonical_bytes({"index": 15, "leaf": leaf_hash(BODIES[15]).hex(), "proof": proof}))


NAMED: dict[Callable[[Lines, Lines], None], tuple[str, str]] = {
    dropped: ("entry 5", "entry 5 is missing"),
    last_dropped: ("entry 11", "entry 11 is missing"),
    dropped_with_its_proof: ("entry 5", "entry 5 is missing"),
    last_dropped_with_its_proof: ("entry 11", "entry 11 is missing"),
    edited: ("entry 5", "entry 5 was changed: it is not what was sealed"),
    edited_with_its_leaf: ("entry 5", "entry 5 is not in the log that the checkpoint speaks of"),
    reordered: ("entry 5", "entry 9 stands where entry 5 belongs"),
    reordered_with_their_proofs: ("entry 5", "entry 5 is missing"),
    doubled: ("entry 6", "entry 5 stands where entry 6 belongs"),
    invented: ("entry 5", "something that was never sealed stands where entry 5 belongs"),
    invented_at_the_end: ("line 8", "line 8 of the journal was added: it has no proof"),
    proof_dropped: ("entry 11", "entry 11 is missing"),
    another_entry_of_the_log: ("entry 15", "entry 15 is not one that the statement names here"),
}


@pytest.mark.parametrize("change", NAMED, ids=lambda change: change.__name__)
def test_a_changed_entry_is_named(tmp_path: Path, change: Callable[[Lines, Lines], None]) -> None:
    files = unpacked(good_bundle())
    journal, proofs = (files[name].splitlines() for name in (bag.JOURNAL, bag.PROOFS))
    change(journal, proofs)
    files |= {bag.JOURNAL: b"\n".join([*journal, b""]), bag.PROOFS: b"\n".join([*proofs, b""])}
    report = verified(tmp_path, repaired(files))
    assert report.outcome is Outcome.TAMPERED
    entries = next(check for check in report.checks if check.name == "entries")
    assert (entries.where, entries.detail) == NAMED[change]
    # Every checksum was repaired; what could not be is the signature.
    assert [check.name for check in report.checks if not check.passed] == ["statement", "entries"]


def without(name: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda files: {other: content for other, content in files.items() if other != name}


def holding(name: str, content: bytes) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda files: files | {name: content}


NAMED_FILES: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes]], str, str]] = {
    "a changed payload file": (holding("data/report.md", b"# Other\n"), "payload", "data/report.md"),
    "a missing payload file": (without("data/report.md"), "payload", "data/report.md"),
    "an added payload file": (holding("data/extra", b""), "payload", "data/extra"),
    "a missing journal": (without(bag.JOURNAL), "bag", bag.JOURNAL),
    "a missing tag file": (without("verify.py"), "bag", "verify.py"),
    "an added tag file": (holding("readme.txt", b""), "bag", "readme.txt"),
    "a changed verifier": (holding("verify.py", b"print('VERIFIED')"), "tag_files", "verify.py"),
    "another version of BagIt": (holding("bagit.txt", b"BagIt-Version: 0.97\n"), "bag", "bagit.txt"),
    "no oxum": (holding("bag-info.txt", b""), "bag", "bag-info.txt"),
    "a statement that is not JSON": (holding(bag.STATEMENT, b"{"), "statement", bag.STATEMENT),
    "a statement nested without end": (holding(bag.STATEMENT, b"[" * 100_000), "statement", bag.STATEMENT),
    "a statement of something else": (holding(bag.STATEMENT, b"[]"), "statement", bag.STATEMENT),
    "a checkpoint that is not text": (holding("checkpoint.txt", b"\xff"), "checkpoint", "checkpoint.txt"),
    "a statement too large to read": (
        holding(bag.STATEMENT, bytes(5 * 1024 * 1024)),
        "statement",
        bag.STATEMENT,
    ),
    "a line too long to read": (holding(bag.PROOFS, bytes(100_000)), "entries", bag.PROOFS),
    "a proof that is not one": (holding(bag.PROOFS, b"{}\n"), "entries", bag.PROOFS),
    "a proof nested without end": (holding(bag.PROOFS, b"[" * 8000 + b"\n"), "entries", bag.PROOFS),
}


@pytest.mark.parametrize(("change", "check", "where"), NAMED_FILES.values(), ids=NAMED_FILES)
def test_a_changed_file_is_named(
    tmp_path: Path, change: Callable[[dict[str, bytes]], dict[str, bytes]], check: str, where: str
) -> None:
    report = verified(tmp_path, packed(change(unpacked(good_bundle()))))
    assert report.outcome is Outcome.TAMPERED
    assert where in [failed.where for failed in report.checks if failed.name == check and not failed.passed]


# --- what is no bundle -----------------------------------------------------------------------------


def some_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "some.zip", "w") as archive:
        archive.writestr("hello.txt", "hello")
    return folder / "some.zip"


def some_canonical_zip(folder: Path) -> Path:
    return written(folder, packed({"hello.txt": b"hello"}))


def some_text(folder: Path) -> Path:
    return written(folder, b"hello")


def nothing(folder: Path) -> Path:
    return written(folder, b"")


def no_file(folder: Path) -> Path:
    return folder / "none.zip"


def a_folder(folder: Path) -> Path:
    return folder


@pytest.mark.parametrize("make", [some_zip, some_canonical_zip, some_text, nothing, no_file, a_folder])
def test_what_is_no_bundle_is_unreadable(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    report = verify_bundle(make(tmp_path))
    assert (report.outcome, report.facts) == (Outcome.UNREADABLE, None)
    assert report.failure is not None
    assert report.failure.detail.startswith(("it cannot be read", "it is not a Stopwork evidence bundle"))


def test_a_bundle_packed_again_is_tampered(tmp_path: Path) -> None:
    path = tmp_path / "again.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in unpacked(good_bundle()).items():
            archive.writestr(name, content)
    report = verify_bundle(path)
    assert report.outcome is Outcome.TAMPERED
    assert report.failure is not None
    assert report.failure.detail.endswith("is compressed: the bundle was packed again")


def test_a_truncated_bundle_is_tampered(tmp_path: Path) -> None:
    for size in (100, 10_000, len(good_bundle()) - 1):
        assert verified(tmp_path, good_bundle()[:size]).outcome is Outcome.TAMPERED


def test_large_bundles_are_read_in_bounded_memory(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    path = written(tmp_path, bundle(payload={"large": large}))
    tracemalloc.start()
    report = verify_bundle(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.outcome is Outcome.VERIFIED
    assert peak < 8 * 1024 * 1024
