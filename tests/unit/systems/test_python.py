"""A system of two functions: what they raise is never taken for an answer, and values that JSON lacks survive the trip."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from stopwork.kernel.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from stopwork.ledger.records import Image, ObjectRef
from stopwork.systems.base import Unsupported
from stopwork.systems.python import PythonSystem

REF = ObjectRef(system="desk", type="ticket", id="7")


def _raising(error: Exception) -> Callable[..., Any]:
    def function(*_args: Any) -> Any:
        raise error

    return function


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (OSError("no route"), Unavailable),
        (KeyError("7"), Unavailable),
        (Denied("not yours"), Denied),
        (Conflict("changed"), Conflict),
    ],
)
def test_what_a_function_raises_is_no_answer(raised: Exception, expected: type[Exception]) -> None:
    with pytest.raises(expected):
        PythonSystem("desk", _raising(raised)).read(REF)
    system = PythonSystem("desk", lambda *_: None, _raising(raised), _raising(raised), _raising(raised))
    for attempt in (
        lambda: system.replace(REF, Image.absent(), Image.present({})),
        system.scan,
        lambda: system.invoke("close", {}),
    ):
        with pytest.raises(expected):
            attempt()


def test_not_found_is_absent() -> None:
    assert PythonSystem("desk", _raising(NotFound("none such"))).read(REF) == Image.absent()


def test_what_is_not_given_is_not_supported() -> None:
    system = PythonSystem("desk", lambda *_: {"a": 1})
    assert (system.restores, system.scans, system.invokes) == (False, False, False)
    with pytest.raises(Unsupported):
        system.replace(REF, Image.present({"a": 1}), Image.absent())
    with pytest.raises(Unsupported):
        system.scan()
    with pytest.raises(Unsupported):
        system.invoke("close", {})


def test_bytes_and_decimals_come_back_as_they_were() -> None:
    place: dict[str, Any] = {"7": {"amount": Decimal("1.10"), "scan": b"\x00"}}

    def write(_kind: str, object_id: str, content: Any) -> None:
        place[object_id] = content

    system = PythonSystem("desk", lambda _kind, object_id: place[object_id], write)
    before = system.read(REF)
    system.replace(REF, before, Image.present({**before.content, "scan": None}))
    assert place == {"7": {"amount": Decimal("1.10"), "scan": None}}


def test_what_json_cannot_carry_is_refused() -> None:
    with pytest.raises(Invalid):
        PythonSystem("desk", lambda *_: {"when": object()}).read(REF)


def test_a_write_that_compares_is_given_what_must_be_there() -> None:
    given: list[Any] = []

    def write(kind: str, object_id: str, content: Any, *, expected: Any) -> None:
        given.append((kind, object_id, content, expected))

    PythonSystem("desk", lambda *_: None, write).replace(REF, Image.absent(), Image.present({"a": 1}))
    PythonSystem("desk", lambda *_: {"a": 1}, write).replace(REF, Image.present({"a": 1}), Image.absent())
    assert given == [("ticket", "7", {"a": 1}, None), ("ticket", "7", None, {"a": 1})]
