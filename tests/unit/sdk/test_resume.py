"""Contract: a call that waits for people is carried through once, by whichever process of its workflow comes back with its token.

Each ``process`` here is a guard that knows nothing of the others; the control plane is opened anew in between, days later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from stopwork.kernel.clock import ManualClock
from stopwork.kernel.errors import Conflict, Denied, Invalid, NotFound, Tampered
from stopwork.ledger.events import CallDecided
from stopwork.ledger.records import Approval, Call, Principal, Run
from stopwork.ledger.words import Outcome, PrincipalKind, RunStatus
from stopwork.operations import approvals, manifests, runs
from stopwork.operations.installation import Installation
from stopwork.sdk import CallDenied, CallWaiting, Stopwork
from stopwork.sdk.embedded import LocalDesk
from stopwork.sdk.resume import ResumeToken
from tests.support.office import DANA, LEE, START

MANIFEST = """\
workflow: renewals
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
triggers: [manual]
tools:
  crm.create_task: {effect: create}
  mail.send: {effect: send, gate: {when: "true", expires: 7d}}
  crm.set_due: {effect: update, gate: {when: "true", expires: 4h}}
"""


class House:
    """A folder with a control plane in it, which is opened for a while and closed again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(START)
        self.done: list[Any] = []
        with self.open() as desk:
            desk.installation.store.write(
                lambda tx: manifests.apply(tx, MANIFEST, reason="a test"), actor=LEE
            )

    @contextmanager
    def open(self) -> Iterator[LocalDesk]:
        with Installation.open(self.folder, clock=self.clock) as installation:
            yield LocalDesk(installation)

    @contextmanager
    def process(self) -> Iterator[Stopwork]:
        """A guard in a process of its own, with the tools of its workflow."""
        with self.open() as desk:
            guard = Stopwork.at(desk)
            self._guard_tools(guard)
            try:
                yield guard
            finally:
                guard._heartbeat.close()

    def _guard_tools(self, guard: Stopwork) -> None:
        @guard.tool("crm.create_task")
        def create_task(title: str) -> int:
            self.done.append(title)
            return len(self.done)

        @guard.tool("mail.send", leave_out=("client",))
        def send(client: str, to: str, *, subject: str = "Renewals") -> str:
            self.done.append((client, to, subject))
            return f"sent to {to}"

        @guard.tool("crm.set_due")
        async def set_due(account: str, due: date) -> str:
            self.done.append((account, due))
            return due.isoformat()

        self.create_task, self.send, self.set_due = create_task, send, set_due

    def waits(self) -> str:
        """A process makes a task, waits for approval of a mail, and ends; what it leaves behind is the token."""
        with self.process() as guard:
            try:
                with guard.run("renewals", trigger_id="2026-W10"):
                    self.create_task("Call")
                    self.send("smtp", "x@customer.test")
            except CallWaiting as waiting:
                return waiting.token
        raise AssertionError("it did not wait")

    def answer(self, *, approve: bool = True, args: dict[str, Any] | None = None) -> None:
        with self.open() as desk:
            store = desk.installation.store
            asked = store.read(lambda view: list(view.each(Approval)))[-1]
            if args is None:
                store.write(lambda tx: approvals.decide(tx, approval=asked.id, approve=approve), actor=DANA)
            else:
                store.write(
                    lambda tx: approvals.approve_edited(
                        tx, desk.installation.manifests, approval=asked.id, args=args, digest=asked.digest
                    ),
                    actor=DANA,
                )

    def pass_by(self, **duration: float) -> None:
        """Time passes, and the background duties do what is due."""
        self.clock.advance(timedelta(**duration))
        with self.open() as desk:
            desk.crew.catch_up()

    def run_of(self, token: str) -> Run:
        with self.open() as desk:
            return desk.installation.store.read(lambda view: view.need(Run, ResumeToken.read(token).run))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


MAIL = ("smtp", "x@customer.test", "Renewals")


def test_it_is_resumed_days_later_in_another_process(house: House) -> None:
    token = house.waits()
    house.pass_by(days=3)
    house.answer()
    house.pass_by(days=2)
    with house.process() as guard, guard.rejoin(token):
        assert guard.resume(token, client="smtp") == "sent to x@customer.test"
    assert house.done == ["Call", MAIL]
    assert house.run_of(token).status is RunStatus.SUCCEEDED


