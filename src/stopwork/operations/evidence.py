"""Evidence: an incident's records go into one sealed file that anyone can verify without this server."""

from __future__ import annotations

import hashlib
import html
import json
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from stopwork.incidents.case import Case
from stopwork.incidents.preserve import Evidence, collect
from stopwork.incidents.report import markdown, one_page
from stopwork.kernel.errors import NotFound, Tampered, Unavailable
from stopwork.kernel.phrases import count_of, moment
from stopwork.ledger.bundle import SealedEntry, write_bundle
from stopwork.ledger.events import EvidenceSealed, EvidenceViewed, name_of
from stopwork.ledger.records import Bundle, Incident, Principal
from stopwork.operations.cases import RUNS_AT_ONCE, gather
from stopwork.operations.installation import EVIDENCE, Installation
from stopwork.operations.people import refuse_agent
from stopwork.operations.sealing import proofs
from stopwork.operations.sealing import seal as seal_journal
from stopwork.storage.transaction import Tx
from stopwork.storage.view import Stored, View, entry_of

ENTRIES_AT_ONCE: Final = 10_000
#: Entries about the workflow itself, which every bundle of one of its incidents holds.
_DECLARATIONS: Final = (
    "manifest.applied",
    "manifest.proposed",
    "manifest.approved",
    "manifest.declined",
    "hold.set",
    "hold.lifted",
    "workflow.stage_changed",
)
# Two at once would take the same number, and the second would replace the first one's file.
_sealing: Final = threading.Lock()


def seal(installation: Installation, actor: Principal, *, incident: str) -> Bundle:
    """Write and record the incident's evidence bundle. Sealing again makes another bundle; the earlier ones stay."""
    refuse_agent(actor, "seal evidence")
    with _sealing:
        return _seal(installation, actor, incident)


def _seal(installation: Installation, actor: Principal, incident: str) -> Bundle:
    store = installation.store
    store.read(lambda view: view.need(Incident, incident))
    size = seal_journal(store, installation.signer)

    def read(view: View) -> tuple[Case, list[Stored], list[tuple[bytes, ...]], str]:
        case = gather(view, installation.manifests, incident)
        rows = [row for row in _rows(view, case) if row.seq <= size]
        found = view.checkpoint_at(size)
        if found is None:
            raise NotFound(f"there is no checkpoint of {size} entries", hint="Run: stopwork db fsck")
        return case, rows, proofs(view, [row.seq - 1 for row in rows], size), found

    case, rows, row_proofs, note = store.read(read)
    collected = collect(case)
    number = store.read(lambda view: view.count(Bundle, incident=incident)) + 1
    path = installation.folder / EVIDENCE / f"{incident}-{number:03d}.zip"
    now = store.clock.now()
    facts = _write(
        path,
        external_id=f"{incident}/{number}",
        description=f"Evidence of incident {incident} ({case.incident.title})",
        payload=_payload(case, collected, rows, now),
        entries=[
            SealedEntry(index=row.seq - 1, body=row.body, proof=proof)
            for row, proof in zip(rows, row_proofs, strict=True)
        ],
        checkpoint=note,
        signer=installation.signer,
        created_at=now,
    )

    def record(tx: Tx) -> Bundle:
        bundle = tx.new_id("bundle")
        tx.record(
            EvidenceSealed(
                incident=incident,
                workflow=case.incident.workflow,
                bundle=bundle,
                digest=facts.digest,
                size_bytes=facts.size_bytes,
                entries=facts.entries,
                tree_size=size,
                kinds={each.kind.value: len(each.items) for each in collected},
                missing=tuple(each.missing for each in collected if each.missing),
                path=path.name,
            )
        )
        return tx.need(Bundle, bundle)

    return store.write(record, actor=actor)


