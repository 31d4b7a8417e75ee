"""Recovery in random worlds: agents' calls, other calls and people's edits interleave in any order.

Undoing everything returns the first world. Undoing some calls returns the world of the others where they touched different
things, and never costs anybody else a value. Running a plan twice is running it once. Undoing the undo returns the world as it
was before the recovery.
"""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from stopwork.incidents.reversal import reverse_plan
from stopwork.kernel.ids import CountingIds
from stopwork.ledger.words import ItemState
from tests.unit.incidents.desk import Desk

Move = tuple[str, str, str]
Objects = dict[str, Any]

FIRST: Objects = {
    "x": {"a": 0, "b": 0, "in": {"a": 0, "b": 0}},
    "y": {"a": 0, "b": 0, "in": {"a": 0, "b": 0}},
}
DEEDS = ["set a", "set b", "drop a", "set in.a", "set in.b", "drop in", "create", "delete"]


def moves(*actors: str) -> st.SearchStrategy[list[Move]]:
    return st.lists(
        st.tuples(st.sampled_from(actors), st.sampled_from("xyz"), st.sampled_from(DEEDS)), max_size=12
    )


@st.composite
def apart(draw: st.DrawFn) -> list[Move]:
    """The agent and the others work in the same objects but never in the same fields, and make and remove their own."""

    def move(actor: str) -> st.SearchStrategy[Move]:
        field = "a" if actor == "agent" else "b"
        shared = st.tuples(
            st.just(actor), st.sampled_from("xy"), st.sampled_from([f"set {field}", f"set in.{field}"])
        )
        own = st.tuples(
            st.just(actor), st.just(f"of {actor}"), st.sampled_from(["create", "delete", f"set {field}"])
        )
        return shared | own

    return draw(st.lists(move("agent") | move("other") | move("person"), max_size=14))


def play(played: list[Move], *, without: str = "") -> Desk:
    """Play the moves, except those of one actor, and answer the desk."""
    desk = Desk(FIRST)
    for number, (actor, object_id, deed) in enumerate(played, start=1):
        content = after(desk.objects.get(object_id), deed, number)
        if actor == without or content == desk.objects.get(object_id):
            continue
        if actor == "person":
            desk.human(object_id, content)
        else:
            desk.call(f"{actor}_{number}", object_id, content)
    return desk


def after(content: Any, deed: str, number: int) -> Any:
    """Answer what becomes of an object; every value that is written is new, so that it tells who wrote it."""
    match deed.split():
        case ["create"]:
            return content if content is not None else {"a": number, "b": number, "in": {"a": number}}
        case ["delete"]:
            return None
    if content is None:
        return None
    changed = copy.deepcopy(content)
    match deed.split():
        case ["set", "in.a" | "in.b" as name] if "in" in changed:
            changed["in"][name[-1]] = number
        case ["set", "a" | "b" as name]:
            changed[name] = number
        case ["drop", name]:
            changed.pop(name, None)
    return changed


def chosen(desk: Desk) -> list[str]:
    return [effect.call for effect in desk.effects if effect.call.startswith("agent")] or ["agent_0"]


@given(moves("agent"))
def test_undoing_everything_returns_the_first_world(played: list[Move]) -> None:
    desk = play(played)
    done = desk.run(desk.plan(*chosen(desk)))
    assert desk.objects == FIRST
    assert {item.state for item in done} <= {ItemState.VERIFIED, ItemState.ACCEPTED}


@given(apart())
def test_undoing_some_calls_returns_the_world_of_the_others(played: list[Move]) -> None:
    desk = play(played)
    others = play(played, without="agent")
    done = desk.run(desk.plan(*chosen(desk)))
    assert {item.state for item in done} <= {ItemState.VERIFIED, ItemState.ACCEPTED}
    assert desk.objects == others.objects


@settings(max_examples=300)
@given(moves("agent", "other", "person"))
def test_nobody_else_loses_a_value(played: list[Move]) -> None:
    desk = play(played)
    before = copy.deepcopy(desk.objects)
    theirs = {number for number, (actor, *_) in enumerate(played, start=1) if actor != "agent"}
    desk.run(desk.plan(*chosen(desk)))
    for object_id, content in before.items():
        for name, value in _leaves(content):
            if value in theirs:
                assert (name, value) in _leaves(desk.objects.get(object_id)), (object_id, name)


@given(moves("agent", "other", "person"))
def test_every_chosen_call_is_answered_for(played: list[Move]) -> None:
    desk = play(played)
    items = desk.plan(*chosen(desk))
    effects = [effect.id for effect in desk.effects if effect.call.startswith("agent")]
    assert sorted(effect for item in items for effect in item.effects) == sorted(effects)
    assert all(item.preview for item in items)


@given(moves("agent", "other", "person"))
def test_running_a_plan_twice_is_running_it_once(played: list[Move]) -> None:
    desk = play(played)
    items = desk.plan(*chosen(desk))
    once = desk.run(items)
    world = copy.deepcopy(desk.objects)
    desk.run([item for item, done in zip(items, once, strict=True) if done.state is ItemState.VERIFIED])
    assert desk.objects == world


@settings(max_examples=300)
@given(moves("agent", "other", "person"))
@example(
    played=[
        ("other", "x", "drop a"),
        ("agent", "x", "set a"),
        ("agent", "x", "set b"),
        ("other", "x", "drop a"),
    ]
)
def test_undoing_the_undo_returns_the_world_before_it(played: list[Move]) -> None:
    desk = play(played)
    before = copy.deepcopy(desk.objects)
    done = desk.run(desk.plan(*chosen(desk)))
    back = desk.run(reverse_plan(done, plan="plan_2", new_id=CountingIds().new))
    assert {item.state for item in back} <= {ItemState.VERIFIED}
    assert desk.objects == before


def _leaves(content: Any) -> set[tuple[str, Any]]:
    if content is None:
        return set()
    inner = {(f"in.{name}", value) for name, value in content.get("in", {}).items()}
    return inner | {(name, value) for name, value in content.items() if name != "in"}