def test_a_run_that_goes_on_elsewhere_knows_what_it_has_had_done(house: House) -> None:
    token = house.waits()
    house.answer()
    with house.process() as guard, guard.rejoin(token) as run:
        assert run.trigger_id == "2026-W10"
        guard.resume(token, client="smtp")
        assert house.create_task("Call") == 3, "the second task of that name is a second piece of work"
    with house.process() as guard, guard.run("renewals", trigger_id="2026-W10"):
        assert house.create_task("Call") == 1, "the next attempt at the occasion finds what was done"


def test_it_waits_on_until_people_have_answered(house: House) -> None:
    token = house.waits()
    for _ in range(2):
        with house.process() as guard, pytest.raises(CallWaiting) as waiting:
            guard.resume(token, client="smtp")
        assert waiting.value.token == token
    house.answer()
    with house.process() as guard:
        guard.resume(token, client="smtp")
    assert house.done.count(MAIL) == 1


def test_what_an_approver_changed_is_what_runs(house: House) -> None:
    token = house.waits()
    house.answer(args={"to": "y@customer.test", "subject": "Your renewal"})
    with house.process() as guard:
        assert guard.resume(token, client="smtp") == "sent to y@customer.test"
    assert house.done[-1] == ("smtp", "y@customer.test", "Your renewal")


def test_a_value_that_json_has_no_word_for_comes_back_as_its_parameter_says(house: House) -> None:
    async def first(guard: Stopwork) -> str:
        with pytest.raises(CallWaiting) as waiting:
            async with guard.run("renewals"):
                await house.set_due("acme", date(2026, 6, 1))
        return waiting.value.token

    async def second(guard: Stopwork, token: str) -> None:
        async with await guard.arejoin(token):
            assert await guard.aresume(token) == "2026-06-01"

    with house.process() as guard:
        token = asyncio.run(first(guard))
    house.answer()
    with house.process() as guard:
        asyncio.run(second(guard, token))
    assert house.done == [("acme", date(2026, 6, 1))]


def test_it_runs_once_however_often_its_token_is_delivered(house: House) -> None:
    token = house.waits()
    house.answer()
    with house.process() as guard:
        guard.resume(token, client="smtp")
    with house.process() as guard, pytest.raises(Conflict, match="has ended: succeeded"):
        guard.resume(token, client="smtp")
    assert house.done.count(MAIL) == 1


# --- what ends it ----------------------------------------------------------------------------------


def test_a_rejection_is_told(house: House) -> None:
    token = house.waits()
    house.answer(approve=False)
    with house.process() as guard, pytest.raises(CallDenied, match=r"rejected by dana@acme\.test"):
        guard.resume(token, client="smtp")


@pytest.mark.parametrize("answered", [True, False])
def test_an_approval_that_has_expired_is_told(house: House, answered: bool) -> None:
    token = house.waits()
    if answered:
        house.answer()
    house.clock.advance(timedelta(days=8))
    with house.process() as guard, pytest.raises(CallDenied, match="expired without being used"):
        guard.resume(token, client="smtp")
    assert MAIL not in house.done


def test_a_run_whose_question_is_open_is_not_given_up(house: House) -> None:
    token = house.waits()
    house.pass_by(days=6)
    assert house.run_of(token).status is RunStatus.RUNNING
    house.pass_by(days=2)
    assert house.run_of(token).status is RunStatus.ABANDONED
    with house.process() as guard:
        for go_on in (guard.rejoin, lambda text: guard.resume(text, client="smtp")):
            with pytest.raises(Conflict, match="has ended"):
                go_on(token)


def test_a_run_that_was_ended_meanwhile_is_not_resumed(house: House) -> None:
    token = house.waits()
    house.answer()
    with house.open() as desk:
        run = ResumeToken.read(token).run
        agent = Principal(kind=PrincipalKind.AGENT, id="renewals")
        desk.installation.store.write(
            lambda tx: runs.finish(tx, run=run, status=RunStatus.FAILED), actor=agent
        )
    with house.process() as guard, pytest.raises(Conflict, match=r"has ended\. Start a new run\."):
        guard.resume(token, client="smtp")


# --- tokens ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [lambda text: text[:-1], lambda text: text[:20] + "A" + text[21:]])
def test_a_token_that_is_not_whole_is_found_out(house: House, damage: Any) -> None:
    token = house.waits()
    with house.process() as guard, pytest.raises(Tampered, match="not whole or was changed"):
        guard.resume(damage(token), client="smtp")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"tool": "crm.create_task"}, Tampered),
        ({"digest": "sha256:0"}, Tampered),
        ({"run": "run_other"}, NotFound),
        ({"call": "call_other"}, NotFound),
    ],
    ids=str,
)
def test_a_token_that_was_forged_gives_nothing(
    house: House, changes: dict[str, str], error: type[Exception]
) -> None:
    real = ResumeToken.read(house.waits())
    fields = {name: getattr(real, name) for name in real.__struct_fields__} | changes
    house.answer()
    with house.process() as guard, pytest.raises(error):
        guard.resume(ResumeToken(**fields).spelled(), client="smtp")
    assert house.done == ["Call"]


