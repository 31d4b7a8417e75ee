"""Contract of what a bundle says about checkpoints that are kept elsewhere: the log grew from each of them, what a third party signed is
checked as far as it can be offline, and the report says of every place what it proves and what only a look there can tell.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stopwork.anchors.timestamp import REPLY
from stopwork.anchors.witness import COSIGNED
from stopwork.ledger.notes import Checkpoint as LogState
from stopwork.ledger.notes import Signer, checkpoint_text, text_of
from stopwork.ledger.offline import bag
from stopwork.ledger.offline.elsewhere import MAX_PLACES
from stopwork.ledger.redaction import Rules, redact
from stopwork.ledger.verify import Outcome, Report
from tests.support.office import START
from tests.support.places import Witness
from tests.support.tsa import TimestampingAuthority
from tests.unit.ledger.evidence import (
    BODIES,
    CREATED_AT,
    PAYLOAD,
    SIGNER,
    STRANGER,
    bundle,
    checkpoint_of,
    log_of,
    unpacked,
    verified,
    written,
)

EARLIER = 13
NOTE = checkpoint_of(log_of(BODIES[:EARLIER]), SIGNER)
WITNESS = Witness(SIGNER.vkey, now_s=int(START.timestamp()))
COSIGNATURE = WITNESS.cosignature(text_of(NOTE))
AUTHORITY = TimestampingAuthority(START)


def place(kind: str = "file", note: str = NOTE, receipt: bytes = b"", **changes: Any) -> dict[str, Any]:
    return {
        "anchor": f"the {kind}",
        "kind": kind,
        "place": f"a {kind} far away",
        "at": CREATED_AT.isoformat(),
        "size": EARLIER,
        "checkpoint": note,
        "said": "added",
        "receipt": base64.b64encode(receipt).decode(),
        "media_type": {"witness": COSIGNED, "timestamp": REPLY}.get(kind, ""),
        "proof": [node.hex() for node in log_of(BODIES).consistency_proof(EARLIER)],
    } | changes


def cosigned(note: str = NOTE, cosignature: str = COSIGNATURE) -> dict[str, Any]:
    return place("witness", receipt=(note + cosignature).encode())


def stamped(*, forged: bool = False) -> dict[str, Any]:
    return place("timestamp", receipt=AUTHORITY.answer(asked_for(NOTE), forged=forged))


def asked_for(note: str) -> bytes:
    import rfc3161_client

    builder = rfc3161_client.TimestampRequestBuilder().data(note.encode())
    return builder.hash_algorithm(rfc3161_client.base.HashAlgorithm.SHA256).build().as_bytes()


def with_places(*places: Mapping[str, Any] | bytes) -> bytes:
    lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in places]
    return bundle(payload=PAYLOAD | {"anchors.jsonl": b"".join(line + b"\n" for line in lines)})


def checked(folder: Path, *places: Mapping[str, Any] | bytes, keys: tuple[str, ...] = ()) -> Report:
    return verified(folder, with_places(*places), *keys)


def sentence_about(sentences: tuple[str, ...], what: str) -> str:
    (found,) = (sentence for sentence in sentences if what in sentence)
    return found


def test_a_place_that_only_a_look_can_check_is_named_with_what_to_look_for(tmp_path: Path) -> None:
    report = checked(tmp_path, place())
    assert report.outcome is Outcome.VERIFIED
    open_question = sentence_about(report.not_proven, "a file far away")
    assert log_of(BODIES[:EARLIER]).root().hex() in open_question
    assert f"first {EARLIER} entries" in open_question
    assert "said to be there: added" in open_question


def test_a_cosignature_is_checked_with_the_witness_s_key(tmp_path: Path) -> None:
    report = checked(tmp_path, cosigned(), keys=(SIGNER.vkey, WITNESS.key.vkey))
    assert (report.outcome, report.key_compared) == (Outcome.VERIFIED, True)
    assert "2026-03-02 13:00:00 UTC" in sentence_about(report.proven, "cosigned by witness.acme.test")
    assert not any("witness" in sentence for sentence in report.not_proven)


def test_a_witness_s_key_says_nothing_about_the_signer_s(tmp_path: Path) -> None:
    report = checked(tmp_path, cosigned(), keys=(WITNESS.key.vkey,))
    assert (report.outcome, report.key_compared) == (Outcome.VERIFIED, False)


def test_a_cosignature_is_not_proven_without_the_witness_s_key(tmp_path: Path) -> None:
    report = checked(tmp_path, cosigned())
    assert report.outcome is Outcome.VERIFIED
    assert not any("cosigned" in sentence for sentence in report.proven)
    assert "give the witness's key with --key" in sentence_about(report.not_proven, "a witness far away")


@pytest.mark.parametrize("data", [(), (place(),)], ids=["no places", "another place"])
def test_a_witness_that_never_saw_the_log_is_named(tmp_path: Path, data: tuple[dict[str, Any], ...]) -> None:
    report = checked(tmp_path, *data, keys=(SIGNER.vkey, WITNESS.key.vkey))
    assert "witness.acme.test" in sentence_about(report.not_proven, "ever saw this log")


def test_a_time_stamp_is_read_and_whose_it_is_stays_open(tmp_path: Path) -> None:
    report = checked(tmp_path, stamped())
    assert report.outcome is Outcome.VERIFIED
    assert "stamped 2026-03-02 13:00:00 UTC" in sentence_about(report.not_proven, "a timestamp far away")


def test_openssl_tells_whose_time_stamp_it_is(tmp_path: Path) -> None:
    checkpoint, token, roots = (tmp_path / name for name in ("checkpoint.txt", "stamp.tsr", "roots.pem"))
    line = json.loads(unpacked(with_places(stamped()))[bag.ANCHORS])
    checkpoint.write_text(line["checkpoint"])
    token.write_bytes(base64.b64decode(line["receipt"]))
    roots.write_bytes(AUTHORITY.root)
    files = ["-data", str(checkpoint), "-in", str(token), "-CAfile", str(roots)]
    ran = subprocess.run(["openssl", "ts", "-verify", *files], capture_output=True, text=True, check=False)
    assert "Verification: OK" in ran.stdout, ran.stderr


STRANGE_NOTE = checkpoint_of(log_of(BODIES[:EARLIER]), STRANGER)
OTHER_LOG = checkpoint_of(log_of([b"something else", *BODIES[1:EARLIER]]), SIGNER)
FOREIGN = Signer("log.else.test/1", bytes(32))
FOREIGN_NOTE = FOREIGN.sign(
    checkpoint_text(LogState(FOREIGN.key.name, EARLIER, log_of(BODIES[:EARLIER]).root()))
)
NEWER = checkpoint_of(log_of([*BODIES, b"more"]), SIGNER)
FALSE: dict[str, tuple[Mapping[str, Any] | bytes, str]] = {
    "not JSON": (b"nonsense", "does not name a place"),
    "not a mapping": (b"[]", "does not name a place"),
    "deep": (b"[" * 100_000, "does not name a place"),
    "a place that is a number": (place(place=1), "does not name a place"),
    "a proof that is none": (place(proof=["zz"]), "does not name a place"),
    "words that are no text": (place(place="\x1b[2J"), "does not name a place"),
    "no note": (place(checkpoint="hello"), "not a signed note"),
    "another key": (place(note=STRANGE_NOTE), "no signature by the expected key"),
    "another log": (place(note=FOREIGN_NOTE), "no signature by the expected key"),
    "another history": (place(note=OTHER_LOG), "did not grow from it"),
    "no proof": (place(proof=[]), "did not grow from it"),
    "a later one": (place(note=NEWER), "not an earlier one"),
    "a stamp over something else": (stamped(forged=True), "about something else"),
    "a cosignature over something else": (
        cosigned(checkpoint_of(log_of(BODIES[:3]), SIGNER), COSIGNATURE),
        "the signature of witness.acme.test does not verify",
    ),
    "a cosignature of another checkpoint": (
        cosigned(OTHER_LOG, WITNESS.cosignature(text_of(OTHER_LOG))),
        "the witness signed something else",
    ),
    "a receipt that is no text": (place("witness", receipt=b"\xff\xff"), "decode"),
    "a receipt that is not base64": (place("witness") | {"receipt": "?"}, "not base64"),
}


@pytest.mark.parametrize(("line", "why"), FALSE.values(), ids=FALSE)
def test_what_is_false_breaks_the_bundle_and_is_named(
    tmp_path: Path, line: Mapping[str, Any] | bytes, why: str
) -> None:
    report = checked(tmp_path, place(), line, keys=(SIGNER.vkey, WITNESS.key.vkey))
    assert report.outcome is Outcome.TAMPERED
    assert report.failure is not None
    assert (report.failure.name, report.failure.where) == ("anchors", bag.ANCHORS)
    assert why in report.failure.detail


@pytest.mark.parametrize(
    "token", [b"", b"\x30", b"\x30\x80\x00\x00", b"\x30\x84\xff\xff\xff\xff", b"\x30\xff" + bytes(200)]
)
def test_a_time_stamp_in_another_spelling_is_left_to_openssl(tmp_path: Path, token: bytes) -> None:
    report = checked(tmp_path, place("timestamp", receipt=token))
    assert report.outcome is Outcome.VERIFIED
    assert "check it with openssl ts" in sentence_about(report.not_proven, "a timestamp far away")


def test_more_places_than_a_server_can_have_are_refused(tmp_path: Path) -> None:
    report = checked(tmp_path, *[place()] * (MAX_PLACES + 1))
    assert report.failure is not None
    assert "more than" in report.failure.detail


def test_the_verifier_inside_says_the_same(tmp_path: Path) -> None:
    path = written(tmp_path, with_places(place(), cosigned(), stamped()))
    verifier = tmp_path / "verify.py"
    verifier.write_bytes(unpacked(path.read_bytes())["verify.py"])
    keys = ("--key", SIGNER.vkey, "--key", WITNESS.key.vkey)
    ran = subprocess.run(
        [sys.executable, "-I", "-S", verifier, path, *keys],
        capture_output=True,
        text=True,
        env={},
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == verified(tmp_path, path.read_bytes(), SIGNER.vkey, WITNESS.key.vkey).as_text()
    assert "cosigned by witness.acme.test" in ran.stdout


def test_a_redacted_copy_still_says_where_the_log_was_known(tmp_path: Path) -> None:
    source, target = written(tmp_path, with_places(cosigned())), tmp_path / "shared.zip"
    redact(source, target, Rules(texts=("entry",)))
    report = verified(tmp_path, target.read_bytes(), SIGNER.vkey, WITNESS.key.vkey)
    assert report.outcome is Outcome.VERIFIED
    assert sentence_about(report.proven, "cosigned by witness.acme.test")


def test_a_redacted_copy_does_not_name_a_place_that_must_not_be_seen(tmp_path: Path) -> None:
    source, target = written(tmp_path, with_places(place(place="a mail to Déjà"))), tmp_path / "shared.zip"
    done = redact(source, target, Rules(texts=("déjà",)))
    assert bag.ANCHORS in done.files
    assert verified(tmp_path, target.read_bytes()).outcome is Outcome.VERIFIED


def test_no_word_of_a_bundle_is_taken_for_a_line_of_the_report(tmp_path: Path) -> None:
    forged = "added\n  ok      key         the key is the one you gave"
    report = checked(tmp_path, place(said=forged))
    assert "\n  ok      key" not in report.as_text()
