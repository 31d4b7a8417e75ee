"""A system seen and restored with the agent's own tools, for places that offer nothing else.

For each type a *snapshot* tool reads one object; *create*, *update* and *delete* tools, where there are such, write it. Arguments
are given as templates (:mod:`stopwork.systems.templates`): ``{id}`` is the object's id, ``{content}`` what it shall become,
``{content.due}`` one field of that, ``{changes}`` the top-level fields that differ.

Tools compare nothing. The content is read, compared and written under a lock of this process: a change by somebody else in the
moment between is not noticed. Use another kind of system where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import RLock
from typing import Any, NoReturn

from msgspec import Struct

from stopwork.incidents.images import Nothing, field_path, value_at
from stopwork.incidents.reach import task_of
from stopwork.kernel.canonical import plain, revive
from stopwork.kernel.errors import Invalid, NotFound, StopworkError
from stopwork.ledger.records import Image, ObjectRef
from stopwork.ledger.words import ImageState
from stopwork.systems.base import Unsupported, require_expected, require_known
from stopwork.systems.python import Run, failed, require_own
from stopwork.systems.reach import unable
from stopwork.systems.templates import changes, filled


class ToolCall(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tool and the templates of its arguments."""

    tool: str
    args: dict[str, Any] = {}


class Handling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How objects of one type are read and written.

    ``at`` is the field of the snapshot's result that holds the object, ``ignore`` are top-level fields that the place
    keeps by itself. ``absent_when`` is text in the snapshot's error or result that means *there is no such object*;
    without it ``None``, a ``LookupError`` and ``NotFound`` do.
    """

    snapshot: ToolCall
    create: ToolCall | None = None
    update: ToolCall | None = None
    delete: ToolCall | None = None
    at: str = ""
    ignore: tuple[str, ...] = ()
    absent_when: str = ""


class ToolSystem:
    """Shows and restores objects by calling tools through ``invoke(tool, args)``."""

    scans = False
    invokes = True

    def __init__(self, name: str, invoke: Run, types: Mapping[str, Handling]) -> None:
        self.name = name
        self.restores = any(way.create or way.update or way.delete for way in types.values())
        self.unable = unable(types)
        self._invoke = invoke
        self._types = dict(types)
        self._lock = RLock()

    def read(self, ref: ObjectRef) -> Image:
        way = self._handling(ref)
        try:
            result = self._invoke(way.snapshot.tool, filled(way.snapshot.args, {"id": ref.id}, ref))
        except (NotFound, LookupError):
            return Image.absent()
        except Exception as error:
            if way.absent_when and way.absent_when in str(error):
                return Image.absent()
            if isinstance(error, StopworkError):
                raise
            raise failed(self.name, f"reading {ref}", error) from error
        if way.absent_when and isinstance(result, str) and way.absent_when in result:
            return Image.absent()
        content = value_at(plain(result), field_path(way.at))
        if content is None or isinstance(content, Nothing):
            return Image.absent()
        if isinstance(content, dict):
            content = {key: value for key, value in content.items() if key not in way.ignore}
        return Image.present(content)

    def replace(self, ref: ObjectRef, expected: Image, target: Image) -> None:
        way = self._handling(ref)
        require_known(ref, expected, target)
        with self._lock:
            now = self.read(ref)
            require_expected(ref, expected, now)
            if (task := task_of(now, target)) is None:
                return
            call: ToolCall | None = getattr(way, task)
            if call is None:
                raise _no_tool(self.name, task, ref)
            values = {"id": ref.id, "content": revive(target.content), "changes": changes(now, target)}
            self.invoke(call.tool, filled(call.args, values, ref))

    def check(self, ref: ObjectRef, target: Image) -> None:
        """Raise ``Invalid`` where no tool of the type can put such content there."""
        way = self._handling(ref)
        if target.state is ImageState.PRESENT and way.create is None and way.update is None:
            raise _no_tool(self.name, "create or update", ref)
        if target.state is ImageState.ABSENT and way.delete is None:
            raise _no_tool(self.name, "delete", ref)

    def scan(self) -> NoReturn:
        raise Unsupported(f"{self.name} is seen through tools, which cannot list everything")

    def invoke(self, tool: str, args: Mapping[str, Any]) -> Any:
        """Call a tool once; whatever it raises means that what is there now is not known."""
        try:
            return self._invoke(tool, args)
        except StopworkError:
            raise
        except Exception as error:
            raise failed(self.name, f"calling {tool}", error) from error

    def _handling(self, ref: ObjectRef) -> Handling:
        require_own(self.name, ref)
        if ref.type not in self._types:
            raise Invalid(
                f"{ref} is not an object of {self.name}",
                hint=f"Its types are {', '.join(sorted(self._types))}.",
            )
        return self._types[ref.type]


def _no_tool(name: str, task: str, ref: ObjectRef) -> Unsupported:
    return Unsupported(
        f"{name} has no tool to {task} a {ref.type}",
        hint=f"Name one under `{task}`, or undo by hand.",
        object=str(ref),
    )
