"""What goes into a bundle beside its proofs: timeline, evidence by kind, custody, report, contents, and a page that leads through them."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import msgspec

from stopwork.incidents.case import Case
from stopwork.incidents.preserve import Evidence
from stopwork.incidents.report import markdown, one_page
from stopwork.kernel.phrases import count_of, moment
from stopwork.ledger.bundle import Payload as Files
from stopwork.ledger.bundle import SealedEntry
from stopwork.ledger.events import Entry, name_of
from stopwork.ledger.records import BlobRef, Principal
from stopwork.ledger.words import CustodyDeed
from stopwork.operations.anchoring import receipts
from stopwork.operations.custody import CustodyLine, custody
from stopwork.operations.installation import Installation
from stopwork.operations.payload import Payload
from stopwork.storage.contents import fault_of
from stopwork.storage.view import Stored, View, entry_of

#: So much content from beside the journal goes into one bundle; what is beyond is named, with its digest.
MAX_BLOBS_BYTES: Final = 2 * 1024**3
#: So many lines of the timeline stand on the page; the file beside it holds them all.
LINES_ON_PAGE: Final = 1_000


class Collection:
    """Everything of one case, put together while the journal is read once."""

    def __init__(
        self,
        installation: Installation,
        case: Case,
        evidence: tuple[Evidence, ...],
        *,
        by: Principal,
        why: str,
        bundle: str,
        size: int,
        prover: Callable[[int], tuple[bytes, ...]],
        files: Payload,
    ) -> None:
        self.now = installation.store.clock.now()
        self.left_out: tuple[str, ...] = ()
        self._private = 0
        self._blobs = installation.blobs
        self._case, self._evidence, self._prover = case, evidence, prover
        self._size = size
        self._by, self._why, self._bundle = by, why, bundle
        self._written = files
        self._timeline = files.line_file("timeline.jsonl")
        self._on_page: list[dict[str, Any]] = []
        self._named: dict[str, BlobRef] = {}

    def entries(self, rows: Iterator[Stored], shown: Callable[[Stored], bool]) -> Iterator[SealedEntry]:
        """Answer each row that is ``shown`` with its proof; its line of the timeline is written, and the content it names is noted."""
        for row in rows:
            if not shown(row):
                self._private += 1
                continue
            entry = entry_of(row.body)
            line = _line(entry)
            self._timeline.write(msgspec.json.encode(line) + b"\n")
            if "incident" in line and len(self._on_page) < LINES_ON_PAGE:
                self._on_page.append(line)
            for blob in getattr(entry.event, "blobs", ()):
                self._named.setdefault(blob.digest, blob)
            yield SealedEntry(index=row.seq - 1, body=row.body, proof=self._prover(row.seq - 1))

    def payload(self, view: View) -> Files:
        """Answer the files, once every entry has been read."""
        for each in self._evidence:
            self._written.lines(f"evidence/{each.kind}.jsonl", each.items)
        self._written.json("incident.json", self._case.incident)
        self._written.json("evidence/kinds.json", [_of_kind(each) for each in self._evidence])
        self._written.files["report.md"] = markdown(one_page(self._case, self.now)).encode()
        collected = CustodyLine(
            at=self.now, by=self._by, deed=CustodyDeed.SEALED, what=self._bundle, why=self._why
        )
        # Whole: the verifier reads the receipts, however large they are.
        kept = self._written.line_file("anchors.jsonl")
        kept.writelines(msgspec.json.encode(each) + b"\n" for each in receipts(view, self._size))
        self._written.lines("custody.jsonl", (*custody(view, self._case.incident.id), collected))
        self._add_contents()
        self._written.files["index.html"] = self._index().encode()
        return self._written.files

    def _add_contents(self) -> None:
        room, left_out, listed = MAX_BLOBS_BYTES, [], []
        if self._private:
            left_out.append(
                f"{count_of(self._private, 'entry')} of another, private incident left out. Ask those who see it."
            )
        for blob in self._named.values():
            fault = fault_of(self._blobs, blob) if blob.size_bytes <= room else "the bundle has no more room"
            if fault is None:
                room -= blob.size_bytes
                name = f"blobs/{blob.digest.removeprefix('sha256:')}"
                self._written.files[name] = partial(self._blobs.read, blob.digest)
                listed.append({"file": name, **msgspec.to_builtins(blob)})
            else:
                left_out.append(
                    f"The content {blob.name} ({blob.digest}) is left out: {fault}. Keep it, or restore it and seal again."
                )
        self._written.lines("blobs.jsonl", listed)
        self.left_out = tuple(left_out)

    def _index(self) -> str:
        """Answer a page that leads through the bundle and needs nothing but a browser."""
        kinds = "".join(
            f'<li><a href="evidence/{each.kind}.jsonl">{each.kind}</a>: '
            f"{html.escape(each.missing) or count_of(len(each.items), 'item')}</li>"
            for each in self._evidence
        )
        gone = "".join(f"<li>{html.escape(each)}</li>" for each in self.left_out)
        lines = "".join(
            f"<tr><td>{line['seq']}</td><td>{moment(line['at'])}</td><td>{html.escape(line['actor'])}</td>"
            f"<td>{html.escape(line['event'])}</td></tr>"
            for line in self._on_page
        )
        incident = self._case.incident
        title = html.escape(f"{incident.id}: {incident.title}")
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>'
            "<p>Every file here is covered by a signature. To check it: <code>python3 verify.py FILE.zip</code>, "
            "with the verify.py of this file or one you trust more.</p>"
            '<p><a href="report.md">Report</a> · <a href="timeline.jsonl">Timeline</a> · '
            '<a href="custody.jsonl">Who handled it</a> · <a href="anchors.jsonl">Where the log was known</a> · '
            '<a href="blobs.jsonl">Contents</a> · '
            '<a href="journal.jsonl">Journal entries</a> · <a href="proofs.jsonl">Proofs</a></p>'
            f"<h2>Evidence</h2><ul>{kinds}{gone}</ul><h2>What was done about the incident</h2><table>{lines}</table></html>\n"
        )


def _line(entry: Entry) -> dict[str, Any]:
    event = entry.event
    keys = {name: getattr(event, name, None) for name in ("incident", "run", "call", "tool")}
    known = {name: key for name, key in keys.items() if isinstance(key, str)}
    return {"seq": entry.seq, "at": entry.at, "actor": entry.actor.id, "event": name_of(event), **known}


def _of_kind(evidence: Evidence) -> dict[str, Any]:
    return {"kind": evidence.kind, "items": len(evidence.items), "missing": evidence.missing}