def fetch(installation: Installation, actor: Principal, *, incident: str) -> Path:
    """Answer the file of the newest bundle, and record that it was taken out.

    ``Tampered`` when the file is not the one that was sealed.
    """
    refuse_agent(actor, "take evidence out")

    def look(tx: Tx) -> Bundle:
        known = tx.need(Incident, incident)
        if known.bundle is None:
            raise NotFound(
                f"{incident} has no bundle yet", hint=f"Seal it: stopwork incident seal {incident}"
            )
        tx.record(EvidenceViewed(incident=incident, workflow=known.workflow, what=f"exported {known.bundle}"))
        return tx.need(Bundle, known.bundle)

    bundle = installation.store.write(look, actor=actor)
    path = installation.folder / EVIDENCE / bundle.path
    if not path.is_file():
        raise NotFound(f"the file {bundle.path} is gone", hint="Restore it from a backup, or seal again.")
    found = _digest(path)
    if found != bundle.digest:
        raise Tampered(
            f"the file {bundle.path} is not the one that was sealed",
            hint="Keep it as it is, restore the sealed one from a backup, or seal again.",
            expected=bundle.digest,
            found=found,
        )
    return path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _write(path: Path, **content: Any) -> Any:
    try:
        return write_bundle(path, **content)
    except OSError as error:
        raise Unavailable(
            f"the bundle cannot be written: {error.strerror}",
            hint="Free space in the data folder, then seal again.",
        ) from error


def _rows(view: View, case: Case) -> list[Stored]:
    rows = {row.seq: row for row in _every(view, incident=case.incident.id)}
    audited = case.audit.runs if case.audit else ()
    runs = tuple(dict.fromkeys((*(run.id for run in case.runs), *audited)))
    for start in range(0, len(runs), RUNS_AT_ONCE):
        rows |= {row.seq: row for row in _every(view, run=runs[start : start + RUNS_AT_ONCE])}
    rows |= {row.seq: row for row in _every(view, workflow=case.workflow.id, kinds=_DECLARATIONS)}
    return [rows[seq] for seq in sorted(rows)]


def _every(view: View, **asked: Any) -> Iterator[Stored]:
    """Answer every row of the journal that is asked for: evidence is complete, however much it is."""
    after = 0
    while page := view.stored(after=after, limit=ENTRIES_AT_ONCE, **asked):
        yield from page
        after = page[-1].seq


def _payload(
    case: Case, collected: tuple[Evidence, ...], rows: list[Stored], now: datetime
) -> dict[str, bytes | Path]:
    payload: dict[str, bytes | Path] = {
        f"evidence/{each.kind}.json": _pretty(
            {"kind": each.kind, "missing": each.missing, "items": each.items}
        )
        for each in collected
    }
    timeline = [_line(row) for row in rows]
    payload["timeline.jsonl"] = b"".join(msgspec.json.encode(line) + b"\n" for line in timeline)
    payload["report.md"] = markdown(one_page(case, now)).encode()
    payload["incident.json"] = _pretty(case.incident)
    payload["index.html"] = _index(case, collected, timeline).encode()
    return payload


def _line(row: Stored) -> dict[str, Any]:
    entry = entry_of(row.body)
    return {"seq": row.seq, "at": entry.at, "actor": entry.actor.id, "event": name_of(entry.event)}


def _pretty(value: Any) -> bytes:
    return (
        json.dumps(msgspec.to_builtins(value), indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    )


def _index(case: Case, collected: tuple[Evidence, ...], timeline: list[dict[str, Any]]) -> str:
    """Answer a page that leads through the bundle and needs nothing but a browser."""
    kinds = "".join(
        f'<li><a href="evidence/{each.kind}.json">{each.kind}</a>: '
        f"{html.escape(each.missing) or count_of(len(each.items), 'item')}</li>"
        for each in collected
    )
    lines = "".join(
        f"<tr><td>{line['seq']}</td><td>{moment(line['at'])}</td><td>{html.escape(line['actor'])}</td>"
        f"<td>{html.escape(line['event'])}</td></tr>"
        for line in timeline
    )
    title = html.escape(f"{case.incident.id}: {case.incident.title}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>'
        "<p>Every file here is covered by a signature. To check it: <code>python3 verify.py FILE.zip</code>, "
        "with the verify.py of this file or one you trust more.</p>"
        '<p><a href="report.md">Report</a> · <a href="journal.jsonl">Journal entries</a> · '
        '<a href="proofs.jsonl">Proofs</a></p>'
        f"<h2>Evidence</h2><ul>{kinds}</ul><h2>Timeline</h2><table>{lines}</table></html>\n"
    )
