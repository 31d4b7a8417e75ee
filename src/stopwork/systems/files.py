"""Files, folders and links below one folder as objects. For POSIX systems.

An object's type is ``file``, ``folder`` or ``link``; its id is the path below the root, with ``/`` between the parts. A path has one
spelling: what a file system that folds capitals or accents would also find under another one is refused. What was moved is seen as
gone from one path and come at another, and undone as that. Times of change and owners are not part of an object; its mode is.

========== ==================================================================================================
file       ``{"folder", "mode", "text"}``, or ``"data"`` where the bytes are no UTF-8 text; a file larger than
           ``inline_bytes_max`` has ``"bytes"`` and ``"sha256"``, and its content is copied to the ``keep`` folder
folder     ``{"folder", "mode"}``
link       ``{"folder", "to"}``
========== ==================================================================================================

``folder`` names the folder that the object lies in, so that a folder is there again before what lies in it.

Nothing is followed out of the root: a link in the middle of a path is an error. A file comes to be under its name complete or not at
all, and never over another. A file system cannot compare and change in one step: a file is compared, in this process alone, right before
it is exchanged, so a change by another process in the moment between is lost.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import os
import re
import stat
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any, Final, NamedTuple

from stopwork.incidents.images import same
from stopwork.kernel.canonical import plain, revive
from stopwork.kernel.errors import Conflict, Invalid, TooLarge, Unavailable
from stopwork.ledger.records import Image, ObjectRef
from stopwork.ledger.words import ImageState
from stopwork.systems.base import require_expected, require_known

INLINE_BYTES_MAX: Final = 64 * 1024
SCAN_OBJECTS_MAX: Final = 10_000

_TYPES: Final = ("file", "folder", "link")
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_CHUNK: Final = 1024 * 1024
#: A file that changed this shortly before it was read may change again without its times telling.
_SETTLED_AFTER_NS: Final = 1_000_000_000
_READ_TRIES: Final = 5
#: What a half-written file is called; never an object.
_UNFINISHED: Final = ".stopwork-"


class _Stamp(NamedTuple):
    """What changes whenever a file's content or mode does, once the clock has moved on."""

    device: int
    inode: int
    size: int
    mode: int
    modified_ns: int
    changed_ns: int


