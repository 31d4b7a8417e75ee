"""Evidence bundles: one file that holds journal entries, what belongs to them, and the proof that nothing was changed.

A bundle is a BagIt 1.0 bag (RFC 8493) in a zip file whose every byte is prescribed, so that the same content always
gives the same file and no byte can be changed unseen. :mod:`stopwork.ledger.verify` says what signs what and is itself a
file of the bundle.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import IO, BinaryIO

import msgspec

from stopwork.kernel.canonical import canonical_bytes
from stopwork.kernel.clock import in_utc
from stopwork.kernel.errors import Invalid, Tampered, TooLarge
from stopwork.ledger.merkle import leaf_hash, verify_inclusion
from stopwork.ledger.notes import Checkpoint, Signer, read_checkpoint, verify
from stopwork.ledger.offline import bag, standalone
from stopwork.ledger.offline.container import MAX_NAME_BYTES, SAFE_NAME
from stopwork.ledger.packing import Content, File, Sink, replacing, write_container
from stopwork.ledger.statement import bundle_statement

_SPOOL_BYTES = 8 * 1024 * 1024
_MAX_LABEL_CHARACTERS = 1000

Payload = Mapping[str, Content]


class SealedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One journal entry: its index, its stored bytes, and the proof that the checkpoint's root covers it."""

    index: int
    body: bytes
    proof: tuple[bytes, ...]


class BundleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was written. ``digest`` is that of the whole file."""

    digest: str
    size_bytes: int
    entries: int
    files: int


def write_bundle(
    target: Path | BinaryIO,
    *,
    external_id: str,
    description: str,
    payload: Payload | Callable[[], Payload],
    entries: Iterable[SealedEntry],
    checkpoint: str,
    signer: Signer,
    created_at: datetime,
) -> BundleFacts:
    """Write one bundle in bounded memory; a path holds the whole bundle, on disk, or what it held before.

    ``payload`` maps names under ``data/`` to contents; a function is asked for it once the ``entries``, which come in the order of their
    indexes, have all been read;
    ``checkpoint`` is a note that ``signer`` signed. Raises ``Tampered`` if an entry is not in the log that the checkpoint
    speaks of, ``Conflict`` if a payload file changes meanwhile, ``TooLarge`` beyond 4 GiB or 65,534 files, ``Invalid``
    for a name or label a bundle cannot hold.
    """
    labels = {
        "External-Identifier": _label(external_id),
        "External-Description": _label(description),
        "Bagging-Date": in_utc(created_at).date().isoformat(),
        "Bag-Software-Agent": "Stopwork",
    }
    log = read_checkpoint(verify(checkpoint, [signer.vkey]))
    with ExitStack() as stack:
        journal = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOL_BYTES))
        proofs = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOL_BYTES))
        ranges = _spool(entries, log, journal, proofs)
        contents: dict[str, Content] = {bag.JOURNAL: journal, bag.PROOFS: proofs}
        files_of_payload = payload() if callable(payload) else payload
        contents.update({_payload_name(name): content for name, content in files_of_payload.items()})
        files = [File.measured(name, contents[name]) for name in sorted(contents)]
        oxum = f"{sum(file.size for file in files)}.{len(files)}"
        tags: dict[str, bytes] = {
            bag.BAG_INFO: _lines(f"{label}: {value}" for label, value in labels.items() if value)
            + f"Payload-Oxum: {oxum}\n".encode(),
            bag.BAGIT_TXT: bag.BAGIT,
            bag.CHECKPOINT: checkpoint.encode(),
            bag.MANIFEST: _manifest(files),
            bag.VERIFIER: standalone().encode(),
        }
        files += [File.measured(name, content) for name, content in tags.items()]
        tag_manifest = _manifest(file for file in files if file.name in tags)
        statement = bundle_statement(
            external_id=labels["External-Identifier"],
            description=labels["External-Description"],
            created_at=created_at,
            checkpoint=log,
            entries=ranges,
            manifest_sha256=hashlib.sha256(tags[bag.MANIFEST]).hexdigest(),
            tag_manifest_sha256=hashlib.sha256(tag_manifest).hexdigest(),
            signer=signer,
        )
        if len(statement) > bag.MAX_TEXT_BYTES:
            raise TooLarge(
                "the entries are scattered over too many places", hint="Export unbroken rows of them."
            )
        files += [File.measured(bag.TAG_MANIFEST, tag_manifest), File.measured(bag.STATEMENT, statement)]
        sink = Sink(stack.enter_context(replacing(target)) if isinstance(target, Path) else target)
        write_container(sink, sorted(files, key=lambda file: file.name))
    return BundleFacts(
        digest=f"sha256:{sink.sha256.hexdigest()}",
        size_bytes=sink.size_bytes,
        entries=sum(last - first + 1 for first, last in ranges),
        files=len(files),
    )


def _spool(
    entries: Iterable[SealedEntry], log: Checkpoint, journal: IO[bytes], proofs: IO[bytes]
) -> list[tuple[int, int]]:
    """Write entries and proofs, each checked first; answer the first and last index of each unbroken row."""
    ranges: list[tuple[int, int]] = []
    for entry in entries:
        leaf = leaf_hash(entry.body)
        if not verify_inclusion(entry.index, log.size, leaf, entry.proof, log.root):
            raise Tampered(
                f"entry {entry.index} is not in the log that the checkpoint speaks of",
                hint="Nothing was exported. Run `stopwork db fsck` and keep the database as it is.",
                entry=entry.index,
            )
        if b"\n" in entry.body or len(entry.body) > bag.MAX_ENTRY_BYTES:
            raise Invalid(f"entry {entry.index} is not one line of at most {bag.MAX_ENTRY_BYTES} bytes")
        if ranges and entry.index <= ranges[-1][1]:
            raise Invalid(
                f"entry {entry.index} comes after entry {ranges[-1][1]}", hint="Sort them by index."
            )
        if ranges and entry.index == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], entry.index)
        else:
            ranges.append((entry.index, entry.index))
        proof = {"index": entry.index, "leaf": leaf.hex(), "proof": [node.hex() for node in entry.proof]}
        journal.write(entry.body + b"\n")
        proofs.write(canonical_bytes(proof) + b"\n")
    return ranges


def _payload_name(name: str) -> str:
    full = f"data/{name}"
    if full in (bag.JOURNAL, bag.PROOFS) or len(full) > MAX_NAME_BYTES or not SAFE_NAME.fullmatch(full):
        raise Invalid(
            f"{name!r:.100} cannot be the name of a file in a bundle",
            hint="Use letters, digits, dot, dash and underscore, with / between folders; "
            "journal.jsonl and proofs.jsonl are taken.",
            found=name[:MAX_NAME_BYTES],
        )
    return full


def _label(text: str) -> str:
    """Answer a label on one line."""
    line = " ".join(text.split())
    if not line.isprintable() or len(line) > _MAX_LABEL_CHARACTERS:
        raise Invalid(
            "a bundle's label is printable text",
            hint=f"Use at most {_MAX_LABEL_CHARACTERS} characters.",
            found=line[:100],
        )
    return line


def _manifest(files: Iterable[File]) -> bytes:
    return _lines(f"{file.sha256}  {file.name}" for file in files)


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
