"""Contract of the observer: it sees what changed, says what it could not see, and gives each change to one call."""

from __future__ import annotations

import pytest

from stopwork.kernel.errors import Unavailable
from stopwork.ledger.records import Image, Observed
from stopwork.ledger.words import EffectKind, ImageState, Operation
from stopwork.sdk.observer import Observer, Window
from tests.unit.sdk.worlds import World, ref


def watching(world: World, effect: EffectKind = EffectKind.UPDATE) -> Window:
    return Observer({"crm": world}).window(effect)


def test_a_declared_object_is_read_before_and_after() -> None:
    world = World()
    window = watching(world)
    [captured] = window.before([ref("acme")])
    assert captured.image == Image.present({"due": "May"})
    world.objects["acme"]["due"] = "June"
    [seen] = window.after([ref("acme")])
    assert (seen.operation, seen.before.content, seen.after.content, seen.source) == (
        Operation.MODIFIED,
        {"due": "May"},
        {"due": "June"},
        "declared",
    )


def test_a_declared_object_is_reported_also_when_nothing_changed() -> None:
    window = watching(World())
    window.before([ref("acme")])
    [seen] = window.after([ref("acme")])
    assert seen.before == seen.after


def test_a_system_that_this_process_does_not_know_is_unknown_not_absent() -> None:
    [captured] = watching(World()).before([ref("x", "billing")])
    assert captured.image.state is ImageState.UNKNOWN
    assert "billing" in captured.image.note


def test_what_cannot_be_read_before_is_an_error() -> None:
    world = World()
    world.failing = "no route"
    with pytest.raises(Unavailable, match="no route"):
        watching(world).before([ref("acme")])


def test_what_cannot_be_scanned_before_is_an_error() -> None:
    world = World(scans=True)
    world.failing = "no route"
    with pytest.raises(Unavailable, match="no route"):
        watching(world).before([])


def test_what_cannot_be_read_after_is_unknown_and_says_why() -> None:
    world = World()
    window = watching(world)
    window.before([ref("acme")])
    world.failing = "no route"
    [seen] = window.after([ref("acme")])
    assert seen.after.state is ImageState.UNKNOWN
    assert "no route" in seen.after.note
    assert seen.operation is Operation.MODIFIED


def test_a_scan_finds_what_nobody_declared() -> None:
    world = World(scans=True)
    window = watching(world)
    window.before([])
    world.objects["new"] = {"due": "June"}
    del world.objects["acme"]
    assert [(each.object.id, each.operation, each.source) for each in window.after([])] == [
        ("acme", Operation.DELETED, "scan"),
        ("new", Operation.CREATED, "scan"),
    ]


def test_a_scan_does_not_report_a_declared_object_twice() -> None:
    world = World(scans=True)
    window = watching(world)
    window.before([ref("acme")])
    world.objects["acme"]["due"] = "June"
    assert [each.source for each in window.after([ref("acme")])] == ["declared"]


def test_a_scan_that_fails_afterwards_does_not_hide_the_declared_object() -> None:
    world = World(scans=True)
    window = watching(world)
    window.before([ref("acme")])
    world.failing = "no route"
    [seen] = window.after([ref("acme")])
    assert seen.after.state is ImageState.UNKNOWN


NEW = {
    "made, as declared": (EffectKind.CREATE, False, ImageState.ABSENT),
    "not known before": (EffectKind.UPDATE, False, ImageState.UNKNOWN),
    "scanned before": (EffectKind.UPDATE, True, ImageState.ABSENT),
}


@pytest.mark.parametrize("name", NEW)
def test_an_object_that_only_the_result_names_was(name: str) -> None:
    effect, scans, before = NEW[name]
    world = World(scans=scans)
    window = watching(world, effect)
    window.before([])
    world.objects["t1"] = {}
    window.after([])
    [seen] = window.new([ref("t1")])
    assert (seen.before.state, seen.after.state) == (before, ImageState.PRESENT)


def test_of_two_calls_at_once_each_change_belongs_to_one() -> None:
    world = World(scans=True)
    observer = Observer({"crm": world})
    first, second = observer.window(EffectKind.CREATE), observer.window(EffectKind.CREATE)
    first.before([])
    second.before([])
    world.objects["a"] = {"n": 1}
    assert [each.object.id for each in first.after([])] == ["a"]
    world.objects["b"] = {"n": 2}
    assert [each.object.id for each in second.after([])] == ["b"]