class FilesSystem:
    """Shows what lies below ``root`` and puts it back.

    ``ignore`` are patterns of paths that are not objects (``*.log``, ``cache/*``). ``keep`` is a folder outside of the root that receives a
    copy of every large file that is seen; without it a large file cannot be seen, and a call that needs to is refused.
    """

    restores = True

    def __init__(
        self,
        name: str,
        root: str | Path,
        *,
        keep: str | Path | None = None,
        ignore: tuple[str, ...] = (),
        inline_bytes_max: int = INLINE_BYTES_MAX,
        scan: bool = True,
        scan_objects_max: int = SCAN_OBJECTS_MAX,
    ) -> None:
        self.name = name
        self.scans = scan
        self._root = Path(root).resolve()
        if self._root.is_file():
            raise Invalid(f"{self._root} is a file", hint="Name the folder around it.", field="root")
        self._keep = None if keep is None else _Keep(Path(keep).resolve(), outside=self._root)
        self._ignore = ignore
        self._inline_bytes_max = inline_bytes_max
        self._scan_objects_max = scan_objects_max
        self._seen: dict[str, tuple[_Stamp, dict[str, Any]]] = {}
        self._lock = RLock()

    def read(self, ref: ObjectRef) -> Image:
        parts = self._parts(ref)
        with self._errors(ref), _folder(self._root, parts[:-1]) as folder:
            return Image.absent() if folder is None else self._image(folder, parts, ref)

    def replace(self, ref: ObjectRef, expected: Image, target: Image) -> None:
        parts = self._parts(ref)
        require_known(ref, expected, target)
        wanted = _wanted(ref, parts, target)
        with self._lock, self._errors(ref), _folder(self._root, parts[:-1]) as folder:
            now = Image.absent() if folder is None else self._image(folder, parts, ref)
            require_expected(ref, expected, now)
            if wanted is None and now.state is ImageState.ABSENT:
                return
            if folder is None:
                raise Conflict(
                    f"the folder of {ref} is not there",
                    hint="Put the folder back first.",
                    object=str(ref),
                )
            if wanted is None:
                _remove(folder, parts[-1], ref)
            elif not same(wanted, now.content):
                self._put(folder, parts[-1], ref, now, wanted)
            os.fsync(folder)

    def scan(self) -> dict[ObjectRef, Any]:
        found: dict[ObjectRef, Any] = {}
        seen: dict[str, tuple[_Stamp, dict[str, Any]]] = {}
        with self._lock, self._errors(None), _folder(self._root, ()) as root:
            if root is None:
                raise Unavailable(f"{self._root} is not there", hint="See the root of the system.")
            for parts, folder, entry in self._walk(root, ()):
                kind = _kind(entry.st_mode)
                if kind is None:
                    continue
                if len(found) == self._scan_objects_max:
                    raise TooLarge(
                        f"{self.name} has more than {self._scan_objects_max} files and folders to scan",
                        hint="Raise scan_objects_max, ignore more, or switch scan off.",
                        expected=self._scan_objects_max,
                    )
                path = "/".join(parts)
                content = self._known(path, entry) or self._content(folder, parts[-1], parts, entry)
                if content is None:
                    continue  # it went while this looked
                found[ObjectRef(system=self.name, type=kind, id=path)] = content
                if kind == "file" and _settled(entry):
                    seen[path] = (_stamp(entry), content)
            self._seen = seen
        return found

    # --- seeing ----------------------------------------------------------------------------------

    def _parts(self, ref: ObjectRef) -> tuple[str, ...]:
        parts = tuple(ref.id.split("/"))
        if ref.system != self.name or ref.type not in _TYPES:
            raise Invalid(
                f"{ref} is not an object of {self.name}",
                hint=f"Its types are {', '.join(_TYPES)}.",
                object=str(ref),
            )
        if "\0" in ref.id or any(part in ("", ".", "..") for part in parts):
            raise Invalid(
                f"{ref.id!r} is not a path below the root",
                hint="Write it from the root, with one / between the parts: reports/2026/may.txt",
                object=str(ref),
            )
        if self._ignored(ref.id):
            raise Invalid(
                f"{ref} is left out by ignore", hint="Ignore less, or guard another file.", object=str(ref)
            )
        return parts

    def _ignored(self, path: str) -> bool:
        return any(fnmatch.fnmatchcase(path, pattern) for pattern in self._ignore)

    def _image(self, folder: int, parts: tuple[str, ...], ref: ObjectRef) -> Image:
        found = _look(folder, parts[-1])
        if found is None or _kind(found.st_mode) != ref.type:
            return Image.absent()
        spelled = _spelled(folder, parts[-1], found)
        if spelled != parts[-1]:
            raise Invalid(
                f"{ref} is another spelling of {'/'.join((*parts[:-1], spelled))}",
                hint="Write the path as the folder lists it: one file is one object.",
                object=str(ref),
                expected=spelled,
            )
        content = self._content(folder, parts[-1], parts, found)
        return Image.absent() if content is None else Image.present(content)

    def _known(self, path: str, found: os.stat_result) -> dict[str, Any] | None:
        stamp, content = self._seen.get(path, (None, None))
        return content if stamp == _stamp(found) else None

    def _content(
        self, folder: int, name: str, parts: tuple[str, ...], found: os.stat_result
    ) -> dict[str, Any] | None:
        where = {"folder": "/".join(parts[:-1])}
        try:
            match _kind(found.st_mode):
                case "link":
                    return where | {"to": plain(os.readlink(name, dir_fd=folder))}
                case "folder":
                    return where | {"mode": _mode(found)}
            return where | self._file(folder, name, "/".join(parts))
        except FileNotFoundError:
            return None

    def _file(self, folder: int, name: str, path: str) -> dict[str, Any]:
        """Answer the file's mode and content as they were at one moment."""
        for _ in range(_READ_TRIES):
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            with os.fdopen(descriptor, "rb") as file:
                before = os.fstat(file.fileno())
                if before.st_size <= self._inline_bytes_max:
                    content = _inline(file.read(self._inline_bytes_max + 1))
                elif self._keep is not None:
                    content = self._keep.put(iter(lambda: file.read(_CHUNK), b""))
                else:
                    raise TooLarge(
                        f"{self.name}/{path} has {before.st_size} bytes; up to {self._inline_bytes_max} are recorded",
                        hint="Name a `keep` folder for copies of large files, or raise inline_bytes_max.",
                        expected=self._inline_bytes_max,
                        found=before.st_size,
                    )
                if _stamp(os.fstat(file.fileno())) == _stamp(before):
                    return {"mode": _mode(before)} | content
        raise Unavailable(f"{path} changes while it is read", hint="Try again when its writer is done.")

    def _walk(
        self, folder: int, above: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, ...], int, os.stat_result]]:
        for name in sorted(os.listdir(folder)):
            parts = (*above, name)
            if name.startswith(_UNFINISHED) or self._ignored("/".join(parts)):
                continue
            entry = _look(folder, name)
            if entry is None:
                continue
            yield parts, folder, entry
            if stat.S_ISDIR(entry.st_mode):
                try:
                    inner = os.open(name, _AS_FOLDER, dir_fd=folder)
                except FileNotFoundError:
                    continue
                try:
                    yield from self._walk(inner, parts)
                finally:
                    os.close(inner)

    # --- changing --------------------------------------------------------------------------------

    def _put(self, folder: int, name: str, ref: ObjectRef, now: Image, wanted: dict[str, Any]) -> None:
        new = now.state is ImageState.ABSENT
        match ref.type:
            case "folder":
                if new:
                    os.mkdir(name, dir_fd=folder)
                _set_mode(folder, name, wanted)
            case "link":
                _arrive(
                    folder,
                    name,
                    lambda place: os.symlink(revive(wanted["to"]), place, dir_fd=folder),
                    new=new,
                )
            case _:
                _arrive(folder, name, lambda place: self._write(folder, place, ref, wanted), new=new)

    def _write(self, folder: int, place: str, ref: ObjectRef, wanted: dict[str, Any]) -> None:
        descriptor = os.open(
            place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder
        )
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(self._pieces(ref, wanted))
            file.flush()
            os.fchmod(file.fileno(), int(wanted["mode"], 8))
            os.fsync(file.fileno())

    def _pieces(self, ref: ObjectRef, wanted: dict[str, Any]) -> Iterator[bytes]:
        if "text" in wanted:
            yield wanted["text"].encode()
        elif "data" in wanted:
            yield revive(wanted["data"])
        elif self._keep is not None:
            yield from self._keep.get(str(wanted["sha256"]))
        else:
            raise Invalid(
                f"the content of {ref} was not kept",
                hint="Name the `keep` folder in which the copies of large files are.",
                object=str(ref),
            )

    @contextmanager
    def _errors(self, ref: ObjectRef | None) -> Iterator[None]:
        """Tell the operating system's errors in the words of a system."""
        what = self.name if ref is None else str(ref)
        try:
            yield
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR, errno.ELOOP):
                raise Conflict(
                    f"{what} cannot be reached or changed: {error.strerror}",
                    hint="Something else stands at its path; look at it and decide again.",
                    object=what,
                ) from error
            raise Unavailable(
                f"{what} cannot be reached: {error.strerror}",
                hint="See that this process may read and write below the root, and that there is room.",
                object=what,
            ) from error


