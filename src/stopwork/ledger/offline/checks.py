"""The checks that make a bundle evidence, in the order in which each rests on the one before.

Everything read here may be hostile: lines and texts are bounded, types are looked at, and whatever is
not as it must be raises ``Broken``.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from stopwork.ledger.offline.bag import (
    ANCHORS,
    BAG_INFO,
    BAGIT,
    BAGIT_TXT,
    CHECKPOINT,
    COVERED_TAG_FILES,
    JOURNAL,
    MANIFEST,
    MAX_ENTRY_BYTES,
    MAX_TEXT_BYTES,
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    PROOFS,
    STATEMENT,
    STATEMENT_TYPE,
    TAG_FILES,
    TAG_MANIFEST,
)
from stopwork.ledger.offline.broken import Broken
from stopwork.ledger.offline.container import MAX_NAME_BYTES, Window, directory, read_at, read_members
from stopwork.ledger.offline.ed25519 import verify_ed25519
from stopwork.ledger.offline.elsewhere import MAX_ANCHOR_LINE_BYTES, MAX_PLACES, Elsewhere, read_place
from stopwork.ledger.offline.inclusion import leaf_hash, verify_inclusion
from stopwork.ledger.offline.redaction import NOTHING_WITHHELD, REDACTION, parse_redaction, stands_for
from stopwork.ledger.offline.report import Check, Facts, Outcome, Report, limits_of, proven_by
from stopwork.ledger.offline.signed import (
    NOT_TEXT,
    Checkpoint,
    Key,
    decode_base64,
    envelope,
    open_note,
    pae,
    parse_checkpoint,
    parse_vkey,
)

MAX_PROOF_LINE_BYTES = 8 * 1024
MAX_EXPLAINED_ENTRIES = 200_000
CHUNK_BYTES = 1024 * 1024


class Inspection:
    """One pass over one bundle. Each check answers what is in order, or raises ``Broken``."""

    def __init__(self, file: BinaryIO, expected_keys: Sequence[Key]) -> None:
        self._file = file
        self._expected_keys = [key for key in expected_keys if not key.cosigns]
        self._witnesses = [key for key in expected_keys if key.cosigns]
        self._members = {member.name: member for member in read_members(file)}
        self._sha256: dict[str, str] = {}
        self._digest = ""
        self._statement: Any = None
        self._key: Key | None = None
        self._whole_log = False
        self._withheld = NOTHING_WITHHELD
        self._elsewhere: tuple[Elsewhere, ...] = ()

    def checks(self) -> Iterator[Check]:
        checks = [
            self.container,
            self.bag,
            self.payload,
            self.tag_files,
            self.statement,
            self.checkpoint,
            self.entries,
            *([self.anchors] if ANCHORS in self._members else []),
            *([self.key] if self._expected_keys else []),
        ]
        for check in checks:
            try:
                yield Check(check.__name__, True, check())
            except Broken as broken:
                yield Check(check.__name__, False, str(broken), broken.where)

    def container(self) -> str:
        """Every byte outside the files is as prescribed, and every file fits its checksum."""
        whole, differing = hashlib.sha256(), ""
        for member in self._members.values():
            header = read_at(self._file, member.offset, member.start - member.offset)
            whole.update(header)
            content, crc = hashlib.sha256(), 0
            for at in range(member.start, member.end, CHUNK_BYTES):
                chunk = read_at(self._file, at, min(CHUNK_BYTES, member.end - at))
                whole.update(chunk)
                content.update(chunk)
                crc = zlib.crc32(chunk, crc)
            self._sha256[member.name] = content.hexdigest()
            if header != member.local_header() or crc != member.crc:
                differing = differing or member.name
        prescribed = directory(list(self._members.values()))
        found = read_at(self._file, self._file.seek(0, os.SEEK_END) - len(prescribed), len(prescribed))
        whole.update(found)
        self._digest = whole.hexdigest()
        if differing:
            raise Broken(f"{differing} does not fit its header and checksum", differing)
        if found != prescribed:
            raise Broken("the directory is not spelled as prescribed")
        return f"every byte outside the {len(self._members)} files is as prescribed"

    def bag(self) -> str:
        """The bag has the files it must have and no others, and its oxum is right."""
        if REDACTION in self._members:
            self._withheld = parse_redaction(self._text(REDACTION))
        payload = [member for name, member in self._members.items() if name.startswith("data/")]
        names = {name for name in self._members if not name.startswith("data/") and name != REDACTION}
        for name in sorted(names.symmetric_difference(TAG_FILES)):
            raise Broken(
                f"{name} {'does not belong in' if name in names else 'is missing from'} the bag", name
            )
        for name in (JOURNAL, PROOFS):
            if name not in self._members:
                raise Broken(f"{name} is missing from the bag", name)
        if self._text(BAGIT_TXT) != BAGIT:
            raise Broken("bagit.txt does not declare BagIt 1.0", BAGIT_TXT)
        for name in sorted(self._withheld.files.intersection(self._members)):
            raise Broken(f"{name} is said to be withheld, and is there", name)
        count = len(payload) + len(self._withheld.files)
        oxum = f"{sum(member.size for member in payload)}.{count}".encode()
        counted = [line[14:] for line in self._text(BAG_INFO).split(b"\n") if line[:14] == b"Payload-Oxum: "]
        if self._withheld != NOTHING_WITHHELD:  # then nobody knows how large everything was
            oxum, counted = b"%d" % count, [each.rpartition(b".")[2] for each in counted]
        if counted != [oxum]:
            raise Broken("bag-info.txt counts other bytes or files than there are", BAG_INFO)
        return f"{count} payload files, as counted{self._so_many_withheld(len(self._withheld.files))}"

    def payload(self) -> str:
        """Every file under data/ is the one in the manifest."""
        covered = [name for name in self._members if name.startswith("data/")]
        return self._compare_manifest(MANIFEST, sorted([*covered, *self._withheld.files]))

    def tag_files(self) -> str:
        """Every tag file is the one in the tag manifest."""
        return self._compare_manifest(
            TAG_MANIFEST, [name for name in self._members if name in COVERED_TAG_FILES]
        )

    def _compare_manifest(self, manifest: str, covered: list[str]) -> str:
        lines = self._lines(manifest, 64 + 2 + MAX_NAME_BYTES + 1)
        for name, line in itertools.zip_longest(covered, lines):
            digest, _, listed = (line or b"").decode("ascii", "replace").partition("  ")
            if name is None or (line is not None and listed < name):
                raise Broken(f"{listed} is in {manifest} but not in the bag", listed)
            if listed != name:
                raise Broken(f"{name} is in the bag but not in {manifest}", name)
            if self._is_withheld(name):
                continue
            if digest != self._sha256[name]:
                raise Broken(f"{name} was changed: its SHA-256 is not the one in {manifest}", name)
        known = sum(not self._is_withheld(name) for name in covered)
        return f"{known} files have the digests in {manifest}"

    def _is_withheld(self, name: str) -> bool:
        """Whether a file is not as it was signed because something of it is withheld; of the journal each line is checked by itself."""
        return name in self._withheld.files or (name == JOURNAL and bool(self._withheld.entries))

    def _so_many_withheld(self, count: int) -> str:
        return f", {count} of them withheld" if count else ""

    def statement(self) -> str:
        """The statement is signed, and is about these two manifests."""
        raw = self._text(STATEMENT)
        outer = _json(raw, STATEMENT)
        payload = decode_base64(_take(outer, str, "payload"))
        signature = decode_base64(_take(outer, str, "signatures", 0, "sig"))
        self._statement = _json(payload, STATEMENT)
        self._key = key = parse_vkey(_take(self._statement, str, "predicate", "signer"))
        if not verify_ed25519(key.public, pae(PAYLOAD_TYPE, payload), signature):
            raise Broken(f"the signature of {key.name} does not verify", STATEMENT)
        if raw != envelope(PAYLOAD_TYPE, payload, key, signature):
            raise Broken("the envelope is not in its one spelling", STATEMENT)
        kinds = (_take(self._statement, str, "_type"), _take(self._statement, str, "predicateType"))
        if kinds != (STATEMENT_TYPE, PREDICATE_TYPE):
            raise Broken(f"a signed statement of another kind: {kinds[1]:.80}", STATEMENT)
        for place, name in enumerate((MANIFEST, TAG_MANIFEST)):
            subject = (
                _take(self._statement, str, "subject", place, "name"),
                _take(self._statement, str, "subject", place, "digest", "sha256"),
            )
            if subject != (name, self._sha256.get(name)):
                raise Broken(f"{name} is not the file that was signed", name)
        return f"signed by {key.name}, key {key.fingerprint}"

    def checkpoint(self) -> str:
        """The log's checkpoint is signed by the same key, and is the one the statement speaks of."""
        try:
            text, _ = open_note(self._text(CHECKPOINT).decode(), [self._signer()])
            found = parse_checkpoint(text)
        except UnicodeDecodeError:
            raise Broken("checkpoint.txt is not text", CHECKPOINT) from None
        if found != self._log():
            raise Broken("the checkpoint is not the one that the statement names", CHECKPOINT)
        return f"{found.origin} had {found.size} entries, root {found.root.hex()}"

    def entries(self) -> str:
        """Every entry is in the log under the checkpoint's root, and none that the statement names is missing."""
        log, count, withheld = self._log(), 0, 0
        named = itertools.chain.from_iterable(range(first, last + 1) for first, last in self._ranges())
        bodies, proofs = self._lines(JOURNAL, MAX_ENTRY_BYTES), self._lines(PROOFS, MAX_PROOF_LINE_BYTES)
        for line, (body, proof_line) in enumerate(itertools.zip_longest(bodies, proofs), start=1):
            expected = next(named, None)
            index, leaf, proof = (None, b"", []) if proof_line is None else _parse_proof(proof_line)
            if expected is not None and (index is None or index > expected):
                raise Broken(f"entry {expected} is missing", f"entry {expected}")
            if index != expected:
                raise Broken(f"entry {index} is not one that the statement names here", f"entry {index}")
            is_withheld = index in self._withheld.entries
            withheld += is_withheld
            if (
                index is None
                or body is None
                or not (body == stands_for(leaf) if is_withheld else leaf_hash(body) == leaf)
            ):
                raise self._explained(line, index, leaf, body)
            if not verify_inclusion(index, log.size, leaf, proof, log.root):
                raise Broken(
                    f"entry {index} is not in the log that the checkpoint speaks of", f"entry {index}"
                )
            count += 1
        absent = next(named, None)
        if absent is not None:
            raise Broken(f"entry {absent} is missing", f"entry {absent}")
        if withheld != len(self._withheld.entries):
            raise Broken(f"{REDACTION} names entries that are not in the bundle", REDACTION)
        self._whole_log = count == log.size
        return f"{count} entries are in the log, unchanged and in order{self._so_many_withheld(withheld)}"

    def anchors(self) -> str:
        """The log grew from every checkpoint that is said to be kept elsewhere, and witnesses whose keys are known signed theirs."""
        lines = list(itertools.islice(self._lines(ANCHORS, MAX_ANCHOR_LINE_BYTES), MAX_PLACES + 1))
        if len(lines) > MAX_PLACES:
            raise Broken(f"{ANCHORS} names more than {MAX_PLACES} places", ANCHORS)
        log, signer = self._log(), self._signer()
        self._elsewhere = tuple(read_place(line, log, signer, self._witnesses) for line in lines)
        return f"the log grew from the checkpoints that {len(lines)} places are said to keep"

    def key(self) -> str:
        """The key is one of those that the user trusts."""
        signer = self._signer()
        if signer not in self._expected_keys:
            raise Broken(f"signed by {signer.vkey}, which is not a key you gave", STATEMENT)
        return "the key is the one you gave"

    def report(self) -> Report:
        """Run every check, and say what the outcome proves."""
        checks = tuple(self.checks())
        facts, compared = self._facts(), bool(self._expected_keys)
        if facts is None or not all(check.passed for check in checks):
            return Report(Outcome.TAMPERED, checks, facts, compared)
        limits = limits_of(
            facts,
            key_compared=compared,
            whole_log=self._whole_log,
            elsewhere=self._elsewhere,
            witnesses=[key.name for key in self._witnesses],
        )
        proven = proven_by(facts, self._elsewhere, key_compared=compared)
        return Report(Outcome.VERIFIED, checks, facts, compared, proven, limits, self._elsewhere)

    def _facts(self) -> Facts | None:
        try:
            log, signer = self._log(), self._signer()
            return Facts(
                id=_take(self._statement, str, "predicate", "id"),
                description=_take(self._statement, str, "predicate", "description"),
                created_at=_take(self._statement, str, "predicate", "created_at"),
                signer=signer.vkey,
                fingerprint=signer.fingerprint,
                origin=log.origin,
                log_size=log.size,
                root=log.root.hex(),
                entries=sum(last - first + 1 for first, last in self._ranges()),
                files=len(self._members),
                digest=f"sha256:{self._digest}",
                withheld_entries=len(self._withheld.entries),
                withheld_files=len(self._withheld.files),
            )
        except Broken:
            return None

    def _explained(self, line: int, index: int | None, leaf: bytes, body: bytes | None) -> Broken:
        """Tell a changed entry from one that is missing, was added or was moved."""
        if index is None:
            return Broken(f"line {line} of the journal was added: it has no proof", f"line {line}")
        entry = f"entry {index}"
        proofs = map(_parse_proof, self._lines(PROOFS, MAX_PROOF_LINE_BYTES))
        sealed = {sealed: at for at, sealed, _ in itertools.islice(proofs, MAX_EXPLAINED_ENTRIES)}
        bodies = itertools.islice(self._lines(JOURNAL, MAX_ENTRY_BYTES), MAX_EXPLAINED_ENTRIES)
        elsewhere = leaf in map(leaf_hash, bodies)
        stands_here = sealed.get(leaf_hash(body)) if body is not None else None
        if elsewhere and stands_here is not None:
            return Broken(f"entry {stands_here} stands where {entry} belongs", entry)
        if elsewhere:
            return Broken(f"something that was never sealed stands where {entry} belongs", entry)
        if body is None or stands_here is not None:
            return Broken(f"{entry} is missing", entry)
        return Broken(f"{entry} was changed: it is not what was sealed", entry)

    def _signer(self) -> Key:
        if self._key is None:
            raise Broken("cannot be checked: the statement does not say whose key it is", STATEMENT)
        return self._key

    def _log(self) -> Checkpoint:
        """The checkpoint as the statement names it."""
        origin = _take(self._statement, str, "predicate", "checkpoint", "origin")
        size = _take(self._statement, int, "predicate", "checkpoint", "size")
        return Checkpoint(
            origin, size, _unhex(_take(self._statement, str, "predicate", "checkpoint", "root"))
        )

    def _ranges(self) -> list[tuple[int, int]]:
        """The first and last index of each unbroken row of entries, as the statement names them."""
        ranges, least = [], 0
        for place in range(len(_take(self._statement, list, "predicate", "entries"))):
            first = _take(self._statement, int, "predicate", "entries", place, 0)
            last = _take(self._statement, int, "predicate", "entries", place, 1)
            if not least <= first <= last:
                raise Broken("the statement names its entries out of order", STATEMENT)
            ranges.append((first, last))
            least = last + 1
        return ranges

    def _text(self, name: str) -> bytes:
        member = self._members.get(name)
        if member is None:
            raise Broken(f"{name} is missing", name)
        if member.size > MAX_TEXT_BYTES:
            raise Broken(f"{name} is larger than {MAX_TEXT_BYTES} bytes", name)
        return read_at(self._file, member.start, member.size)

    def _lines(self, name: str, limit: int) -> Iterator[bytes]:
        member = self._members.get(name)
        if member is None:
            raise Broken(f"{name} is missing", name)
        reader = io.BufferedReader(Window(self._file, member), CHUNK_BYTES)
        while line := reader.readline(limit + 1):
            if not line.endswith(b"\n"):
                raise Broken(f"{name} has a line that is too long or has no end", name)
            yield line[:-1]


def _json(data: bytes, where: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Broken(f"{where} does not hold JSON", where) from None


def _take(content: Any, kind: type, *path: str | int) -> Any:
    """Answer what stands at ``path`` of the statement, if it is of this kind."""
    for step in path:
        try:
            content = content[step]
        except (LookupError, TypeError):
            content = None
    if type(content) is not kind or (isinstance(content, str) and NOT_TEXT.search(content)):
        raise Broken(f"the statement has no readable {'.'.join(map(str, path))}", STATEMENT)
    return content


def _unhex(text: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != 32:
        raise Broken("a hash is 64 hex digits")
    return data


def _parse_proof(line: bytes) -> tuple[int, bytes, list[bytes]]:
    content = _json(line, PROOFS)
    try:
        index, leaf, proof = content["index"], content["leaf"], content["proof"]
        if type(index) is int and isinstance(proof, list):
            return index, _unhex(leaf), [_unhex(sibling) for sibling in proof]
    except (LookupError, TypeError):
        pass
    raise Broken(f"{PROOFS} has a line that is not a proof", PROOFS)
