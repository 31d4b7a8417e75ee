"""The adapter of the AgentDojo bench: sees what the truth sees, and writes objects back where they stand."""

from __future__ import annotations

from benchmarks.agentdojo.truth import projection
from benchmarks.worlds.places import system_over
from stopwork.ledger.records import Image, ObjectRef
from tests.bench.environment import PLACES, Line, desk


def ref(kind: str, name: str) -> ObjectRef:
    return ObjectRef(system="env", type=kind, id=name)


def test_a_scan_sees_exactly_what_the_truth_sees() -> None:
    environment = desk()
    scanned = system_over(lambda: environment, PLACES).scan()
    assert {(PLACES[each.type].path, each.id): content for each, content in scanned.items()} == projection(
        environment
    )


def test_what_is_written_back_stands_in_the_place_and_in_its_seed_and_nowhere_else() -> None:
    environment = desk()
    system, note = system_over(lambda: environment, PLACES), ref("note", "2")
    before = system.read(note)
    announced = environment.book.notes["2"]
    announced.text = "changed"
    system.replace(note, system.read(note), before)
    assert environment == desk()
    assert environment.book.notes["2"] is environment.book.initial_notes[1]
    assert announced.text == "changed"


def test_what_was_deleted_comes_back_in_the_seed_too() -> None:
    environment = desk()
    system, note = system_over(lambda: environment, PLACES), ref("note", "2")
    before = system.read(note)
    environment.book.notes.pop("2").text = "changed, then deleted"
    system.replace(note, Image.absent(), before)
    assert environment == desk()


def test_objects_are_made_and_removed() -> None:
    environment = desk()
    system = system_over(lambda: environment, PLACES)
    world = projection(environment)
    for kind, name in (("note", "1"), ("line", "7")):
        there = system.read(ref(kind, name))
        system.replace(ref(kind, name), there, Image.absent())
        assert system.read(ref(kind, name)) == Image.absent()
        system.replace(ref(kind, name), Image.absent(), there)
    assert projection(environment) == world


def test_the_single_object_is_changed_field_by_field() -> None:
    environment = desk()
    environment.book.lines.append(Line(id=8, amount=2))
    system, book = system_over(lambda: environment, PLACES), ref("book", "own")
    system.replace(book, system.read(book), Image.present({"owner": "kim@acme.test"}))
    assert environment.book.owner == "kim@acme.test"
    assert len(environment.book.lines) == 2
