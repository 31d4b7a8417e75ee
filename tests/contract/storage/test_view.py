"""Contract of a view, on every database: records by id, by condition and a page at a time, in an order without gaps or repetitions; the journal by
number and by what it is about. What cannot be asked is a fault of whoever asks, not an empty answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Internal, Invalid, NotFound
from stopwork.kernel.ids import CountingIds
from stopwork.ledger.events import name_of
from stopwork.ledger.records import Hold, Run, Step
from stopwork.ledger.words import RunStatus
from stopwork.storage.store import Store
from stopwork.storage.tables import micros
from stopwork.storage.view import PAGE
from tests.support.databases import DATABASES, location_of
from tests.support.told import START, held, recording, run_finished, run_started, stepped

EARLY = tuple(f"run_{n:02d}" for n in range(10))
LATE = tuple(f"run_{n:02d}" for n in range(10, 15))


@pytest.fixture(scope="module", params=DATABASES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Fifteen runs, the first ten of them begun at one and the same moment; two have ended."""
    clock = ManualClock(START)
    with Store.open(location_of(request, tmp_path_factory), clock=clock, ids=CountingIds()) as opened:
        for run in EARLY:
            opened.write(recording(run_started(run)))
        for run in LATE:
            clock.advance(timedelta(seconds=1))
            opened.write(recording(run_started(run, workflow="other")))
        opened.write(recording(run_finished("run_00")))
        opened.write(recording(run_finished("run_01", RunStatus.FAILED)))
        opened.write(recording(held("hold_1")))
        opened.write(recording(stepped("step_1", "run_02")))
        yield opened


def ids(store: Store, **asked: object) -> list[str]:
    return store.read(lambda view: [run.id for run in view.find(Run, **({"limit": 1_000} | asked))])  # type: ignore[arg-type]


@pytest.mark.parametrize("order", ["id", "-id", "started_at", "-started_at", "trigger_id"])
@pytest.mark.parametrize("limit", [1, 3, 4, 100])
def test_pages_show_every_record_once_and_in_order(store: Store, order: str, limit: int) -> None:
    seen: list[str] = []
    while page := ids(store, order=order, limit=limit, after=seen[-1] if seen else None):
        seen += page
    expected = sorted(EARLY + LATE, reverse=order.startswith("-"))
    assert seen == expected


def test_each_goes_through_all_pages(store: Store) -> None:
    assert store.read(lambda view: [run.id for run in view.each(Run)]) == [*EARLY, *LATE]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"workflow": "other"}, LATE),
        ({"workflow": ("other", "renewals")}, EARLY + LATE),
        ({"workflow": ()}, ()),
        ({"status": RunStatus.FAILED}, ("run_01",)),
        ({"status": (RunStatus.FAILED, RunStatus.SUCCEEDED)}, ("run_00", "run_01")),
        ({"started_at": START}, EARLY),
        ({"started_at_from": START + timedelta(seconds=4)}, LATE[3:]),
        ({"started_at_before": START + timedelta(seconds=2)}, (*EARLY, LATE[0])),
        ({"id_from": "run_13", "id_before": "run_14"}, ("run_13",)),
        ({"workflow": None}, ()),
    ],
)
def test_conditions(store: Store, asked: dict[str, object], found: tuple[str, ...]) -> None:
    assert ids(store, **asked) == list(found)
    assert store.read(lambda view: view.count(Run, **asked)) == len(found)


def test_first_is_the_first_in_order_or_nothing(store: Store) -> None:
    def first(**asked: object) -> Run | None:
        return store.read(lambda view: view.first(Run, **asked))  # type: ignore[arg-type]

    newest = first(order="-started_at")
    assert newest is not None
    assert newest.id == LATE[-1]
    assert first(workflow="nobody's") is None


@pytest.mark.parametrize(
    "asked", [{"shoe_size": 44}, {"runtime": {}}, {"order": "shoe_size"}, {"shoe_size_from": 1}]
)
def test_what_is_no_column_cannot_be_asked_for(store: Store, asked: dict[str, object]) -> None:
    with pytest.raises(Internal, match=r"cannot be (searched|ordered) by"):
        ids(store, **asked)


def test_a_page_after_nothing_known_is_refused(store: Store) -> None:
    with pytest.raises(Invalid, match="page marker 'run_99'"):
        ids(store, after="run_99")


def test_a_record_that_is_needed_and_not_there(store: Store) -> None:
    assert store.read(lambda view: view.get(Hold, "hold_9")) is None
    with pytest.raises(NotFound, match="there is no hold 'hold_9'") as caught:
        store.read(lambda view: view.need(Hold, "hold_9"))
    assert caught.value.hint


def test_the_journal_by_number_kind_and_subject(store: Store) -> None:
    def seqs(**asked: object) -> list[int]:
        return store.read(lambda view: [e.seq for e in view.entries(**asked)])  # type: ignore[arg-type]

    assert seqs() == list(range(1, 20))
    assert seqs(after=17) == [18, 19]
    assert seqs(after=5, before=8) == [6, 7]
    assert seqs(limit=2, newest_first=True) == [19, 18]
    assert seqs(kinds=("run.finished", "hold.set")) == [16, 17, 18]
    assert seqs(run="run_02") == [3, 19]
    assert seqs(workflow="other", limit=2) == [11, 12]
    with pytest.raises(Internal, match="journal cannot be searched by 'shoe_size'"):
        seqs(shoe_size="44")


def test_an_entry_comes_back_as_it_was_recorded(store: Store) -> None:
    (entry,) = store.read(lambda view: view.entries(run="run_01", kinds=("run.finished",)))
    assert entry.event == run_finished("run_01", RunStatus.FAILED)
    assert (entry.at, name_of(entry.event)) == (START + timedelta(seconds=5), "run.finished")


def test_times_are_kept_to_the_microsecond() -> None:
    assert micros(START.replace(microsecond=1)) - micros(START) == 1


@pytest.mark.parametrize("order", ["id", "-id", "at", "-at"])
def test_each_answers_more_than_a_page_in_any_order(store: Store, order: str) -> None:
    """Nothing that asks for every record is cut at a page."""
    wanted = [f"step_{order}_{number:04}" for number in range(2 * PAGE + 1)]
    store.write(recording(*(stepped(name, "run_03") for name in wanted)))
    found = store.read(lambda view: [step.id for step in view.each(Step, run="run_03", order=order)])
    assert [each for each in found if each in set(wanted)] == (wanted[::-1] if order[0] == "-" else wanted)


def test_a_page_says_how_long_it_is(store: Store) -> None:
    with pytest.raises(TypeError, match="limit"):
        store.read(lambda view: view.find(Run))  # type: ignore[call-arg]
