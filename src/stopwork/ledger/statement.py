"""The signed statement about a bundle: an in-toto Statement v1 in a DSSE envelope."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from stopwork.kernel.canonical import canonical_bytes
from stopwork.ledger.notes import Signer
from stopwork.ledger.offline.bag import MANIFEST, PAYLOAD_TYPE, PREDICATE_TYPE, STATEMENT_TYPE, TAG_MANIFEST
from stopwork.ledger.offline.signed import Checkpoint, envelope, pae


def sign_payload(payload_type: str, payload: bytes, signer: Signer) -> bytes:
    """Answer a DSSE envelope over ``payload``, which is signed together with its type."""
    return envelope(payload_type, payload, signer.key, signer.sign_bytes(pae(payload_type, payload)))


def bundle_statement(
    *,
    external_id: str,
    description: str,
    created_at: datetime,
    checkpoint: Checkpoint,
    entries: Sequence[tuple[int, int]],
    manifest_sha256: str,
    tag_manifest_sha256: str,
    signer: Signer,
) -> bytes:
    """Answer the signed statement of one bundle.

    ``entries`` are the first and last index of each unbroken row of journal entries it holds, so that a missing one can
    be named.
    """
    subjects = {MANIFEST: manifest_sha256, TAG_MANIFEST: tag_manifest_sha256}
    statement: dict[str, Any] = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in subjects.items()],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "id": external_id,
            "description": description,
            "created_at": created_at,
            "signer": signer.vkey,
            "checkpoint": {
                "origin": checkpoint.origin,
                "size": checkpoint.size,
                "root": checkpoint.root.hex(),
            },
            "entries": entries,
        },
    }
    return sign_payload(PAYLOAD_TYPE, canonical_bytes(statement), signer)
