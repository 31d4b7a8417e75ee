"""Redaction: a bundle passed on without some of its entries and files, with every proof of what is left.

Whole entries and whole files are withheld, never single fields of one: an entry's digest covers all of it, so whoever was given the rest
could try out what the field may have held until the digest fits.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO, Final

from msgspec import Struct

from stopwork.kernel.errors import Conflict, Invalid, Tampered, Unavailable
from stopwork.ledger.offline import bag
from stopwork.ledger.offline.broken import Broken
from stopwork.ledger.offline.container import Member, read_at, read_members
from stopwork.ledger.offline.redaction import (
    NOTHING_WITHHELD,
    REDACTION,
    Redaction,
    parse_redaction,
    stands_for,
)
from stopwork.ledger.packing import Content, File, Sink, replacing, write_container
from stopwork.ledger.verify import Outcome, verify_bundle

#: What a rule is about, such as ``call``, and which one it names.
Rule = tuple[str, str | int]

_CHUNK_BYTES: Final = 1024 * 1024
#: What tells no more than that something happened. Everything else beside the entries retells them, and is withheld unless it is asked for.
TELLS_LITTLE: Final = frozenset({bag.JOURNAL, bag.PROOFS, bag.ANCHORS})
_CHECKED_LINE_BY_LINE: Final = frozenset({bag.JOURNAL, bag.PROOFS})
#: What says what a bundle is about, and cannot be withheld.
_SIGNED: Final = frozenset({bag.BAG_INFO, bag.STATEMENT})


class Rules(Struct, frozen=True, kw_only=True):
    """Which entries are withheld: those that match any of these. ``keep`` are the files beside them that are passed on all the same.

    ``texts`` are looked for in all that an entry says, names and numbers included, in capitals or not; ``fields`` are names of fields at any
    depth, ``events`` names such as ``call.decided``.
    """

    calls: frozenset[str] = frozenset()
    runs: frozenset[str] = frozenset()
    entries: frozenset[int] = frozenset()
    events: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    texts: tuple[str, ...] = ()
    keep: frozenset[str] = frozenset()

    def all(self) -> set[Rule]:
        """Answer every rule about entries."""
        named: dict[str, Iterable[str | int]] = {
            "call": self.calls,
            "run": self.runs,
            "entry": self.entries,
            "event": self.events,
            "field": self.fields,
            "text": self.texts,
        }
        return {(kind, each) for kind, some in named.items() for each in some}

    def met_by(self, entry: dict[str, Any]) -> set[Rule]:
        """Answer the rules that an entry meets: it is withheld when there are any."""
        event = entry.get("event")
        told = event if isinstance(event, dict) else {}
        known: dict[str, Any] = {
            "entry": entry.get("seq"),
            **{kind: told.get(kind) for kind in ("event", "call", "run")},
        }
        met: set[Rule] = {rule for rule in self.all() if known.get(rule[0]) == rule[1]}
        if self.fields or self.texts:
            for name, value in _parts(entry):
                if name in self.fields:
                    met.add(("field", name))
                met.update(("text", text) for text in texts_in(name, self.texts))
                if isinstance(value, str | int | float):
                    met.update(("text", text) for text in texts_in(str(value), self.texts))
        return met


def texts_in(told: str, texts: Iterable[str]) -> Iterator[str]:
    """Answer those of the texts that stand in what is told, in capitals or not."""
    folded = told.casefold()
    return (text for text in texts if text.casefold() in folded)


class Redacted(Struct, frozen=True, kw_only=True):
    """What was written, and how much of the bundle is withheld in it."""

    digest: str
    size_bytes: int
    entries: int
    files: tuple[str, ...]


def redact(source: Path, target: Path, rules: Rules) -> Redacted:
    """Write ``source`` without what the rules withhold into ``target``, which must not exist; memory does not grow with either.

    ``Tampered`` when the source does not verify, ``Invalid`` when it is no bundle, when a file to keep is not in it, when nothing
    would be withheld, when a rule is met by no entry, and when a text to withhold stands where it would be passed on,
    ``Unavailable`` when the target cannot be written.
    """
    if target.exists():
        raise Conflict(f"{target} exists", hint="Name a new file.", file=str(target))
    report = verify_bundle(source)
    if report.outcome is Outcome.UNREADABLE:
        raise Invalid(
            f"{source} is not a bundle", hint="Give the .zip file as it was exported.", field="file"
        )
    if report.outcome is Outcome.TAMPERED:
        raise Tampered(
            f"{source} does not verify: {report.failure.detail if report.failure else ''}",
            hint="Take the bundle out again, and redact that.",
        )
    try:
        return _redact(source, target, rules)
    except OSError as error:
        raise Unavailable(
            f"{target} cannot be written: {error.strerror or error}",
            hint="Name a file in a folder that is there, with room for a copy of the bundle.",
            file=str(target),
        ) from error


def _redact(source: Path, target: Path, rules: Rules) -> Redacted:
    with source.open("rb") as file, tempfile.TemporaryFile(dir=target.parent) as journal:
        members = {member.name: member for member in read_members(file)}
        before = (
            parse_redaction(_whole(file, members[REDACTION])) if REDACTION in members else NOTHING_WITHHELD
        )
        withheld = Redaction(
            before.files | _files_withheld(file, members, rules),
            _write_journal(file, members, rules, before.entries, journal),
        )
        if withheld == before:
            raise Invalid(
                "the rules withhold nothing",
                hint="Name calls, runs, entries, events, fields or texts that are in the bundle.",
            )
        contents: dict[str, Content] = {
            name: partial(_pieces, file, member)
            for name, member in members.items()
            if name not in withheld.files
        }
        contents |= {bag.JOURNAL: journal, REDACTION: withheld.spelled}
        with replacing(target) as written:
            sink = Sink(written)
            write_container(sink, [File.measured(name, contents[name]) for name in sorted(contents)])
    return Redacted(
        digest=f"sha256:{sink.sha256.hexdigest()}",
        size_bytes=sink.size_bytes,
        entries=len(withheld.entries),
        files=tuple(sorted(withheld.files)),
    )


def _files_withheld(file: BinaryIO, members: dict[str, Member], rules: Rules) -> frozenset[str]:
    payload = {name for name in members if name.startswith("data/")}
    keep = {f"data/{name.removeprefix('data/')}" for name in rules.keep}
    if missing := sorted(keep - payload):
        raise Invalid(
            f"the bundle has no file {missing[0]}", hint="See its manifest-sha256.txt.", field="keep"
        )
    told = {name: found for name in members if (found := _first_text(file, members[name], rules.texts))}
    for name in sorted(keep.union(_SIGNED).intersection(told)):
        raise Invalid(
            f"{name} holds {told[name]!r:.80} and would be passed on",
            hint="Do not keep this file."
            if name in keep
            else "It is signed, and stays: ask for a bundle that does not say it.",
            field="texts",
        )
    little = TELLS_LITTLE.difference(told).union(_CHECKED_LINE_BY_LINE)
    return frozenset(payload - keep - little)


def _first_text(file: BinaryIO, member: Member, texts: Sequence[str]) -> str | None:
    """Answer the first of the texts that stands in a file, as it is or in its signed content."""
    if not texts or member.name in _CHECKED_LINE_BY_LINE:
        return None
    spelled = [
        each
        for text in texts
        for each in (text, *(json.dumps(text, ensure_ascii=way)[1:-1] for way in (True, False)))
    ]
    if member.name == bag.STATEMENT:
        signed = json.loads(_whole(file, member))["payload"]
        return next(texts_in(base64.b64decode(signed).decode(errors="replace"), spelled), None)
    overlap, rest = max(len(each.encode()) for each in spelled) * 4, b""
    for piece in _pieces(file, member):
        if found := next(texts_in((rest + piece).decode(errors="replace"), spelled), None):
            return found
        rest = piece[-overlap:]
    return None


def _write_journal(
    file: BinaryIO, members: dict[str, Member], rules: Rules, before: frozenset[int], journal: IO[bytes]
) -> frozenset[int]:
    """Write the entries that are left, and a line in the place of each other; answer the indexes of those."""
    withheld, unmet = set(before), rules.all()
    for body, line in zip(_lines(file, members[bag.JOURNAL]), _lines(file, members[bag.PROOFS]), strict=True):
        proof = json.loads(line)
        index = proof["index"]
        if index not in withheld and (met := rules.met_by(json.loads(body))):
            withheld.add(index)
            unmet -= met
        journal.write((stands_for(bytes.fromhex(proof["leaf"])) if index in withheld else body) + b"\n")
    for kind, named in sorted(unmet, key=str):
        raise Invalid(
            f"no entry that is left has the {kind} {named!r:.80}",
            hint="Nothing was written. Compare its spelling with the bundle's journal, or leave it out.",
            field=kind,
        )
    return frozenset(withheld)


def _parts(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Answer everything in a JSON value with the name of its field."""
    yield name, value
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _parts(each, key)
    elif isinstance(value, list):
        yield from itertools.chain.from_iterable(_parts(each, name) for each in value)
    elif name == "$bytes" and isinstance(value, str):
        # The journal's own spelling of bytes: see stopwork.kernel.canonical.
        with contextlib.suppress(ValueError):
            yield name, base64.b64decode(value).decode(errors="replace")


def _lines(file: BinaryIO, member: Member) -> Iterator[bytes]:
    rest = b""
    for piece in _pieces(file, member):
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    if rest:
        raise Broken(f"{member.name} has a line without an end", member.name)


def _pieces(file: BinaryIO, member: Member) -> Iterator[bytes]:
    for at in range(member.start, member.end, _CHUNK_BYTES):
        yield read_at(file, at, min(_CHUNK_BYTES, member.end - at))


def _whole(file: BinaryIO, member: Member) -> bytes:
    return read_at(file, member.start, member.size)
