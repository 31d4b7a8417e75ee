"""Evidence: an incident's records go into one sealed file that anyone can verify without this server."""

from __future__ import annotations

import hashlib
import heapq
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from stopwork.incidents.case import Case
from stopwork.incidents.preserve import Evidence, collect, objects_of
from stopwork.kernel.errors import NotFound, Tampered, Unavailable
from stopwork.ledger.bundle import BundleFacts, write_bundle
from stopwork.ledger.events import EvidenceSealed, LegalHoldSet
from stopwork.ledger.records import Bundle, FeedChange, Incident, LegalHold, Note, Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import privacy
from stopwork.operations.cases import RUNS_AT_ONCE, gather
from stopwork.operations.collecting import Collection
from stopwork.operations.custody import note_export
from stopwork.operations.installation import EVIDENCE, Installation
from stopwork.operations.payload import Payload
from stopwork.operations.people import refuse_agent
from stopwork.operations.sealing import prover
from stopwork.operations.sealing import seal as seal_journal
from stopwork.storage.transaction import Tx
from stopwork.storage.view import Stored, View

_ROWS_AT_ONCE: Final = 1_000
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
# One at a time in this process: a bundle takes disk and time. Other servers of the database take numbers of their own.
_sealing: Final = threading.Lock()


class _Written(Struct, frozen=True, kw_only=True):
    """What one sealing collected and wrote."""

    case: Case
    evidence: tuple[Evidence, ...]
    left_out: tuple[str, ...]
    facts: BundleFacts
    path: Path
    size: int


def seal(
    installation: Installation,
    actor: Principal,
    *,
    incident: str,
    reason: str = "",
    bundles: int | None = None,
) -> Bundle:
    """Collect, write and record the incident's evidence, and set its legal hold if it never had one.

    Sealing again makes another bundle; the earlier ones stay. But for whom there were only so many ``bundles`` when it became due, the one
    that somebody else has made meanwhile is enough, and is answered. Memory does not grow with the journal or with the content beside it.
    """
    refuse_agent(actor, "seal evidence")
    with _sealing:
        store = installation.store
        store.read(lambda view: view.need(Incident, incident))
        size = seal_journal(store, installation.signer)
        written = store.read(partial(_write, installation, actor, incident, reason, size))
        record = partial(_record, written=written, reason=reason, bundles=bundles)
        bundle = store.write(record, actor=actor)
        if bundle.path != written.path.name:
            written.path.unlink(missing_ok=True)
        return bundle


def _write(
    installation: Installation, actor: Principal, incident: str, reason: str, size: int, whole: View
) -> _Written:
    # A bundle goes wherever its incident is seen: what belongs to another, private one is not in it.
    view, shown = privacy.apart_from(whole, incident)
    case = gather(view, installation.manifests, incident)
    evidence = collected(view, case)
    note = view.checkpoint_at(size)
    if note is None:
        raise NotFound(f"there is no checkpoint of {size} entries", hint="Run: stopwork db fsck")
    folder = installation.folder / EVIDENCE
    try:
        with (
            _reserved(folder, incident, view.count(Bundle, incident=incident) + 1) as (number, path),
            Payload(folder) as files,
        ):
            collection = Collection(
                installation,
                case,
                evidence,
                by=actor,
                why=reason,
                bundle=path.name,
                size=size,
                prover=prover(view, size),
                files=files,
            )
            facts = write_bundle(
                path,
                external_id=f"{incident}/{number}",
                # Without its title, which could not be withheld when the bundle is passed on.
                description=f"Evidence of incident {incident}",
                payload=partial(collection.payload, view),
                entries=collection.entries(_rows(view, case, size), shown),
                checkpoint=note,
                signer=installation.signer,
                created_at=collection.now,
            )
    except OSError as error:
        raise Unavailable(
            f"the bundle cannot be written: {error.strerror}",
            hint="Free space in the data folder, then seal again.",
        ) from error
    return _Written(
        case=case, evidence=evidence, left_out=collection.left_out, facts=facts, path=path, size=size
    )


