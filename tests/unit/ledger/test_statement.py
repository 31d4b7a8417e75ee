"""Contract of the statement: a DSSE envelope that others' tools can read, around an in-toto Statement v1."""

from __future__ import annotations

import base64
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from stopwork.ledger.notes import Checkpoint
from stopwork.ledger.offline.signed import pae
from stopwork.ledger.statement import bundle_statement, sign_payload
from tests.unit.ledger.evidence import CREATED_AT, SIGNER


def test_the_published_pre_authentication_encoding() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_lengths_are_counted_in_bytes() -> None:
    assert pae("é", "ü".encode()) == "DSSEv1 2 é 2 ü".encode()


def test_the_signature_covers_the_payload_and_its_type() -> None:
    content = json.loads(sign_payload("application/x", b"\x00payload", SIGNER))
    [signature] = content["signatures"]
    assert (content["payloadType"], base64.b64decode(content["payload"])) == ("application/x", b"\x00payload")
    assert signature["keyid"] == SIGNER.key.fingerprint
    Ed25519PublicKey.from_public_bytes(SIGNER.key.public).verify(
        base64.b64decode(signature["sig"]), b"DSSEv1 13 application/x 8 \x00payload"
    )


def test_the_statement_names_the_manifests_by_digest_and_the_log_by_its_root() -> None:
    signed = bundle_statement(
        external_id="AI-INC-2026-0302-001",
        description="Duplicate tasks",
        created_at=CREATED_AT,
        checkpoint=Checkpoint("stopwork.test/journal", 12, bytes(32)),
        entries=[(3, 6), (9, 11)],
        manifest_sha256="aa",
        tag_manifest_sha256="bb",
        signer=SIGNER,
    )
    envelope = json.loads(signed)
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert json.loads(base64.b64decode(envelope["payload"])) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": "manifest-sha256.txt", "digest": {"sha256": "aa"}},
            {"name": "tagmanifest-sha256.txt", "digest": {"sha256": "bb"}},
        ],
        "predicateType": "urn:stopwork:evidence-bundle:v1",
        "predicate": {
            "id": "AI-INC-2026-0302-001",
            "description": "Duplicate tasks",
            "created_at": "2026-03-02T09:30:00Z",
            "signer": SIGNER.vkey,
            "checkpoint": {"origin": "stopwork.test/journal", "size": 12, "root": "00" * 32},
            "entries": [[3, 6], [9, 11]],
        },
    }
