"""Seeing what a call changes: objects read before and after, and systems scanned around it.

Before the call a failure to look is an error, for then the call must not run. After it a failure is an *unknown* image: the call
has run, and what is not known is said.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from stopwork.incidents.images import operation_of, same
from stopwork.kernel.errors import Unavailable
from stopwork.ledger.records import Captured, Image, ObjectRef, Observed
from stopwork.ledger.words import EffectKind, ImageState, Operation

if TYPE_CHECKING:
    from typing import TypeGuard

    from stopwork.systems.base import Capturing, System

log = logging.getLogger("stopwork.sdk")

MAX_WHY_CHARS: Final = 300

_NOT_CAPTURED: Final = "and no change of it was captured for this call: somebody else changed it meanwhile, or the tool works on a connection that is not watched"

_spell: Final = msgspec.json.Encoder().encode

_Scans = dict[str, Mapping[ObjectRef, Any]]


def captures(system: System) -> TypeGuard[Capturing]:
    """Answer whether the place itself says what a call has changed."""
    return bool(getattr(system, "captures", False))


class Observer:
    """The systems that this process can look at, and the calls that are being watched right now."""

    def __init__(self, systems: Mapping[str, System]) -> None:
        self.systems = dict(systems)
        self._open: set[Window] = set()
        self._capturing: set[str] = set()
        self._seen: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def capturing(self) -> Iterator[tuple[str, Capturing]]:
        """Answer the places that say by themselves what a call has changed."""
        for name, system in self.systems.items():
            if captures(system):
                yield name, system

    def require_capture(self, call: str) -> None:
        """Raise ``Unavailable`` unless each of those places has been seen to be able to say so."""
        for name, system in self.capturing():
            if name in self._capturing:
                continue
            try:
                system.captured(call)
            except Exception as error:
                raise Unavailable(
                    f"{name} cannot say what a call changes: {type(error).__name__}: {error}",
                    hint=f"Prepare it once with install_capture(); otherwise look at the system {name}.",
                ) from error
            self._capturing.add(name)

    def window(
        self, effect: EffectKind | None, system: str | None = None, call: str = "", run: str = ""
    ) -> Window:
        """Answer the view around one call of a run that has this effect on an object of this system."""
        return Window(self, effect, system, call, run)

    def seen(self, run: str, call: str) -> None:
        """Note that a call of this run was looked at after it, so that it may yet be found to have changed more."""
        if any(self.capturing()):
            with self._lock:
                self._seen.setdefault(run, set()).add(call)

    def late(self, run: str) -> dict[str, tuple[Observed, ...]]:
        """Answer what calls of the run are seen to have changed since they were looked at, as by a commit that came later."""
        with self._lock:
            calls = self._seen.pop(run, set())
        found: dict[str, tuple[Observed, ...]] = {}
        for name, system in self.capturing():
            try:
                for call in calls & system.kept():
                    found[call] = (*found.get(call, ()), *system.captured(call))
            except Exception as error:  # noqa: BLE001 - the run is over: what is not read stays where it was captured
                log.warning("%s could not say what run %s changed since: %s", name, run, error)
        return found

    def forget(self, call: str) -> None:
        """What was seen is on record: the places that captured it need not keep it."""
        for name, system in self.capturing():
            try:
                system.forget(call)
            except Exception as error:  # noqa: BLE001 - what is kept longer does no harm
                log.warning("%s keeps what it captured for %s: %s", name, call, error)

    def opened(self, window: Window) -> None:
        """Note that a call is being watched."""
        with self._lock:
            self._open.add(window)

    def closed(self, window: Window) -> None:
        """Note that a call is no longer watched."""
        with self._lock:
            self._open.discard(window)

    def claim(self, window: Window, changes: dict[ObjectRef, Any]) -> set[ObjectRef]:
        """Answer which of these scanned changes are the window's own: not claimed by a call that overlapped and ended first."""
        with self._lock:
            own = {
                ref
                for ref, content in changes.items()
                if ref not in window.claimed or not same(window.claimed[ref], content)
            }
            for other in self._open - {window}:
                other.claimed |= {ref: changes[ref] for ref in own}
            return own


