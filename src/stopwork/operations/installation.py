"""An installation: the store with everything that belongs to it, put together in one place."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from stopwork.anchors.base import Anchor
from stopwork.anchors.settings import Anchors
from stopwork.hooks.base import Hooks
from stopwork.hooks.settings import MakesHooks
from stopwork.kernel.clock import Clock, SystemClock
from stopwork.kernel.errors import Invalid, Tampered, Unavailable
from stopwork.kernel.ids import IdSource
from stopwork.ledger.notes import Signer
from stopwork.notify.outlet import Outlet
from stopwork.operations import leasing
from stopwork.operations.manifests import Manifests
from stopwork.storage.blobs import Blobs
from stopwork.storage.bucket import open_blobs
from stopwork.storage.store import Store, is_address
from stopwork.storage.view import View
from stopwork.systems.base import System

DATABASE = "stopwork.db"
KEY_FILE = "signing.key"
EVIDENCE = "evidence"
BLOBS = "blobs"


class Installation:
    """Everything one server or one embedded guard works with.

    ``folder`` holds the database, the signing key (readable by its owner only) and the evidence bundles. ``blobs`` is where content
    lies that is too large for the journal, ``systems`` are the connected systems by name, ``outlet`` is how messages leave, ``anchors`` are the places that keep checkpoints of the log,
    ``hooks`` is what its operator lets it do to make things safe.
    """

    def __init__(
        self,
        *,
        store: Store,
        folder: Path,
        signer: Signer,
        blobs: Blobs,
        systems: Mapping[str, System],
        outlet: Outlet,
        anchors: Sequence[Anchor] = (),
        hooks: Hooks | None = None,
    ) -> None:
        self.store = store
        self.folder = folder
        self.signer = signer
        self.blobs = blobs
        self.systems = dict(systems)
        self.outlet = outlet
        self.anchors = tuple(anchors)
        self.hooks = dict(hooks or {})
        #: The hooks that this process is running or about to, each by its item and its name, as often as somebody asked for it.
        self.running_hooks: list[tuple[str, str]] = []
        self.manifests = Manifests()
        store.when_taken_back(self.manifests.forget)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        database: str | None = None,
        blobs: str | None = None,
        systems: Mapping[str, System] | None = None,
        outlet: Outlet | None = None,
        anchors: Anchors | None = None,
        hooks: MakesHooks | None = None,
        clock: Clock | None = None,
        ids: IdSource | None = None,
    ) -> Installation:
        """Open the installation in ``folder``, or make one there.

        Its database is a file in the folder, which one process owns (``Conflict`` when another has it), or the PostgreSQL database at
        the address ``database``, which several servers share: then they share the signing key and the evidence as well. Blobs lie in the folder, or under the address ``blobs`` of a bucket.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (folder / EVIDENCE).mkdir(exist_ok=True)
        except OSError as error:
            raise Unavailable(
                f"the data folder {folder} cannot be made: {error.strerror}",
                hint="Name a folder you can write to.",
            ) from error
        if database is not None and not is_address(database):
            raise Invalid(
                "this is no address of a PostgreSQL database",
                hint="Write it as postgresql://user:password@host:5432/name, or leave it out for a file.",
                field="database",
            )
        kept = open_blobs(blobs or folder / BLOBS)
        clock, outlet = clock or SystemClock(), outlet or Outlet.to_folder(folder / "outbox")
        places = anchors(outlet, clock) if anchors else ()
        known_hooks = hooks(clock) if hooks else {}
        store = Store.open(database or folder / DATABASE, clock=clock, ids=ids)
        try:
            signer = _signer(folder / KEY_FILE, sealed_as=store.read(_origin))
            if store.read(leasing.any_on_file):
                store.write(leasing.after_start)
        except BaseException:
            store.close()
            raise
        return cls(
            store=store,
            folder=folder,
            signer=signer,
            blobs=kept,
            systems=systems or {},
            outlet=outlet,
            anchors=places,
            hooks=known_hooks,
        )

    def close(self) -> None:
        """Give everything back."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def read_signer(path: Path) -> Signer:
    """Answer the signing key that is kept in a file; ``Tampered`` when the file holds something else."""
    try:
        name, _, seed = path.read_text().strip().partition(" ")
        return Signer(name, bytes.fromhex(seed))
    except OSError as error:
        raise Unavailable(
            f"the signing key {path} cannot be read: {error.strerror}", hint="Check its permissions."
        ) from error
    except (ValueError, Invalid) as error:
        raise Tampered(f"{path} is not a signing key", hint="Restore it from a backup.") from error


def _origin(view: View) -> str | None:
    """Answer the name under which the journal has been sealed so far."""
    newest = view.checkpoint()
    return None if newest is None else newest[1].partition("\n")[0]


def _signer(path: Path, *, sealed_as: str | None) -> Signer:
    """Read the signing key or make one. The key's name is the log's origin and never changes."""
    if path.exists():
        known = read_signer(path)
        if sealed_as not in (None, known.key.name):
            raise Unavailable(
                f"the journal is sealed by {sealed_as}, and {path} is the key of {known.key.name}",
                hint="Use the folder that belongs to this database; servers that share one share its signing key.",
            )
        return known
    if sealed_as is not None:
        raise Unavailable(
            f"the signing key {path} is gone, and the journal is sealed with it",
            hint="Restore it from a backup, or use the folder of the servers that share this database: with another key nobody "
            "could tell this log from a forged one.",
        )
    origin, private = f"stopwork.local/{secrets.token_hex(8)}", secrets.token_bytes(32)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(f"{origin} {private.hex()}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(unfinished, path)
        except FileExistsError:
            return read_signer(path)  # another server that shares the folder was first
        finally:
            unfinished.unlink()
    except OSError as error:
        raise Unavailable(
            f"the signing key cannot be written to {path}: {error.strerror}", hint="Free some space."
        ) from error
    return Signer(origin, private)