@pytest.mark.parametrize("text", ["", "swr1.", "call_0001", "swr1.x.y"])
def test_what_is_no_token_is_said_so(house: House, text: str) -> None:
    with house.process() as guard, pytest.raises((Invalid, NotFound, Tampered)):
        guard.resume(text)


def test_a_token_names_no_argument_and_carries_no_authority(house: House) -> None:
    token = house.waits()
    assert "customer" not in repr(ResumeToken.read(token))
    other = Principal(kind=PrincipalKind.AGENT, id="invoices")
    with house.open() as desk, pytest.raises(Denied, match="speaks for invoices"):
        desk.installation.store.write(
            lambda tx: runs.rejoin(tx, desk.installation.manifests, run=ResumeToken.read(token).run),
            actor=other,
        )


# --- the function ----------------------------------------------------------------------------------


def test_a_tool_that_this_process_does_not_guard_is_named(house: House) -> None:
    token = house.waits()
    house.answer()
    with house.open() as desk:
        with pytest.raises(NotFound, match=r"no function is guarded as mail\.send"):
            Stopwork.at(desk).resume(token)
        call = desk.installation.store.read(lambda view: view.need(Call, ResumeToken.read(token).call))
    assert call.outcome is None


def test_what_was_left_out_has_to_be_given_again(house: House) -> None:
    token = house.waits()
    house.answer()
    with house.process() as guard:
        with pytest.raises(Invalid, match="needs 'client', which is not recorded"):
            guard.resume(token)
        guard.resume(token, client="smtp")


def test_a_tool_that_has_changed_its_parameters_does_not_run(house: House) -> None:
    token = house.waits()
    house.answer()
    with house.open() as desk:
        guard = Stopwork.at(desk)
        guard.tool("mail.send")(lambda address: address)
        with pytest.raises(Invalid, match=r"needs 'address'|takes no"):
            guard.resume(token)


# --- waiting on the spot ---------------------------------------------------------------------------


def test_within_a_block_calls_wait_for_their_approval(house: House) -> None:
    with house.process() as guard, guard.run("renewals"):
        with guard.waiting(0.05), pytest.raises(CallWaiting) as patient:
            house.send("smtp", "x@customer.test")
        with pytest.raises(CallWaiting) as at_once:
            house.send("smtp", "y@customer.test")
        assert isinstance(guard.desk, LocalDesk)
        store = guard.desk.installation.store

        def asked(call: str) -> int:
            entries = store.read(lambda view: view.entries(call=call))
            return sum(isinstance(entry.event, CallDecided) for entry in entries)

        assert (asked(patient.value.call) > 1, asked(at_once.value.call)) == (True, 1)


def test_a_call_that_waits_on_an_event_loop_lets_others_work(house: House) -> None:
    order: list[str] = []

    async def agent(guard: Stopwork) -> None:
        async with guard.run("renewals"):
            with guard.waiting(5.0):
                await house.set_due("acme", date(2026, 6, 1))
            order.append("approved and run")

    async def person(guard: Stopwork) -> None:
        assert isinstance(guard.desk, LocalDesk)
        store = guard.desk.installation.store
        for _ in range(500):
            await asyncio.sleep(0.01)
            if asked := store.read(lambda view: list(view.each(Approval))):
                order.append("asked")
                store.write(lambda tx: approvals.decide(tx, approval=asked[0].id, approve=True), actor=DANA)
                return

    async def both(guard: Stopwork) -> None:
        await asyncio.gather(agent(guard), person(guard))

    with house.process() as guard:
        asyncio.run(both(guard))
    assert order == ["asked", "approved and run"]


def test_a_resumed_call_is_one_call_in_the_record(house: House) -> None:
    token = house.waits()
    house.answer()
    with house.process() as guard, guard.rejoin(token):
        guard.resume(token, client="smtp")
    with house.open() as desk:
        found = desk.installation.store.read(
            lambda view: list(view.each(Call, run=ResumeToken.read(token).run, order="requested_at"))
        )
    assert [(call.tool, call.outcome) for call in found] == [
        ("crm.create_task", Outcome.SUCCEEDED),
        ("mail.send", Outcome.SUCCEEDED),
    ]
