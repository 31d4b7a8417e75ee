"""A full disk: what was acknowledged stays, what was not is refused with a reason, no call runs whose intent could not be written, and with
some room again everything goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from stopwork.control.steps import Patience
from stopwork.kernel.errors import Unavailable
from stopwork.ledger.records import Call, Run
from stopwork.ledger.words import Outcome, Verdict
from stopwork.operations import evidence
from stopwork.operations.installation import EVIDENCE, Installation
from stopwork.sdk import OutcomeNotRecorded, Stopwork
from stopwork.sdk.embedded import LocalDesk
from stopwork.storage.fsck import fsck
from stopwork.storage.store import Store
from stopwork.storage.tables import blob
from stopwork.storage.transaction import Tx
from tests.support.doomed import acknowledged, doomed, write_until_refused
from tests.support.office import LEE, MANIFEST, WORKFLOW, Office
from tests.support.told import recording, run_started, stepped
from tests.support.trouble import Trouble

ROOM_BYTES = 2_400_000
LARGE = "x" * 20_000


@contextmanager
def full(store: Store) -> Iterator[None]:
    """Let the database grow no further, as on a disk without room."""

    def stop_here(tx: Tx) -> None:
        limit(tx, tx.execute(sa.text("PRAGMA page_count")).scalar_one())

    def limit(tx: Tx, pages: int) -> None:
        tx.execute(sa.text(f"PRAGMA max_page_count={pages}"))

    store.write(stop_here)
    yield
    store.write(partial(limit, pages=2**30))


def again_and_again(work: Callable[[], object]) -> None:
    for _ in range(100):
        work()


def test_a_write_without_room_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        run = office.begin()
        with full(office.store):
            before = office.store.last_seq
            with pytest.raises(Unavailable, match="disk is full") as caught:
                again_and_again(lambda: office.ask(run, "crm.create_task", title=LARGE))
            assert "Free some space" in caught.value.hint
            told = office.store.last_seq
            assert office.read(lambda view: view.last_seq()) == told
            assert told - before < 100
        assert office.ask(run, "crm.create_task", title="small").verdict is Verdict.ALLOW
        assert fsck(office.store).clean


def test_health_is_not_well_while_there_is_no_room_and_well_again_by_itself(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        run = office.begin()
        with full(office.store):
            with pytest.raises(Unavailable, match="disk is full"):
                again_and_again(lambda: office.ask(run, "crm.create_task", title=LARGE))
            office.store.write(lambda tx: tx.execute(sa.text("SELECT 1")).all())
            assert "disk is full" in str(office.store.refused)
            with pytest.raises(Unavailable, match="disk is full"):
                office.crew.catch_up()
            assert "disk is full" in str(office.store.refused), "what takes no room shows nothing"
        office.store.try_again()
        assert office.store.refused is None
        assert office.read(lambda view: view.execute(sa.select(blob)).all()) == []


def test_everybody_in_a_batch_that_did_not_fit_is_told(tmp_path: Path) -> None:
    with Office(tmp_path) as office, full(office.store):
        jobs = [
            recording(run_started(f"run_{n}"), stepped(f"step_{n}", f"run_{n}", said=LARGE))
            for n in range(50)
        ]
        futures = [office.store.submit(job) for job in jobs]
        answers = [future.exception(30) for future in futures]
        kept = office.read(lambda view: view.count(Run))
    assert any(isinstance(answer, Unavailable) for answer in answers)
    assert kept == sum(answer is None for answer in answers)


def test_a_call_whose_intent_cannot_be_written_does_not_run(tmp_path: Path) -> None:
    ran: list[str] = []
    with guarded(tmp_path) as (guard, store):
        run = guard.run(WORKFLOW, trigger="schedule").begin()

        def create_task(title: str) -> None:
            ran.append(title)

        def call(title: str) -> None:
            guard.call("crm.create_task", create_task, {"title": title}, run=run)

        with full(store), pytest.raises(Unavailable, match="disk is full"):
            again_and_again(lambda: call(LARGE))
        permitted = store.read(lambda view: view.count(Call, verdict=Verdict.ALLOW))
        assert len(ran) <= permitted
        call("small")
        assert ran[-1] == "small"


def test_a_call_that_ran_and_cannot_be_written_down_says_so_and_stays_in_flight(tmp_path: Path) -> None:
    with guarded(tmp_path) as (guard, store):
        run = guard.run(WORKFLOW, trigger="schedule").begin()
        limit = full(store)

        def fill_the_disk(title: str) -> str:
            limit.__enter__()
            return LARGE * 10

        with pytest.raises(OutcomeNotRecorded):
            guard.call("crm.create_task", fill_the_disk, {"title": "call"}, run=run)
        limit.__exit__(None, None, None)
        (call,) = store.read(lambda view: list(view.each(Call)))
        assert (call.outcome, call.in_flight) == (None, True), "it becomes unknown, never nothing"


@contextmanager
def guarded(folder: Path) -> Iterator[tuple[Stopwork, Store]]:
    manifest = folder / "stopwork.yaml"
    manifest.write_text(MANIFEST)
    desk = LocalDesk.open(folder / "data")
    desk.apply(manifest)
    with Stopwork.at(desk, patience=Patience(first_retry_after_s=0.001)) as guard:
        yield guard, desk.installation.store


def test_a_real_limit_of_the_operating_system(tmp_path: Path) -> None:
    with doomed(write_until_refused, tmp_path, ROOM_BYTES) as writer:
        writer.join(60)
        assert writer.exitcode == 0
    assert (tmp_path / "refused.txt").read_text().startswith("unavailable: ")
    told = acknowledged(tmp_path)
    with Installation.open(tmp_path / "data") as inst:
        assert told
        calls = {call.id: call.outcome for call in inst.store.read(lambda view: list(view.each(Call)))}
        assert [call for call in told if calls.get(call) is not Outcome.SUCCEEDED] == []
        assert fsck(inst.store, vkeys=[inst.signer.vkey]).clean


def test_a_bundle_that_cannot_be_written_is_not_sealed(tmp_path: Path) -> None:
    with Office(tmp_path) as office:
        trouble = Trouble(office, preserved=False)
        folder = office.inst.folder / EVIDENCE
        folder.rmdir()
        folder.write_text("not a folder")
        with pytest.raises(Unavailable, match="the bundle cannot be written") as caught:
            trouble.seal()
        assert caught.value.hint
        assert trouble.known.sealed_at is None
        folder.unlink()
        folder.mkdir()
        assert evidence.seal(office.inst, LEE, incident=trouble.incident).path
