"""Contract of verification by keys: what was signed with another key is found when the user gives the key they trust, and no signed statement
is believed against the files or the checkpoint.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from stopwork.ledger.notes import Checkpoint, Signer
from stopwork.ledger.offline import bag
from stopwork.ledger.offline.signed import Key
from stopwork.ledger.statement import bundle_statement, sign_payload
from stopwork.ledger.verify import Broken, Outcome, verify_bundle
from tests.unit.ledger.evidence import (
    BODIES,
    CREATED_AT,
    ORIGIN,
    SIGNER,
    STRANGER,
    bundle,
    good_bundle,
    log_of,
    packed,
    unpacked,
    verified,
)

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


def test_a_key_is_compared_whole() -> None:
    other_name = Key("other", SIGNER.key.public)
    assert other_name != SIGNER.key
    with pytest.raises(Broken):
        verify_bundle("none", ["nonsense"])