class Window:
    """What was there before one call, and what has changed after it.

    ``unchanged`` is whether all that the call is for, its objects or else the whole system that they live in, has been seen to be as
    it was, and so has everything that was scanned. ``unseen`` are the systems that could not be looked at afterwards, with why.
    """

    def __init__(
        self, observer: Observer, effect: EffectKind | None, system: str | None, call: str, run: str
    ) -> None:
        self.claimed: dict[ObjectRef, Any] = {}
        self.unchanged = False
        self._observer = observer
        self._effect = effect
        self._system = system
        self._call = call
        self._run = run
        self._before: dict[ObjectRef, Image] = {}
        self._scanned: _Scans = {}
        self._reported: dict[ObjectRef, Observed] = {}
        self.unseen: dict[str, str] = {}

    @property
    def looks(self) -> bool:
        """Whether there is any system to look at; if not, looking takes no time."""
        return bool(self._observer.systems)

    def before(self, objects: Iterable[ObjectRef]) -> tuple[Captured, ...]:
        """Read the objects and scan what can be scanned; ``Unavailable`` when anything cannot be read."""
        self._observer.require_capture(self._call)
        self._observer.opened(self)
        self._before = {ref: self._read(ref) for ref in objects}
        self._scanned = {
            name: _scan(name, system)
            for name, system in self._observer.systems.items()
            if system.scans and not captures(system)
        }
        return tuple(Captured(object=ref, image=image) for ref, image in self._before.items())

    def after(self, objects: Iterable[ObjectRef]) -> tuple[Observed, ...]:
        """Look again: answer each of these objects, changed or not, and every other one that was captured or scanned and changed."""
        found = {}
        for ref in objects:
            before = self._before.get(ref, Image.unknown("it was not read before the call"))
            found[ref] = self._observed(ref, before, self._read_after(ref), self._effect, "declared")
        looked_at = bool(found) or self._system in self._scanned
        self.unchanged = looked_at and all(
            seen.before.state is not ImageState.UNKNOWN and _unchanged(seen) for seen in found.values()
        )
        found |= {ref: seen for ref, seen in self._changed_in_scans().items() if ref not in found}
        # What the place itself has laid to this call is more certain than a look before and a look after.
        captured = {seen.object: seen for seen in self._captured()}
        self.unchanged = self.unchanged and not captured
        silent = frozenset(self.unseen)
        found = {
            ref: seen if ref in captured else self._not_captured(seen, silent) for ref, seen in found.items()
        }
        found |= {ref: self._declared(seen) if ref in found else seen for ref, seen in captured.items()}
        self._reported = found
        self._observer.seen(self._run, self._call)
        self._observer.closed(self)
        return tuple(found.values())

    def new(self, objects: Iterable[ObjectRef]) -> tuple[Observed, ...]:
        """Look at objects that only the result names."""
        return tuple(self._new(ref) for ref in objects)

    def recorded(self) -> None:
        """What was seen is on record: the places that captured it need not keep it."""
        self._observer.forget(self._call)

    def close(self) -> None:
        """Stop watching; a call that was never looked at again claims nothing."""
        self._observer.closed(self)

    def _read(self, ref: ObjectRef) -> Image:
        system = self._observer.systems.get(ref.system)
        if system is None:
            return Image.unknown(f"no system named {ref.system} is configured in the agent's process")
        try:
            return system.read(ref)
        except Exception as error:
            raise Unavailable(
                f"{ref} could not be read before the call: {type(error).__name__}: {error}",
                hint=f"Look at the system {ref.system}.",
            ) from error

    def _read_after(self, ref: ObjectRef) -> Image:
        try:
            return self._read(ref)
        except Unavailable as error:
            log.warning("%s could not be read after the call: %s", ref, error.__cause__)
            return Image.unknown(f"it could not be read after the call: {error.__cause__}")

    def _captured(self) -> Iterator[Observed]:
        for name, system in self._observer.capturing():
            try:
                yield from system.captured(self._call)
            except Exception as error:  # noqa: BLE001 - the call has run: what is not known is said
                log.warning("%s could not say what %s changed: %s", name, self._call, error)
                self.unseen[name] = f"it could not say what changed: {error}"[:MAX_WHY_CHARS]
                self.unchanged = False

    def _not_captured(self, seen: Observed, silent: frozenset[str]) -> Observed:
        """Answer a declared object of which its place has captured no change by the call.

        Then the call did not change it, unless the place is one of those that could not say so. What differs nevertheless was somebody else's doing, or that of a connection which nobody watches: it
        is never laid to the call, for then it would be taken back with it.
        """
        ref = seen.object
        if not self._captured_in(ref.system) or _unchanged(seen):
            return seen
        if ref.system in silent:
            return self._observed(
                ref, seen.before, Image.unknown(self.unseen[ref.system]), self._effect, "declared"
            )
        if seen.after.state is not ImageState.UNKNOWN:
            self.unseen[ref.system] = f"{ref} is not as it was, {_NOT_CAPTURED}"[:MAX_WHY_CHARS]
        return self._observed(ref, seen.before, seen.before, self._effect, "declared")

    def _new(self, ref: ObjectRef) -> Observed:
        if (known := self._reported.get(ref)) is not None and known.source == "capture":
            return self._declared(known)
        captured = self._captured_in(ref.system)
        after = Image.unknown(f"the result names it, {_NOT_CAPTURED}") if captured else self._read_after(ref)
        return self._observed(ref, self._image_before(ref), after, self._effect, "declared")

    def _captured_in(self, system: str) -> bool:
        known = self._observer.systems.get(system)
        return known is not None and captures(known)

    def _declared(self, seen: Observed) -> Observed:
        operation = operation_of(seen.before, seen.after, self._effect) or seen.operation
        return replace(seen, operation=operation)

    def _changed_in_scans(self) -> dict[ObjectRef, Observed]:
        changed: dict[ObjectRef, Observed] = {}
        for name, before in self._scanned.items():
            try:
                after = _scan(name, self._observer.systems[name])
            except Unavailable as error:
                log.warning("%s could not be scanned after the call: %s", name, error.__cause__)
                self.unseen[name] = f"it could not be scanned after the call: {error.__cause__}"[
                    :MAX_WHY_CHARS
                ]
                self.unchanged = False
                continue
            for ref in before.keys() | after.keys():
                if ref in before and ref in after and _spelled_alike(before[ref], after[ref]):
                    continue
                seen = self._observed(ref, _image(before, ref), _image(after, ref), None, "scan")
                if not _unchanged(seen):
                    changed[ref] = seen
        # Also what a call that overlapped has claimed may have been this one's doing.
        self.unchanged = self.unchanged and not changed
        own = self._observer.claim(self, {ref: seen.after.content for ref, seen in changed.items()})
        return {ref: changed[ref] for ref in sorted(own, key=str)}

    def _image_before(self, ref: ObjectRef) -> Image:
        if ref in self._reported:
            return self._reported[ref].before
        if ref.system in self._scanned:
            return _image(self._scanned[ref.system], ref)
        if self._effect is EffectKind.CREATE:
            return Image.absent()
        return Image.unknown("only the result named it")

    @staticmethod
    def _observed(
        ref: ObjectRef, before: Image, after: Image, effect: EffectKind | None, source: str
    ) -> Observed:
        operation = operation_of(before, after, effect) or Operation.MODIFIED
        return Observed(object=ref, operation=operation, before=before, after=after, source=source)


def _unchanged(seen: Observed) -> bool:
    """Answer whether nothing is seen to have changed."""
    return seen.before.state is seen.after.state and same(seen.before.content, seen.after.content)


def _spelled_alike(one: Any, other: Any) -> bool:
    """Answer whether two plain values are spelled alike, and so the same: of most of a scan that is known ten times sooner."""
    return _spell(one) == _spell(other)


def _scan(name: str, system: System) -> Mapping[ObjectRef, Any]:
    try:
        return system.scan()
    except Exception as error:
        raise Unavailable(
            f"{name} could not be scanned before the call: {type(error).__name__}: {error}",
            hint=f"Look at the system {name}.",
        ) from error


def _image(scan: Mapping[ObjectRef, Any], ref: ObjectRef) -> Image:
    return Image.present(scan[ref]) if ref in scan else Image.absent()
