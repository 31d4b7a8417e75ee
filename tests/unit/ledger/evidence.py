"""A small log with a signer, and what an attacker can do to a bundle made from it."""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from stopwork.kernel.canonical import canonical_bytes
from stopwork.ledger.bundle import SealedEntry, write_bundle
from stopwork.ledger.merkle import MemoryNodes, Tree, leaf_hash
from stopwork.ledger.notes import Checkpoint, Signer, checkpoint_text
from stopwork.ledger.offline import bag
from stopwork.ledger.offline.checks import Inspection
from stopwork.ledger.offline.container import Member, directory, read_members
from stopwork.ledger.verify import Report, verify_bundle

ORIGIN = "stopwork.test/journal"
SIGNER = Signer(ORIGIN, bytes(range(32)))
STRANGER = Signer(ORIGIN, bytes(32))
CREATED_AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
BODIES = [canonical_bytes({"entry": index, "event": "call.requested", "note": "déjà"}) for index in range(20)]
EXPORTED = (3, 4, 5, 6, 9, 10, 11)
PAYLOAD = {"report.md": b"# Report\n", "evidence/run_record.json": b"{}\n"}


def log_of(bodies: Iterable[bytes]) -> Tree:
    tree = Tree(MemoryNodes())
    tree.extend([leaf_hash(body) for body in bodies])
    return tree


def sealed(tree: Tree, bodies: list[bytes], indexes: Iterable[int]) -> list[SealedEntry]:
    return [
        SealedEntry(index=index, body=bodies[index], proof=tree.inclusion_proof(index)) for index in indexes
    ]


def checkpoint_of(tree: Tree, signer: Signer) -> str:
    return signer.sign(checkpoint_text(Checkpoint(ORIGIN, tree.size, tree.root())))


def bundle(
    bodies: list[bytes] = BODIES,
    indexes: Iterable[int] = EXPORTED,
    signer: Signer = SIGNER,
    **changes: Any,
) -> bytes:
    """Answer the bytes of one bundle."""
    tree, file = log_of(bodies), io.BytesIO()
    content: dict[str, Any] = {
        "external_id": "AI-INC-2026-0302-001",
        "description": "Duplicate tasks from a retry",
        "payload": PAYLOAD,
        "entries": sealed(tree, bodies, indexes),
        "checkpoint": checkpoint_of(tree, signer),
        "signer": signer,
        "created_at": CREATED_AT,
    }
    write_bundle(file, **(content | changes))
    return file.getvalue()


@cache
def good_bundle() -> bytes:
    return bundle()


def unpacked(data: bytes) -> dict[str, bytes]:
    return {member.name: data[member.start : member.end] for member in read_members(io.BytesIO(data))}


def packed(files: Mapping[str, bytes]) -> bytes:
    """Answer a container in the prescribed spelling: headers and checksums are right, whatever the files say."""
    members, pieces, offset = [], [], 0
    for name in sorted(files):
        member = Member(name, zlib.crc32(files[name]), len(files[name]), offset)
        members.append(member)
        pieces += [member.local_header(), files[name]]
        offset = member.end
    return b"".join([*pieces, directory(members)])


def repaired(files: Mapping[str, bytes]) -> bytes:
    """Answer a container whose oxum and manifests were made to fit the files: all that needs no key."""
    files = dict(files)
    payload = sorted(name for name in files if name.startswith("data/"))
    oxum = f"Payload-Oxum: {sum(len(files[name]) for name in payload)}.{len(payload)}".encode()
    lines = files[bag.BAG_INFO].split(b"\n")
    files[bag.BAG_INFO] = b"\n".join(oxum if line.startswith(b"Payload-Oxum") else line for line in lines)
    files[bag.MANIFEST] = _manifest(files, payload)
    files[bag.TAG_MANIFEST] = _manifest(
        files, [name for name in sorted(files) if name in bag.COVERED_TAG_FILES]
    )
    return packed(files)


def first_failure(data: bytes) -> str | None:
    """Answer the name of the first check that fails."""
    checks = Inspection(io.BytesIO(data), []).checks()
    return next((check.name for check in checks if not check.passed), None)


def written(folder: Path, data: bytes) -> Path:
    path = folder / "bundle.zip"
    path.write_bytes(data)
    return path


def verified(folder: Path, data: bytes, *keys: str) -> Report:
    return verify_bundle(written(folder, data), keys)


def _manifest(files: Mapping[str, bytes], names: Iterable[str]) -> bytes:
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in names).encode()
