"""The files of a bundle and what they must say: BagIt 1.0 (RFC 8493), a DSSE envelope, an in-toto statement."""

from __future__ import annotations

BAGIT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

BAG_INFO, BAGIT_TXT, CHECKPOINT, VERIFIER = "bag-info.txt", "bagit.txt", "checkpoint.txt", "verify.py"
MANIFEST, TAG_MANIFEST, STATEMENT = "manifest-sha256.txt", "tagmanifest-sha256.txt", "statement.dsse.json"
JOURNAL, PROOFS, ANCHORS = "data/journal.jsonl", "data/proofs.jsonl", "data/anchors.jsonl"

COVERED_TAG_FILES = (BAG_INFO, BAGIT_TXT, CHECKPOINT, MANIFEST, VERIFIER)
TAG_FILES = (*COVERED_TAG_FILES, STATEMENT, TAG_MANIFEST)

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:stopwork:evidence-bundle:v1"

MAX_ENTRY_BYTES = 16 * 1024 * 1024
MAX_TEXT_BYTES = 4 * 1024 * 1024
