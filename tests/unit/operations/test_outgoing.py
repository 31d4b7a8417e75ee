"""Contract of what goes out: that it leaves is on record before it does; a server that refuses, is down or hangs is tried again, ever later,
and at last given up with a signal; nobody is told twice unless nobody knows whether they were; two servers are not twice as loud.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from stopwork.ledger.records import Signal, Telling
from stopwork.ledger.words import Severity, TellingState
from stopwork.notify.outlet import Outlet
from stopwork.operations import acknowledging, incidents, outgoing, privacy, telling, triage
from tests.support.office import DANA, LEE, Office
from tests.support.trouble import Trouble

SENDER = "stopwork@acme.test"


class Mailbox:
    """A mail server: ``refuses`` are the recipients that it does not know, with its answer; ``leaves`` is what it says at the end."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []
        self.refuses: dict[str, str] = {}
        self.leaves = "221 Bye"

    async def handle_RCPT(  # noqa: N802 - named by aiosmtpd
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        return self.leaves

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        ids = [line for line in envelope.content.decode().splitlines() if line.startswith("Message-ID")]
        self.got += [(address, ids[0]) for address in envelope.rcpt_tos]
        return "250 OK"


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def office(tmp_path: Path, mailbox: Mailbox) -> Iterator[Office]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        outlet = Outlet.to_smtp(f"smtp://127.0.0.1:{port}", sender=SENDER)
        with Office(tmp_path, outlet=outlet) as opened:
            yield opened
    finally:
        server.stop()


def states(office: Office) -> dict[str, Telling]:
    return {each.person.partition("@")[0]: each for each in office.read(lambda v: list(v.each(Telling)))}


def told(mailbox: Mailbox) -> list[str]:
    return [address.partition("@")[0] for address, _ in mailbox.got]


def test_each_person_gets_one_mail_of_their_own(office: Office, mailbox: Mailbox) -> None:
    Trouble(office)
    office.wait(seconds=1)
    assert told(mailbox) == ["lee", "dana"]
    assert {each.state for each in states(office).values()} == {TellingState.TOLD}
    assert {each.said for each in states(office).values()} == {"accepted"}


def test_who_is_refused_for_good_is_given_up_at_once_and_the_others_are_told(
    office: Office, mailbox: Mailbox
) -> None:
    mailbox.refuses["lee@acme.test"] = "550 no such person"
    Trouble(office)
    lee = states(office)["lee"]
    assert (lee.state, lee.attempts) == (TellingState.GIVEN_UP, 1)
    assert "550" in lee.said
    assert told(mailbox) == ["dana"]
    [signal] = office.read(lambda v: [s for s in v.each(Signal) if s.detector == outgoing.DETECTOR])
    assert signal.facts["person"] == "lee@acme.test"


def test_who_is_refused_for_now_is_told_later(office: Office, mailbox: Mailbox) -> None:
    mailbox.refuses["lee@acme.test"] = "451 try again"
    Trouble(office)
    assert states(office)["lee"].state is TellingState.DUE
    office.wait(seconds=29)
    assert states(office)["lee"].attempts == 1
    mailbox.refuses.clear()
    office.wait(seconds=1)
    assert told(mailbox) == ["dana", "lee"]
    assert states(office)["lee"].state is TellingState.TOLD


@pytest.mark.parametrize("change", ["it was made private", "the incident is declined"])
def test_what_has_no_sense_any_more_does_not_leave(office: Office, mailbox: Mailbox, change: str) -> None:
    mailbox.refuses |= {f"{name}@acme.test": "451 try again" for name in ("lee", "dana")}
    incident = Trouble(office).incident
    if change == "it was made private":
        hide = partial(privacy.restrict, incident=incident, readers=[], reason="it is about a person")
        office.write(hide, actor=LEE)
    else:
        office.write(partial(triage.decline, incident=incident, reason="a false alarm"), actor=DANA)
    mailbox.refuses.clear()
    office.wait(seconds=31)
    dana = states(office)["dana"]
    assert (dana.state, dana.said) == (TellingState.DROPPED, change)
    assert "dana" not in told(mailbox)
    # Who sees the private one is told.
    assert ("lee" in told(mailbox)) is (change == "it was made private")


def test_where_nobody_can_be_told_it_goes_up_the_chain_at_once(office: Office, mailbox: Mailbox) -> None:
    mailbox.refuses |= {f"{name}@acme.test": "550 gone" for name in ("lee", "dana")}
    Trouble(office)
    office.wait(seconds=1)
    assert told(mailbox) == ["kim"]


def test_where_nobody_at_the_end_of_the_chain_can_be_told_it_is_tried_again_in_its_time(
    office: Office, mailbox: Mailbox
) -> None:
    mailbox.refuses |= {f"{name}@acme.test": "550 gone" for name in ("lee", "dana", "kim", "sec")}
    trouble = Trouble(office)
    office.write(
        partial(
            incidents.change_severity,
            manifests=office.inst.manifests,
            incident=trouble.incident,
            severity=Severity.SEV1,
            reason="customers see it",
        ),
        actor=LEE,
    )
    for _ in range(5):
        office.wait(seconds=1)
    planned = office.read(lambda view: view.count(Telling))
    for _ in range(5):
        office.wait(minutes=1)
    assert office.read(lambda view: view.count(Telling)) == planned
    office.wait(minutes=30)
    assert states(office)["kim"].attempts == 1
    assert office.read(lambda view: view.count(Telling)) == planned + 1


def test_a_server_that_is_down_is_tried_ever_later_and_given_up_with_a_signal(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    with Office(tmp_path, outlet=Outlet.to_smtp(f"smtp://127.0.0.1:{port}", sender=SENDER)) as office:
        Trouble(office)
        tries = []
        for pause in (*outgoing.AGAIN_AFTER, timedelta(days=1)):
            tries.append((states(office)["lee"].attempts, states(office)["lee"].state))
            office.wait(seconds=pause.total_seconds())
        assert tries == [
            *((n, TellingState.DUE) for n in range(1, outgoing.MAX_TRIES)),
            (outgoing.MAX_TRIES, TellingState.GIVEN_UP),
        ]
        signals = office.read(lambda v: [s for s in v.each(Signal) if s.detector == outgoing.DETECTOR])
        assert {s.facts["person"] for s in signals} >= {"lee@acme.test", "dana@acme.test"}
        assert all("did not say that it has the message" in s.summary for s in signals)


def test_a_server_that_answers_too_late_has_failed(tmp_path: Path) -> None:
    def hangs(_message: object) -> dict[str, str]:
        raise TimeoutError("timed out")

    with Office(tmp_path, outlet=Outlet("a test", SENDER, hangs)) as office:
        Trouble(office)
        assert states(office)["lee"].state is TellingState.DUE
        assert "timed out" in states(office)["lee"].said


@pytest.mark.parametrize("greets", [True, False])
def test_a_server_that_never_comes_to_an_end_is_hung_up_on(tmp_path: Path, greets: bool) -> None:
    with dripping(greets=greets) as port:
        outlet = Outlet.to_smtp(f"smtp://127.0.0.1:{port}", sender=SENDER, longest_s=0.3)
        with Office(tmp_path, outlet=outlet) as office:
            Trouble(office)
            lee = states(office)["lee"]
            assert (lee.state, lee.attempts) == (TellingState.DUE, 1)
            assert "did not say that it has the message" in lee.said


@contextmanager
def dripping(*, greets: bool) -> Iterator[int]:
    """A mail server that says a letter now and then, from its greeting or from its first answer on, and never ends a line."""

    class Drips(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                if greets:
                    self.request.sendall(b"220 slow.acme.test\r\n")
                while not over.wait(0.02):
                    self.request.sendall(b"2")

    over = threading.Event()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Drips) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            over.set()
            server.shutdown()


def test_a_server_that_goes_down_once_it_has_the_mail_has_it(office: Office, mailbox: Mailbox) -> None:
    mailbox.leaves = "421 4.3.2 going down"
    Trouble(office)
    office.wait(minutes=10)
    assert {each.state for each in states(office).values()} == {TellingState.TOLD}
    assert len(told(mailbox)) == len(set(told(mailbox)))


def test_what_was_under_way_when_the_server_died_is_told_again_later_under_the_same_name(
    tmp_path: Path, mailbox: Mailbox
) -> None:
    """Whether the first one arrived nobody can prove: it may have, and then the second has the same ``Message-ID``."""
    left: list[str] = []

    def dies(message: object) -> dict[str, str]:
        left.append(str(message["Message-ID"]))  # type: ignore[index]
        if len(left) == 1:
            raise SystemExit("the power failed")
        return {}

    with Office(tmp_path, outlet=Outlet("a test", SENDER, dies)) as office:
        with pytest.raises(SystemExit):
            Trouble(office)
        assert states(office)["lee"].state is TellingState.SENDING
        office.wait(seconds=10)
        assert len(left) == 2
        office.wait(minutes=5)
        assert (left[2], left[1]) == (left[0], left[1])
        assert {each.state for each in states(office).values()} == {TellingState.TOLD}
        assert states(office)["lee"].attempts == 2


def test_who_looks_twice_tells_once(office: Office, mailbox: Mailbox) -> None:
    """Two servers look for the same: what one has begun the other leaves alone."""
    Trouble(office)
    for _ in range(3):
        telling.plan_due(office.inst)
        outgoing.deliver_due(office.inst, for_s=1.0)
    assert told(mailbox) == ["lee", "dana"]
    again = outgoing._begin
    name = states(office)["lee"].id
    assert office.write(lambda tx: again(tx, telling=name)) is None


def test_who_was_asked_and_could_not_be_told_is_known_as_that(office: Office, mailbox: Mailbox) -> None:
    mailbox.refuses["lee@acme.test"] = "451 greylisted, come again"
    trouble = Trouble(office)
    known = answers(office, trouble)
    assert [(each.person, each.said) for each in known.unheard] == [
        ("lee@acme.test", "refused: 451 greylisted, come again")
    ]
    mailbox.refuses["lee@acme.test"] = "550 no such person"
    office.wait(seconds=30)
    assert [each.state for each in answers(office, trouble).unheard] == [TellingState.GIVEN_UP]
    assert sorted(told(mailbox)) == ["dana"]


def answers(office: Office, trouble: Trouble) -> acknowledging.Answering:
    manifests, now = office.inst.manifests, office.clock.now()
    return office.read(lambda view: acknowledging.answering(view, manifests, trouble.incident, now))