class _Keep:
    """Copies of large files, each under the digest of its content, made once and never changed."""

    def __init__(self, folder: Path, *, outside: Path) -> None:
        if folder == outside or outside in folder.parents:
            raise Invalid(
                "the keep folder lies in the root", hint="Name a folder outside of it.", field="keep"
            )
        self._folder = folder

    def put(self, pieces: Iterator[bytes]) -> dict[str, Any]:
        """Keep the content; answer how an image names it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        known, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as copy:
            place = Path(copy.name)
            try:
                for piece in pieces:
                    known.update(piece)
                    size += len(piece)
                    copy.write(piece)
                copy.flush()
                os.fsync(copy.fileno())
                with suppress(FileExistsError):
                    os.link(place, self._folder / known.hexdigest())
            finally:
                place.unlink()
        return {"bytes": size, "sha256": known.hexdigest()}

    def get(self, name: str) -> Iterator[bytes]:
        """Answer the content in pieces; ``Conflict`` when it is not there whole."""
        known = hashlib.sha256()
        try:
            with (self._folder / name).open("rb") as copy:
                while piece := copy.read(_CHUNK):
                    known.update(piece)
                    yield piece
        except FileNotFoundError:
            raise Conflict(f"no copy {name} is kept", hint="Restore the file by hand.", found=name) from None
        if known.hexdigest() != name:
            raise Conflict(
                f"the kept copy {name} has been changed", hint="Restore the file by hand.", found=name
            )


_AS_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@contextmanager
def _folder(root: Path, parts: tuple[str, ...]) -> Iterator[int | None]:
    """Lend the open folder at this path below the root, reached without following a link; ``None`` when it is not there."""
    opened = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts:
            try:
                inner = os.open(part, _AS_FOLDER, dir_fd=opened)
            except FileNotFoundError:
                yield None
                return
            os.close(opened)
            opened = inner
        yield opened
    finally:
        os.close(opened)


def _look(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _spelled(folder: int, name: str, found: os.stat_result) -> str:
    """Answer how the folder spells the name of what was found under ``name``."""
    others = {name.swapcase(), *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))} - {name}
    if not any((other := _look(folder, each)) and os.path.samestat(other, found) for each in others):
        return name
    listed = os.listdir(folder)
    if name in listed:
        return name
    alike = (each for each in listed if _folded(each) == _folded(name))
    return next(alike, name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _kind(mode: int) -> str | None:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else None


def _mode(found: os.stat_result) -> str:
    return f"{stat.S_IMODE(found.st_mode):04o}"


def _stamp(found: os.stat_result) -> _Stamp:
    return _Stamp(
        found.st_dev, found.st_ino, found.st_size, found.st_mode, found.st_mtime_ns, found.st_ctime_ns
    )


def _settled(found: os.stat_result) -> bool:
    return time.time_ns() - max(found.st_ctime_ns, found.st_mtime_ns) > _SETTLED_AFTER_NS


def _inline(data: bytes) -> dict[str, Any]:
    with suppress(UnicodeDecodeError):
        if b"\0" not in data:
            return {"text": data.decode()}
    return {"data": plain(data)}


def _wanted(ref: ObjectRef, parts: tuple[str, ...], target: Image) -> dict[str, Any] | None:
    """Answer the content to put there, checked; ``None`` to remove it."""
    if target.state is ImageState.ABSENT:
        return None
    content, wrong = target.content, ""
    if not isinstance(content, dict):
        wrong = "it is no object"
    elif content.get("folder") != "/".join(parts[:-1]):
        wrong = f"folder is {content.get('folder')!r}"
    elif ref.type == "link":
        wrong = "" if content.keys() == {"folder", "to"} else "a link has `to` and nothing else"
    elif not re.fullmatch("[0-7]{4}", str(content.get("mode"))):
        wrong = f"mode is {content.get('mode')!r}; write it as 0644"
    elif ref.type == "folder":
        wrong = "" if content.keys() == {"folder", "mode"} else "a folder has `mode` and nothing else"
    else:
        wrong = _wrong_body(content)
    if wrong:
        raise Invalid(
            f"the content for {ref} cannot be put there: {wrong}",
            hint="Give what a look at a file shows: folder, mode, and text or data.",
            object=str(ref),
        )
    return dict(content)


def _wrong_body(content: dict[str, Any]) -> str:
    body = content.keys() - {"folder", "mode"}
    if body == {"text"} and isinstance(content["text"], str):
        return ""
    if body == {"data"} and isinstance(revive(content["data"]), bytes):
        return ""
    if body == {"bytes", "sha256"} and _DIGEST.fullmatch(str(content["sha256"])):
        return ""
    return f"a file has text or data, not {', '.join(sorted(body)) or 'neither'}"


def _arrive(folder: int, name: str, make: Callable[[str], None], *, new: bool) -> None:
    """Make something beside its place and move it there whole; what is new never lands on something else."""
    place = f"{_UNFINISHED}{os.urandom(8).hex()}"
    try:
        make(place)
        if new:
            os.link(place, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        else:
            os.rename(place, name, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(place, dir_fd=folder)


def _set_mode(folder: int, name: str, wanted: dict[str, Any]) -> None:
    descriptor = os.open(name, _AS_FOLDER, dir_fd=folder)
    try:
        os.fchmod(descriptor, int(wanted["mode"], 8))
    finally:
        os.close(descriptor)


def _remove(folder: int, name: str, ref: ObjectRef) -> None:
    if ref.type == "folder":
        os.rmdir(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)
