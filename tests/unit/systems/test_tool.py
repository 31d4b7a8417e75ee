"""A system of the agent's own tools: arguments are filled in from templates, and a tool that is missing is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from stopwork.kernel.errors import Denied, Invalid, Unavailable
from stopwork.ledger.records import Image, ObjectRef
from stopwork.systems.base import Unsupported
from stopwork.systems.tool import Handling, ToolCall, ToolSystem

REF = ObjectRef(system="desk", type="ticket", id="7")
GET = ToolCall(tool="get", args={"id": "{id}"})
NOW = {"id": 7, "due": "monday", "who": {"name": "Lee"}}
TARGET = {"id": 7, "due": "friday", "who": {"name": "Lee"}}


def _system(answer: Any, **tools: Any) -> tuple[ToolSystem, list[tuple[str, Mapping[str, Any]]]]:
    calls: list[tuple[str, Mapping[str, Any]]] = []

    def invoke(tool: str, args: Mapping[str, Any]) -> Any:
        if tool == "get":
            if isinstance(answer, Exception):
                raise answer
            return answer
        calls.append((tool, args))
        return "ok"

    return ToolSystem("desk", invoke, {"ticket": Handling(snapshot=GET, **tools)}), calls


@pytest.mark.parametrize(
    ("args", "filled"),
    [
        ({"id": "{id}"}, {"id": "7"}),
        ({"id": "ticket {id}!"}, {"id": "ticket 7!"}),
        ({"ticket": "{content}"}, {"ticket": TARGET}),
        ({"name": "{content.who.name}", "id": "{content.id}"}, {"name": "Lee", "id": 7}),
        ({"fields": "{changes}"}, {"fields": {"due": "friday"}}),
        ({"id": "{id}", "**": "{changes}"}, {"id": "7", "due": "friday"}),
        (
            {"list": ["{id}", {"of": "{content.due}"}], "flag": True},
            {"list": ["7", {"of": "friday"}], "flag": True},
        ),
        ({"text": "{other} {"}, {"text": "{other} {"}),
    ],
)
def test_arguments_are_filled_in(args: dict[str, Any], filled: dict[str, Any]) -> None:
    system, calls = _system(NOW, update=ToolCall(tool="edit", args=args))
    system.replace(REF, Image.present(NOW), Image.present(TARGET))
    assert calls == [("edit", filled)]


@pytest.mark.parametrize("template", ["{content.none}", "{content.due.deep}"])
def test_a_template_without_a_value_is_refused(template: str) -> None:
    system, calls = _system(NOW, update=ToolCall(tool="edit", args={"x": template}))
    with pytest.raises(Invalid, match="has no value for desk/ticket/7"):
        system.replace(REF, Image.present(NOW), Image.present(TARGET))
    assert calls == []


def test_only_an_object_can_be_spread() -> None:
    system, _ = _system(NOW, update=ToolCall(tool="edit", args={"**": "{id}"}))
    with pytest.raises(Invalid, match="spread"):
        system.replace(REF, Image.present(NOW), Image.present(TARGET))


@pytest.mark.parametrize(
    ("answer", "settings", "image"),
    [
        (None, {}, Image.absent()),
        (KeyError("7"), {}, Image.absent()),
        (ValueError("Ticket 7 not found"), {"absent_when": "not found"}, Image.absent()),
        ("Error: not found", {"absent_when": "not found"}, Image.absent()),
        ({"ticket": NOW}, {"at": "ticket"}, Image.present(NOW)),
        ({"ticket": None}, {"at": "ticket"}, Image.absent()),
        ({"error": "?"}, {"at": "ticket"}, Image.absent()),
        (NOW, {"ignore": ("who",)}, Image.present({"id": 7, "due": "monday"})),
        ("plain text", {}, Image.present("plain text")),
    ],
)
def test_what_a_snapshot_means(answer: Any, settings: dict[str, Any], image: Image) -> None:
    system, _ = _system(answer, **settings)
    assert system.read(REF) == image


@pytest.mark.parametrize(
    ("raised", "expected"), [(ValueError("rate limit"), Unavailable), (Denied("held"), Denied)]
)
def test_a_snapshot_that_fails_is_no_answer(raised: Exception, expected: type[Exception]) -> None:
    system, _ = _system(raised, absent_when="not found")
    with pytest.raises(expected):
        system.read(REF)


@pytest.mark.parametrize(
    ("now", "target", "task"), [(None, NOW, "create"), (NOW, TARGET, "update"), (NOW, None, "delete")]
)
def test_a_missing_tool_is_named(now: Any, target: Any, task: str) -> None:
    system, _ = _system(now)
    assert not system.restores
    with pytest.raises(Unsupported, match=f"no tool to {task} a ticket"):
        system.replace(
            REF,
            Image.present(now) if now else Image.absent(),
            Image.present(target) if target else Image.absent(),
        )


def test_another_type_is_refused() -> None:
    system, _ = _system(NOW)
    with pytest.raises(Invalid, match="Its types are ticket"):
        system.read(ObjectRef(system="desk", type="note", id="7"))


def test_what_no_tool_can_put_there_is_refused_before_anything_is_approved() -> None:
    system, _ = _system(NOW, delete=ToolCall(tool="drop"))
    assert system.unable == {"ticket": ("create", "update")}
    system.check(REF, Image.absent())
    with pytest.raises(Unsupported, match="no tool to create or update a ticket"):
        system.check(REF, Image.present(TARGET))
