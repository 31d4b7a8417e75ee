"""What a system promises: to show its objects, and to put one back only if it is still what we last saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from stopwork.incidents.images import same_image
from stopwork.incidents.references import Reference
from stopwork.kernel.errors import Conflict, Invalid, StopworkError
from stopwork.ledger.records import Image, ObjectRef, Observed, Record
from stopwork.ledger.words import ImageState


class Unsupported(Invalid):
    """The system cannot do that"""

    code: ClassVar[str] = "unsupported"


class System(Protocol):
    """A place outside Stopwork where objects live, such as a database or a ticket tracker.

    ``name`` is the name by which manifests refer to it. Content is plain JSON and leaves out what the place keeps by itself
    (versions, times of change): such a field would make every later change look like a conflict. Everything may be
    called from several threads. A place that cannot be reached MUST raise ``Unavailable``; no answer may be made up.

    These are optional: ``restores`` (true unless said otherwise) tells whether :meth:`replace` works, ``invokes`` and
    ``captures`` (false unless said otherwise) whether it has the methods of :class:`Invoker` and :class:`Capturing`, ``unable`` (empty
    unless said otherwise), by type, which of create, update and delete :meth:`replace` has no way for, and ``at_once`` (one
    unless said otherwise) how many objects that do not depend on each other a recovery may change at a time. A system with the methods of
    :class:`Swapping` is asked for many at once instead; one with those of :class:`Stamping` says who changed an object last, one with
    those of :class:`Checking` is asked before a person's edit of a recovery is taken, and one with that of :class:`Referring` before a
    recovery is proposed.
    """

    name: str
    scans: bool
    """Whether :meth:`scan` works and is cheap enough to run around every call."""

    def read(self, ref: ObjectRef) -> Image:
        """Answer what is there now; an object that is not there is ``Image.absent()``, never an error.

        The answer shares nothing with the system's own state.
        """

    def replace(self, ref: ObjectRef, expected: Image, target: Image) -> None:
        """Put ``target`` there if ``expected`` is what is there, else raise ``Conflict`` and change nothing.

        An absent target deletes, an absent expectation creates. The comparison and the change MUST be one step where the
        place can do that; where it cannot, the adapter's documentation says so.
        """

    def scan(self) -> Mapping[ObjectRef, Any]:
        """Answer the content of every object it can see, or raise ``Unsupported``."""


class Capturing(Protocol):
    """A system that says by itself what a call has changed, so that nothing has to be compared."""

    captures: bool

    def captured(self, call: str) -> tuple[Observed, ...]:
        """Answer each object that the call has changed, as it was before and after."""

    def forget(self, call: str) -> None:
        """Keep what was captured for a call no longer."""

    def kept(self) -> frozenset[str]:
        """Answer the calls for which anything captured is still kept."""


class Swap(Record):
    """One change of many: ``target`` in the place of ``expected``, as for :meth:`System.replace`."""

    object: ObjectRef
    expected: Image
    target: Image


class Swapping(Protocol):
    """A system that reads and changes many objects for about the price of one, such as a database."""

    def read_many(self, refs: Sequence[ObjectRef]) -> Sequence[Image]:
        """Answer what each object holds now; raises when one of them cannot be told."""

    def replace_many(self, swaps: Sequence[Swap]) -> Sequence[Exception | None]:
        """Make each change in its turn as :meth:`System.replace` does, all durable together, and answer what each of them raised.

        One that is refused keeps none of the others back. When this raises itself, none of them was made.
        """


class Stamping(Protocol):
    """A system that knows who changed an object last, and when; both are text as the system has it, empty where it does not know."""

    def stamp(self, ref: ObjectRef) -> tuple[str, str]:
        """Answer who and when."""


class Checking(Protocol):
    """A system that can tell before a change what it would refuse."""

    def check(self, ref: ObjectRef, target: Image) -> None:
        """Raise ``Invalid`` when such content can never be put there."""


class Referring(Protocol):
    """A system that knows which of its objects refer to which, such as by foreign keys."""

    def references(self) -> Sequence[Reference]:
        """Answer what it declares. An object is put back before what refers to it, and is removed only when nothing does any more."""


class Invoker(Protocol):
    """A system that can also run a tool, for calls whose manifest names an inverse tool."""

    def invoke(self, tool: str, args: Mapping[str, Any]) -> Any:
        """Run the tool once and answer its result; whatever it raises is the caller's to report."""


def restoring(systems: Mapping[str, System]) -> frozenset[str]:
    """Answer the names of the systems that can put content back."""
    return frozenset(name for name, system in systems.items() if getattr(system, "restores", True))


def invoking(systems: Mapping[str, System]) -> frozenset[str]:
    """Answer the names of the systems that can run a tool."""
    return frozenset(name for name, system in systems.items() if getattr(system, "invokes", False))


def require_expected(ref: ObjectRef, expected: Image, found: Image) -> None:
    """Raise ``Conflict`` unless what was found is what was expected."""
    if not same_image(expected, found):
        raise Conflict(
            f"{ref} is not as expected",
            hint="Somebody changed it; look at it and decide again.",
            object=str(ref),
            expected=expected.content,
            found=found.content,
        )


def require_known(ref: ObjectRef, *images: Image) -> None:
    """Raise ``Invalid`` when an image is unknown: nothing can be compared with it or made from it."""
    for image in images:
        if image.state is ImageState.UNKNOWN:
            raise Invalid(
                f"{ref} cannot be replaced on the strength of an image that nobody saw",
                hint="Read the object first.",
                object=str(ref),
            )


def in_words(error: Exception | None) -> str:
    """Answer what an adapter raised; only our own errors speak for themselves."""
    if error is None:
        return ""
    return str(error) if isinstance(error, StopworkError) else f"{type(error).__name__}: {error}"
