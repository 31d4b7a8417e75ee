"""Contract of retention: a key is free again when nobody has used it for as long as its manifest keeps it, never while nobody knows how
its call ended, in bounded steps, and none of this is forgotten by a restart.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from stopwork.control.protocol import PermitAnswer
from stopwork.kernel.clock import ManualClock
from stopwork.kernel.ids import TimeOrderedIds
from stopwork.ledger.events import KeysExpired, name_of
from stopwork.ledger.records import Key
from stopwork.ledger.words import Outcome, Verdict
from stopwork.operations import retention
from stopwork.storage.fsck import fsck
from tests.support.office import LEE, MANIFEST, START, Office

SHORT = f"{MANIFEST}idempotency_keep: 7d\n"


def update(office: Office, occasion: str = "monday") -> PermitAnswer:
    return office.ask(office.begin(occasion), "crm.update_account", account_id="acme", renewal="2026-06-02")


def ended(office: Office, outcome: Outcome = Outcome.SUCCEEDED) -> PermitAnswer:
    permit = update(office)
    office.attempt(permit)
    office.finish(permit, outcome, result={"version": 7} if outcome is Outcome.SUCCEEDED else None)
    return permit


def later(office: Office, **time: float) -> int:
    """Let time pass and expire what is due then; the other duties rest."""
    assert isinstance(office.clock, ManualClock)
    office.clock.advance(timedelta(**time))
    return office.write(lambda tx: retention.expire_keys(tx, office.inst.manifests), actor=LEE)


def test_a_key_lasts_ninety_days_and_then_its_call_may_be_made_again(office: Office) -> None:
    ended(office)
    assert later(office, days=89, hours=23) == 0
    assert update(office).verdict is Verdict.REPLAY
    assert later(office, days=90, seconds=1) == 1
    again = update(office)
    assert again.verdict is Verdict.ALLOW
    office.attempt(again)
    office.finish(again, result={"version": 8})
    assert update(office).result == {"version": 8}
    assert fsck(office.store).clean


def test_whoever_is_given_the_recorded_result_uses_the_key(office: Office) -> None:
    ended(office)
    later(office, days=60)
    assert update(office).verdict is Verdict.REPLAY
    assert later(office, days=60) == 0
    assert later(office, days=30, seconds=1) == 1


def test_the_manifest_says_how_long(tmp_path: Path) -> None:
    with Office(tmp_path, manifest=SHORT) as office:
        ended(office)
        assert later(office, days=7, seconds=1) == 1
        assert update(office).verdict is Verdict.ALLOW


def test_a_key_of_unknown_outcome_never_expires_until_it_is_known(office: Office) -> None:
    permit = ended(office, Outcome.UNKNOWN)
    assert later(office, days=3_000) == 0
    assert update(office).verdict is Verdict.DENY
    office.finish(permit, result={"version": 7})
    assert later(office, days=89) == 0
    assert later(office, days=1, seconds=1) == 1


def test_a_key_in_flight_never_expires(office: Office) -> None:
    office.attempt(update(office))
    assert later(office, days=3_000) == 0


def test_many_keys_expire_a_bounded_number_at_a_time(office: Office) -> None:
    run = office.begin()
    for number in range(7):
        permit = office.ask(run, "crm.create_task", account_id=str(number), title="call")
        office.attempt(permit)
        office.finish(permit, result={"id": str(number)})
    known = retention.MOST_AT_ONCE
    assert later(office, days=90, seconds=1) == 7 <= known
    entries = office.read(lambda view: view.entries(kinds=[name_of(KeysExpired)]))
    assert [len(entry.event.keys) for entry in entries if isinstance(entry.event, KeysExpired)] == [7]
    assert later(office, days=1) == 0


def test_housekeeping_does_it_by_itself(office: Office) -> None:
    ended(office)
    office.wait(days=91)
    assert [key.expired for key in office.read(lambda view: view.find(Key, limit=10))] == [True]


def test_keys_survive_a_restart(tmp_path: Path) -> None:
    clock = ManualClock(START)
    with Office(tmp_path, clock=clock, ids=TimeOrderedIds(clock)) as office:
        ended(office)
    clock.advance(timedelta(days=30))
    with Office(tmp_path, clock=clock, ids=TimeOrderedIds(clock)) as office:
        again = update(office)
        assert (again.verdict, again.result) == (Verdict.REPLAY, {"version": 7})
        assert later(office, days=89) == 0
