"""Verify a Stopwork evidence bundle, offline, with the Python standard library alone (3.9 or newer).

    python verify.py BUNDLE.zip [--key VKEY]... [--json]

Exit codes: 0 verified, 1 tampered, 2 unreadable or not a bundle.

A bundle is a BagIt 1.0 bag (RFC 8493) in a zip file whose every byte is prescribed. What signs what:

    statement.dsse.json      DSSE envelope, Ed25519 (RFC 8032), over the digests of
    └─ tagmanifest-sha256.txt    which covers every tag file, among them
       ├─ checkpoint.txt             signed note (C2SP): origin, size and root of the log
       └─ manifest-sha256.txt        which covers every file under data/, among them
          ├─ data/journal.jsonl          the sealed entries, one per line
          ├─ data/proofs.jsonl           for each, its place in the log's Merkle tree (RFC 6962)
          └─ data/anchors.jsonl          checkpoints kept elsewhere, with proof that the log grew from them

A copy of this file is in every bundle; whoever distrusts a bundle uses a copy from somewhere else.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from stopwork.ledger.offline.bag import BAG_INFO, TAG_MANIFEST
from stopwork.ledger.offline.broken import Broken
from stopwork.ledger.offline.checks import Inspection
from stopwork.ledger.offline.container import read_at
from stopwork.ledger.offline.report import Check, Outcome, Report
from stopwork.ledger.offline.signed import parse_vkey

__all__ = ["Broken", "Check", "Outcome", "Report", "main", "verify_bundle"]


def verify_bundle(path: str | Path, expected_keys: Iterable[str] = ()) -> Report:
    """Verify the bundle at ``path`` in bounded memory; a file of any content gets a report, never an exception.

    ``expected_keys`` are keys (``name+id+base64``) the user trusts, one of which must have signed. Raises ``Broken`` if
    one of them is not a key.
    """
    keys = [parse_vkey(key) for key in expected_keys]
    try:
        with Path(path).open("rb") as file:
            try:
                report = Inspection(file, keys).report()
            except Broken as broken:
                report = Report(Outcome.TAMPERED, (Check("container", False, str(broken), broken.where),))
            if report.outcome is Outcome.VERIFIED or _resembles_a_bundle(file):
                return report
    except OSError as error:
        problem = f"it cannot be read: {error.strerror}"
    else:
        problem = "it is not a Stopwork evidence bundle (give the .zip file as it was exported)"
    return Report(Outcome.UNREADABLE, (Check("container", False, problem),))


def _resembles_a_bundle(file: BinaryIO) -> bool:
    length = file.seek(0, os.SEEK_END)
    ending = read_at(file, max(0, length - 4096), 4096)
    return BAG_INFO.encode() in read_at(file, 0, 64) or TAG_MANIFEST.encode() in ending


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify one bundle and print the report; answer the exit code."""
    parser = argparse.ArgumentParser(description="Verify a Stopwork evidence bundle, offline.")
    parser.add_argument("bundle", help="the .zip file as it was exported")
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="VKEY",
        help="a key you trust, of a signer or a witness: name+id+base64",
    )
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    options = parser.parse_args(arguments)
    try:
        report = verify_bundle(options.bundle, options.key)
    except Broken as broken:
        parser.error(f"--key: {broken}")
    sys.stdout.write(json.dumps(report.as_json(), indent=2) + "\n" if options.json else report.as_text())
    return report.outcome.value


if __name__ == "__main__":
    sys.exit(main())