def collected(view: View, case: Case) -> tuple[Evidence, ...]:
    """Answer the evidence of a case by kind, as it goes into a bundle now."""
    objects = objects_of(case)
    parts = (objects[start : start + RUNS_AT_ONCE] for start in range(0, len(objects), RUNS_AT_ONCE))
    changes = [each for part in parts for each in view.each(FeedChange, object_key=part, order="at")]
    return collect(case, tuple(view.each(Note, incident=case.incident.id)), changes)


@contextmanager
def _reserved(folder: Path, incident: str, number: int) -> Iterator[tuple[int, Path]]:
    """Answer the next number that no file has, and the file, which is nobody else's from now on; it is gone when writing it fails.

    Another server that shares the folder may be sealing as well, and a database that was put back counts fewer bundles than there are.
    """
    while True:
        path = folder / f"{incident}-{number:03d}.zip"
        try:
            path.open("xb").close()
        except FileExistsError:
            number += 1
            continue
        break
    try:
        yield number, path
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _record(tx: Tx, *, written: _Written, reason: str, bundles: int | None) -> Bundle:
    bundle, incident = tx.new_id("bundle"), written.case.incident
    if bundles is not None and tx.count(Bundle, incident=incident.id) > bundles:
        return _newest(tx, incident=incident.id)
    tx.record(
        EvidenceSealed(
            incident=incident.id,
            workflow=incident.workflow,
            bundle=bundle,
            digest=written.facts.digest,
            size_bytes=written.facts.size_bytes,
            entries=written.facts.entries,
            tree_size=written.size,
            kinds={each.kind.value: len(each.items) for each in written.evidence},
            missing=(*(each.missing for each in written.evidence if each.missing), *written.left_out),
            path=written.path.name,
            reason=reason,
            automatic=tx.actor.kind is PrincipalKind.SYSTEM,
        )
    )
    if tx.get(LegalHold, incident.id) is None:
        tx.record(
            LegalHoldSet(
                incident=incident.id,
                workflow=incident.workflow,
                reason="set with the first sealing of its evidence",
            )
        )
    return tx.need(Bundle, bundle)


def fetch(installation: Installation, actor: Principal, *, incident: str) -> Path:
    """Answer the file of the newest bundle, and record that it was taken out.

    ``Tampered`` when the file is not the one that was sealed.
    """
    refuse_agent(actor, "take evidence out")

    bundle = installation.store.read(partial(_newest, incident=incident))
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
    taken = partial(note_export, incident=incident, what=bundle.path, digest=bundle.digest)
    installation.store.write(taken, actor=actor)
    return path


def _newest(view: View, *, incident: str) -> Bundle:
    known = view.need(Incident, incident)
    if known.bundle is None:
        raise NotFound(f"{incident} has no bundle yet", hint=f"Seal it: stopwork incident seal {incident}")
    return view.need(Bundle, known.bundle)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _rows(view: View, case: Case, size: int) -> Iterator[Stored]:
    """Answer every row of the journal that belongs to the case, in order, each once: evidence is complete, however much it is."""
    audited = case.audit.runs if case.audit else ()
    runs = tuple(dict.fromkeys((*(run.id for run in case.runs), *audited)))
    asked: list[dict[str, Any]] = [
        {"incident": case.incident.id},
        {"workflow": case.workflow.id, "kinds": _DECLARATIONS},
        *({"run": runs[start : start + RUNS_AT_ONCE]} for start in range(0, len(runs), RUNS_AT_ONCE)),
    ]
    last = 0
    for row in heapq.merge(*(_every(view, size, each) for each in asked), key=lambda row: row.seq):
        if row.seq > last:
            yield row
            last = row.seq


def _every(view: View, size: int, asked: dict[str, Any]) -> Iterator[Stored]:
    after = 0
    while page := view.stored(after=after, before=size + 1, limit=_ROWS_AT_ONCE, **asked):
        yield from page
        after = page[-1].seq
