"""Contract of verification: an untouched bundle verifies, a touched one never does, and the first wrong thing is named.

What an attacker without the key can do is done here: change any byte, repair every checksum, drop, edit and reorder
entries. What an attacker with another key can do is found when the user gives the key they trust.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import random
import re
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stopwork.kernel.canonical import canonical_bytes
from stopwork.ledger.merkle import leaf_hash
from stopwork.ledger.notes import Checkpoint, Signer, checkpoint_text
from stopwork.ledger.offline import bag, standalone
from stopwork.ledger.offline.signed import Key
from stopwork.ledger.statement import bundle_statement, sign_payload
from stopwork.ledger.verify import Broken, Outcome, Report, main, verify_bundle
from tests.unit.ledger.evidence import (
    BODIES,
    CREATED_AT,
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
    written,
)

EVERY_CHECK = ["container", "bag", "payload", "tag_files", "statement", "checkpoint", "entries"]


def verified(folder: Path, data: bytes, *keys: str) -> Report:
    return verify_bundle(written(folder, data), keys)


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


# --- another key -----------------------------------------------------------------------------------


def test_a_bundle_signed_anew_with_another_key_is_found_when_the_key_is_given(tmp_path: Path) -> None:
    forged = bundle([body.replace(b"requested", b"completed") for body in BODIES], signer=STRANGER)
    assert verified(tmp_path, forged).outcome is Outcome.VERIFIED  # and says that the key was not compared
    report = verified(tmp_path, forged, SIGNER.vkey)
    assert report.outcome is Outcome.TAMPERED
    assert report.failure is not None
    assert (report.failure.name, report.key_compared) == ("key", True)
    assert STRANGER.vkey in report.failure.detail


def statement_over(files: dict[str, bytes], signer: Signer, **changes: Any) -> bytes:
    """Sign a statement about ``files``, as they are, with anything in it changed."""
    tree = log_of(BODIES)
    content: dict[str, Any] = {
        "external_id": "AI-INC-2026-0302-001",
        "description": "",
        "created_at": CREATED_AT,
        "checkpoint": Checkpoint(ORIGIN, tree.size, tree.root()),
        "entries": [(3, 6), (9, 11)],
        "manifest_sha256": hashlib.sha256(files[bag.MANIFEST]).hexdigest(),
        "tag_manifest_sha256": hashlib.sha256(files[bag.TAG_MANIFEST]).hexdigest(),
        "signer": signer,
    }
    return bundle_statement(**(content | changes))


def test_a_statement_by_another_key_does_not_go_with_the_checkpoint(tmp_path: Path) -> None:
    files = unpacked(good_bundle())
    report = verified(
        tmp_path, packed(files | {bag.STATEMENT: statement_over(files, Signer("x", bytes(32)))})
    )
    assert [check.name for check in report.checks if not check.passed] == ["checkpoint"]


WRONG_STATEMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "about another log": ({"checkpoint": Checkpoint("other", 20, bytes(32))}, "checkpoint"),
    "about another size": ({"checkpoint": Checkpoint(ORIGIN, 10**30, bytes(32))}, "checkpoint"),
    "about more entries": ({"entries": [(3, 6), (9, 12)]}, "entries"),
    "about very many entries": ({"entries": [(0, 10**15)]}, "entries"),
    "about entries out of order": ({"entries": [(9, 11), (3, 6)]}, "entries"),
    "about entries that are not numbers": ({"entries": [("3", "6")]}, "entries"),
    "about another manifest": ({"manifest_sha256": "00" * 32}, "statement"),
    "about another tag manifest": ({"tag_manifest_sha256": "00" * 32}, "statement"),
}


@pytest.mark.parametrize(("changes", "check"), WRONG_STATEMENTS.values(), ids=WRONG_STATEMENTS)
def test_a_signed_statement_is_not_believed_against_the_files(
    tmp_path: Path, changes: dict[str, Any], check: str
) -> None:
    files = unpacked(good_bundle())
    report = verified(tmp_path, packed(files | {bag.STATEMENT: statement_over(files, SIGNER, **changes)}))
    assert check in [failed.name for failed in report.checks if not failed.passed]


WRONG_PAYLOADS: dict[str, Any] = {
    "a list": [],
    "a number": 1,
    "no predicate": {"predicate": None},
    "a signer that is no key": {"predicate": {"signer": "me"}},
    "a signer with half a surrogate pair": b'{"predicate":{"signer":"\\ud800+00000000+AQ=="}}',
    "another kind": {"_type": "x", "predicateType": "y", "predicate": {"signer": SIGNER.vkey}},
}


@pytest.mark.parametrize("payload", WRONG_PAYLOADS.values(), ids=WRONG_PAYLOADS)
def test_any_signed_payload_gets_a_report(tmp_path: Path, payload: Any) -> None:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    signed = sign_payload(bag.PAYLOAD_TYPE, raw, SIGNER)
    report = verified(tmp_path, packed(unpacked(good_bundle()) | {bag.STATEMENT: signed}))
    assert (report.outcome, report.failure and report.failure.name) == (Outcome.TAMPERED, "statement")


def test_text_from_a_bundle_cannot_drive_a_terminal(tmp_path: Path) -> None:
    files = unpacked(good_bundle())
    for description in ("\x1b[2Jall is well", "\u202eall is well", "\ud800"):
        payload = json.loads(
            base64.b64decode(json.loads(statement_over(files, SIGNER, description="x"))["payload"])
        )
        payload["predicate"]["description"] = description
        signed = sign_payload(bag.PAYLOAD_TYPE, json.dumps(payload).encode(), SIGNER)
        text = verified(tmp_path, packed(files | {bag.STATEMENT: signed})).as_text()
        assert not re.search("[\x00-\x09\x0b-\x1f\u202e\ud800-\udfff]", text)


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


# --- alone -----------------------------------------------------------------------------------------


@pytest.fixture
def alone(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the verifier as it is taken out of a bundle: no installed package, no environment."""
    verifier = tmp_path / "verify.py"
    verifier.write_bytes(unpacked(good_bundle())["verify.py"])

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-S", str(verifier), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env={}, check=False, timeout=60)

    return run