def test_a_claimed_object_that_changes_again_is_seen_again() -> None:
    world = World(scans=True)
    observer = Observer({"crm": world})
    first, second = observer.window(EffectKind.UPDATE), observer.window(EffectKind.UPDATE)
    first.before([])
    second.before([])
    world.objects["acme"] = {"due": "June"}
    first.after([])
    world.objects["acme"] = {"due": "July"}
    assert [each.after.content for each in second.after([])] == [{"due": "July"}]


class Ledger(World):
    """A world that keeps a note of each change for the call it was made for."""

    captures = True

    def __init__(self) -> None:
        super().__init__(scans=True)
        self.notes: dict[str, tuple[Observed, ...]] = {}
        self.silent = False

    def captured(self, call: str) -> tuple[Observed, ...]:
        if self.silent:
            raise Unavailable("it says nothing")
        return self.notes.get(call, ())

    def forget(self, call: str) -> None:
        if self.silent:
            raise Unavailable("it says nothing")
        self.notes.pop(call, None)

    def kept(self) -> frozenset[str]:
        return frozenset(self.notes)


def note(name: str, before: str, after: str) -> Observed:
    images = [Image.present({"due": due}) for due in (before, after)]
    return Observed(
        object=ref(name), operation=Operation.MODIFIED, before=images[0], after=images[1], source="capture"
    )


def test_what_the_place_has_noted_for_the_call_is_taken_for_what_it_did() -> None:
    world = Ledger()
    window = Observer({"crm": world}).window(EffectKind.SEND, "crm", "call_1")
    window.before([ref("acme")])
    world.notes = {
        "call_1": (note("acme", "May", "June"), note("beta", "1", "2")),
        "call_2": (note("x", "1", "2"),),
    }
    world.objects["acme"]["due"] = "what a person wrote since"
    world.objects["gamma"] = {"due": "what a person made"}
    seen = {each.object.id: each for each in window.after([ref("acme")])}
    assert {name: (each.operation, each.after.content["due"]) for name, each in seen.items()} == {
        "acme": (Operation.SENT, "June"),
        "beta": (Operation.MODIFIED, "2"),
    }
    assert not window.unchanged
    window.recorded()
    assert list(world.notes) == ["call_2"]


def test_a_call_for_which_nothing_was_noted_changed_nothing() -> None:
    world = Ledger()
    window = Observer({"crm": world}).window(EffectKind.UPDATE, "crm", "call_1")
    window.before([ref("acme")])
    [seen] = window.after([ref("acme")])
    assert seen.before == seen.after
    assert window.unchanged


def test_what_a_person_changed_meanwhile_is_not_laid_to_a_call_for_which_nothing_was_noted() -> None:
    """The tool's own change was taken back, and a person wrote before anybody looked again."""
    world = Ledger()
    world.objects["beta"] = {"due": "1"}
    window = Observer({"crm": world}).window(EffectKind.UPDATE, "crm", "call_1")
    window.before([ref("acme"), ref("beta")])
    world.objects["acme"]["due"] = world.objects["beta"]["due"] = "what a person wrote"
    assert all(seen.before == seen.after for seen in window.after([ref("acme"), ref("beta")]))
    assert not window.unchanged
    assert "not as it was" in window.unseen["crm"]


def test_what_only_the_result_names_is_laid_to_the_call_as_it_was_noted() -> None:
    world = Ledger()
    window = Observer({"crm": world}).window(EffectKind.CREATE, "crm", "call_1")
    window.before([])
    world.notes = {"call_1": (note("acme", "May", "June"),)}
    world.objects |= {"acme": {"due": "a person's"}, "beta": {"due": "a person's"}}
    window.after([])
    noted, other = window.new([ref("acme"), ref("beta")])
    assert (noted.before.content, noted.after.content) == ({"due": "May"}, {"due": "June"})
    assert other.after.state is ImageState.UNKNOWN


def test_when_a_place_cannot_say_what_it_noted_nothing_that_differs_is_laid_to_the_call() -> None:
    world = Ledger()
    window = Observer({"crm": world}).window(EffectKind.UPDATE, "crm", "call_1")
    window.before([ref("acme")])
    world.objects["acme"]["due"] = "a person's, for all that is known"
    world.silent = True
    [seen] = window.after([ref("acme")])
    assert seen.after.state is ImageState.UNKNOWN
    assert "says nothing" in seen.after.note


def test_a_place_that_cannot_say_what_it_noted_leaves_it_open() -> None:
    world = Ledger()
    window = Observer({"crm": world}).window(EffectKind.UPDATE, "crm", "call_1")
    window.before([ref("acme")])
    world.silent = True
    assert [seen.source for seen in window.after([ref("acme")])] == ["declared"]
    assert not window.unchanged
    window.recorded()
