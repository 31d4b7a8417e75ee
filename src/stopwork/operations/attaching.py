"""Attachments: a file that a person adds to an incident's evidence, a log of another system or a picture of a screen."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import IO, Final

from stopwork.kernel.errors import Invalid, NotFound
from stopwork.kernel.filetypes import HEAD_BYTES, sniffed
from stopwork.ledger.events import EvidenceAdded
from stopwork.ledger.records import BlobRef, Incident, Principal
from stopwork.operations.custody import note_export
from stopwork.operations.installation import Installation
from stopwork.operations.people import refuse_agent
from stopwork.storage.contents import named
from stopwork.storage.transaction import Tx
from stopwork.storage.view import View

MAX_NAME_CHARACTERS: Final = 200
#: The largest file that is taken in one request; a larger one is kept elsewhere, and noted with its digest.
MAX_UPLOAD_BYTES: Final = 32 * 1024 * 1024


def attach(
    installation: Installation,
    actor: Principal,
    *,
    incident: str,
    name: str,
    content: bytes | IO[bytes],
    why: str = "",
) -> BlobRef:
    """Keep a file with the incident's evidence; it is in the next bundle. Its content is never shown as anything but a download.

    Its media type is told from how the content begins. ``TooLarge`` beyond the bound of blobs, ``Invalid`` for a name that is none.
    """
    refuse_agent(actor, "add to the evidence")
    installation.store.read(lambda view: view.need(Incident, incident))
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise Invalid(
            f"{name!r:.80} is no name of a file",
            hint=f"Use 1 to {MAX_NAME_CHARACTERS} printable characters.",
            field="name",
        )
    head, content = _begun(content)
    media_type = sniffed(head)
    kept = installation.blobs.put(content)
    blob = BlobRef(digest=kept.digest, size_bytes=kept.size_bytes, name=name, media_type=media_type)
    installation.store.write(partial(_record, incident=incident, blob=blob, why=why), actor=actor)
    return blob


def _begun(content: bytes | IO[bytes]) -> tuple[bytes, bytes | IO[bytes]]:
    """Answer how content begins, and the content from its beginning on."""
    if isinstance(content, bytes):
        return content[:HEAD_BYTES], content
    at = content.tell()
    head = content.read(HEAD_BYTES)
    content.seek(at)
    return head, content


def _record(tx: Tx, *, incident: str, blob: BlobRef, why: str) -> None:
    known = tx.need(Incident, incident)
    tx.record(EvidenceAdded(incident=incident, workflow=known.workflow, blobs=(blob,), why=why.strip()))


def attachments(view: View, incident: str) -> list[BlobRef]:
    """Answer what was added to the evidence, each content once, oldest first."""
    found = {blob.digest: blob for _, blob in named(view, incident=incident)}
    return list(found.values())


def take(
    installation: Installation, actor: Principal, *, incident: str, digest: str
) -> tuple[BlobRef, Iterator[bytes]]:
    """Answer what was added and its content, checked while it is read; that somebody took it is recorded, each time."""
    refuse_agent(actor, "take evidence out")
    known = installation.store.read(lambda view: {blob.digest: blob for blob in attachments(view, incident)})
    if digest not in known:
        raise NotFound(
            f"{incident} has no attachment {digest}", hint="See its list of attachments.", digest=digest
        )
    name = known[digest].name
    installation.store.write(partial(note_export, incident=incident, what=name, digest=digest), actor=actor)
    return known[digest], installation.blobs.read(digest)