def test_the_verifier_runs_alone(tmp_path: Path, alone: Callable[..., Any]) -> None:
    path = written(tmp_path, good_bundle())
    ran = alone(str(path), "--key", SIGNER.vkey)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == verify_bundle(path, [SIGNER.vkey]).as_text()


def test_the_verifier_answers_json(tmp_path: Path, alone: Callable[..., Any]) -> None:
    path = written(tmp_path, good_bundle()[:-1])
    ran = alone(str(path), "--json")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert json.loads(ran.stdout) == json.loads(json.dumps(verify_bundle(path).as_json()))
    assert json.loads(ran.stdout)["outcome"] == "tampered"


def test_the_verifier_says_what_it_cannot_read(tmp_path: Path, alone: Callable[..., Any]) -> None:
    ran = alone(str(tmp_path / "none.zip"))
    assert (ran.returncode, ran.stderr) == (2, "")
    assert "cannot be read: No such file or directory" in ran.stdout


def test_the_verifier_refuses_what_is_not_a_key(tmp_path: Path, alone: Callable[..., Any]) -> None:
    ran = alone(str(written(tmp_path, good_bundle())), "--key", "nonsense")
    assert ran.returncode == 2
    assert "--key: a key is written name+8 hex digits+base64" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_verifier_rests_on_the_standard_library_alone() -> None:
    imported = set(re.findall(r"^(?:from|import) (\w+)", standalone(), re.MULTILINE))
    assert imported <= sys.stdlib_module_names
    ast.parse(standalone(), feature_version=(3, 9))


def test_no_part_of_the_verifier_takes_the_name_of_another() -> None:
    names = [name for part in ast.parse(standalone()).body for name in defined_by(part)]
    assert len(names) > 60
    assert sorted(names) == sorted(set(names))


def defined_by(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef() | ast.ClassDef():
            return [statement.name]
        case ast.Assign():
            stored = [node for target in statement.targets for node in ast.walk(target)]
            return [node.id for node in stored if isinstance(node, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def test_the_command_prints_and_answers_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(written(tmp_path, good_bundle()))]) == 0
    assert capsys.readouterr().out.startswith("VERIFIED\n")
    assert main([str(written(tmp_path, good_bundle()[:-1]))]) == 1
    assert main([str(tmp_path)]) == 2


def test_a_key_is_compared_whole() -> None:
    other_name = Key("other", SIGNER.key.public)
    assert other_name != SIGNER.key
    with pytest.raises(Broken):
        verify_bundle("none", ["nonsense"])
