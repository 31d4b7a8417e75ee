"""Every kind of system keeps the promises of ``stopwork.systems.base.System``.

``read`` tells what is there and makes nothing up. ``replace`` creates, changes and deletes when what is there is what was
expected; otherwise it raises ``Conflict`` and changes nothing, also when several writers try in the same moment. What
is put back reads back equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stopwork.incidents.images import same_image
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger.records import Image, ObjectRef
from stopwork.systems.base import Unsupported
from tests.contract.systems.worlds import WORLDS, Content, World, ticket

OPEN: Content = {"id": "7", "title": "Renew Acme", "state": "open", "points": 2.5}
CLOSED: Content = {**OPEN, "state": "closed", "points": None}
ODD: Content = {"id": "7", "title": "Ünïcode ' \" ; -- \\ \n%", "state": "", "points": 0.1 + 0.2}


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    make: Callable[[Path], World] = WORLDS[request.param]
    world = make(tmp_path)
    yield world
    world.close()


def test_an_object_that_is_not_there_is_absent(world: World) -> None:
    assert world.system.read(ticket("7")) == Image.absent()


def test_reading_answers_the_content(world: World) -> None:
    world.change("7", ODD)
    assert same_image(world.system.read(ticket("7")), Image.present(ODD))


def test_what_was_read_does_not_follow_later_changes(world: World) -> None:
    world.change("7", OPEN)
    image = world.system.read(ticket("7"))
    world.change("7", CLOSED)
    assert image.content["state"] == "open"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, OPEN),
        (OPEN, CLOSED),
        (CLOSED, OPEN),
        (OPEN, ODD),
        (OPEN, None),
        (ODD, None),
        (None, None),
        (OPEN, OPEN),
    ],
    ids=[
        "create",
        "change",
        "change from null",
        "change to odd text",
        "delete",
        "delete odd",
        "stay absent",
        "stay",
    ],
)
def test_replacing_what_is_expected(world: World, before: Content | None, after: Content | None) -> None:
    world.change("7", before)
    world.system.replace(ticket("7"), _image(before), _image(after))
    assert world.look("7") == after
    assert same_image(world.system.read(ticket("7")), _image(after))


@pytest.mark.parametrize("found", [None, CLOSED], ids=["gone", "changed"])
@pytest.mark.parametrize("target", [None, ODD], ids=["delete", "change"])
def test_what_somebody_else_did_since_is_left_alone(
    world: World, found: Content | None, target: Content | None
) -> None:
    world.change("7", found)
    with pytest.raises(Conflict) as caught:
        world.system.replace(ticket("7"), _image(OPEN), _image(target))
    assert caught.value.fields["object"] == "desk/ticket/7"
    assert world.look("7") == found


def test_creating_over_somebody_elses_object_is_a_conflict(world: World) -> None:
    world.change("7", CLOSED)
    with pytest.raises(Conflict):
        world.system.replace(ticket("7"), Image.absent(), _image(OPEN))
    assert world.look("7") == CLOSED


def test_of_several_writers_at_once_one_wins(world: World) -> None:
    world.change("7", OPEN)
    system = world.system

    def write(number: int) -> int | None:
        try:
            system.replace(ticket("7"), _image(OPEN), _image({**OPEN, "title": f"by {number}"}))
        except Conflict:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(write, range(8)) if number is not None]
    assert len(winners) == 1
    assert world.look("7") == {**OPEN, "title": f"by {winners[0]}"}


def test_an_image_that_nobody_saw_replaces_nothing(world: World) -> None:
    world.change("7", OPEN)
    for expected, target in ((Image.unknown("?"), Image.absent()), (_image(OPEN), Image.unknown("?"))):
        with pytest.raises(Invalid):
            world.system.replace(ticket("7"), expected, target)
    assert world.look("7") == OPEN


def test_scanning_finds_every_object_or_says_that_it_cannot(world: World) -> None:
    world.change("7", OPEN)
    world.change("8", {**ODD, "id": "8"})
    if not world.system.scans:
        with pytest.raises(Unsupported):
            world.system.scan()
        return
    assert world.system.scan() == {ticket("7"): OPEN, ticket("8"): {**ODD, "id": "8"}}


@pytest.mark.parametrize("system", ["other", ""])
def test_an_object_of_another_system_is_refused(world: World, system: str) -> None:
    with pytest.raises(Invalid):
        world.system.read(ObjectRef(system=system, type="ticket", id="7"))


@pytest.mark.parametrize("object_id", ["'; DROP TABLE ticket; --", '7" OR "1"="1', "", "\x00", "%", "7\n"])
def test_an_id_is_only_ever_a_value(world: World, object_id: str) -> None:
    world.change("7", OPEN)
    assert world.system.read(ticket(object_id)) == Image.absent()
    assert world.look("7") == OPEN


def _image(content: Content | None) -> Image:
    return Image.absent() if content is None else Image.present(content)
