"""What a call really did is on record, whatever its tool is declared to do and however the place behaves; and all of it is undone.

Reads that write, creates that delete and calls that fail halfway are found, whether objects are declared, scanned or captured.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import Context, copy_context
from pathlib import Path
from typing import Any

import pytest

from stopwork import Stopwork
from stopwork.control.protocol import OBSERVED_AT_ONCE
from stopwork.incidents.audit import answers
from stopwork.kernel.errors import Unavailable
from stopwork.ledger.records import Call, Effect, Image, ObjectRef, Observed, Signal
from stopwork.ledger.words import EffectKind, ImageState, ItemState, Operation, Outcome, Question, SignalKind
from stopwork.operations import incidents
from stopwork.operations.cases import gather
from stopwork.operations.installation import Installation
from stopwork.sdk.embedded import LocalDesk
from stopwork.systems.capture import watch
from stopwork.systems.python import PythonSystem
from stopwork.systems.sql import SqlSystem, Table
from tests.support.mailbox import Mailbox
from tests.support.undoing import LEE, undone

Seen = list[tuple[str, str]]


class Office:
    """A guard in the same process as its desk, and a mailbox."""

    def __init__(self, guard: Stopwork, mailbox: Mailbox) -> None:
        assert isinstance(guard.desk, LocalDesk)
        self.guard = guard
        self.mailbox = mailbox
        self.installation: Installation = guard.desk.installation

    def use(self, tool: str, *args: Any, **kwargs: Any) -> Any:
        """Call a tool of the mailbox in a run of its own."""
        with self.guard.run("inbox"):
            return self.guard.tool(f"mail.{tool}")(getattr(self.mailbox, tool))(*args, **kwargs)

    def calls(self) -> list[Call]:
        return self.installation.store.read(lambda view: list(view.each(Call, order="requested_at")))

    def effects(self) -> list[Effect]:
        return self.installation.store.read(lambda view: list(view.each(Effect, order="at")))

    def seen(self) -> Seen:
        return [(f"{each.object.type}/{each.object.id}", each.operation.value) for each in self.effects()]

    def history(self, name: str) -> list[str]:
        return [operation for each, operation in self.seen() if each == name]


@contextmanager
def office(folder: Path, *, declared: bool = False, scans: bool = True) -> Iterator[Office]:
    mailbox = Mailbox()
    manifest = folder / "stopwork.yaml"
    manifest.write_text(mailbox.manifest(declared=declared))
    systems = {"mail": mailbox.system(scans=scans)}
    with Stopwork.embedded(folder / "data", manifest=manifest, systems=systems) as guard:
        yield Office(guard, mailbox)


def test_a_read_that_writes_is_found_and_flagged(tmp_path: Path) -> None:
    with office(tmp_path) as at:
        [mail] = at.use("unread")
        assert mail["read"]
        [effect] = at.effects()
        [call] = at.calls()
    assert (str(effect.object), effect.exceeds) == ("mail/mail/1", EffectKind.READ)
    assert (effect.before.content["read"], effect.after.content["read"]) == (False, True)
    assert (call.effects, call.exceeding) == (1, 1)


def test_a_create_that_deletes_is_flagged_for_what_it_deleted(tmp_path: Path) -> None:
    with office(tmp_path) as at:
        at.use("sort", "Summary")
        at.use("deliver", "Nothing odd")
        flagged = [(str(each.object), each.exceeds) for each in at.effects() if each.exceeds]
        assert [call.exceeding for call in at.calls()] == [1, 0]
    assert flagged == [("mail/mail/1", EffectKind.CREATE)]


def test_the_audit_says_what_went_further_than_declared(tmp_path: Path) -> None:
    with office(tmp_path) as at:
        at.use("unread")
        at.use("sort", "Summary")
        at.use("deliver", "Nothing odd")
        manifests = at.installation.manifests
        incident = at.installation.store.write(
            lambda tx: incidents.open_by_hand(tx, manifests, workflow="inbox"), actor=LEE
        )
        case = at.installation.store.read(lambda view: gather(view, manifests, incident.id))
    writes = next(answer for answer in answers(case) if answer.question is Question.WRITES)
    assert writes.summary == "3 writing calls changed 3 objects; 2 did more than the manifest declares."
    assert [finding["note"] for finding in writes.findings] == [
        "declared as a read, and it wrote",
        "declared as create, and it deleted mail/mail/1",
        "",
    ]


def test_what_the_manifest_expects_is_no_finding(tmp_path: Path) -> None:
    mailbox = Mailbox()
    text = mailbox.manifest().replace(
        "mail.unread: {effect: read}", "mail.unread: {effect: read, also: [mail/mail]}"
    )
    (tmp_path / "stopwork.yaml").write_text(text)
    systems = {"mail": mailbox.system()}
    with Stopwork.embedded(tmp_path / "data", manifest=tmp_path / "stopwork.yaml", systems=systems) as guard:
        at = Office(guard, mailbox)
        at.use("unread")
        at.use("discard", "1")
        assert [(each.tool, each.exceeds) for each in at.effects()] == [
            ("mail.unread", None),
            *[("mail.discard", None)] * 2,
        ]


@pytest.mark.parametrize(("declared", "scans"), [(True, False), (False, True), (True, True)])
def test_a_call_that_failed_and_has_written_is_in_the_list(
    tmp_path: Path, declared: bool, scans: bool
) -> None:
    with office(tmp_path, declared=declared, scans=scans) as at:
        with pytest.raises(ValueError, match="empty"):
            at.use("file", number="2", text="")
        assert at.seen() == [("mail/2", "modified")]
        [call] = at.calls()
    assert call.error
    assert call.outcome is Outcome.UNKNOWN


def test_a_number_that_is_given_again_is_another_mail(tmp_path: Path) -> None:
    with office(tmp_path) as at:
        before = at.mailbox.everything()
        for text in ("First", "Second"):
            at.use("deliver", text)
            at.use("discard", "3")
        at.use("deliver", "Third")
        assert at.history("mail/3") == ["created", "deleted", "created", "deleted", "created"]
        assert at.history("trash/3") == ["created", "modified"]
        assert_all_undone(at)
        assert at.mailbox.everything() == before


def test_what_a_tool_answered_is_recorded_as_it_was_then(tmp_path: Path) -> None:
    """The tool answers the mailbox's own state, which the caller and later calls change."""
    with office(tmp_path) as at:
        mail = at.use("deliver", "First")
        mail["text"] = "changed by the caller"
        at.use("star", number="3", on=True)
        made, starred = at.effects()
        call, _ = at.calls()
    assert call.result == {"text": "First", "read": False, "star": False}
    assert made.after.content["text"] == "First"
    assert (starred.before.content["star"], starred.after.content["star"]) == (False, True)


def test_a_change_that_is_quietly_not_made_is_no_effect(tmp_path: Path) -> None:
    with office(tmp_path, declared=True) as at:
        assert at.use("star", number="2", on=False) == "done"
        assert at.seen() == []
        [call] = at.calls()
    assert (call.outcome, call.effects) == (Outcome.SUCCEEDED, 0)


def test_what_came_and_went_within_one_call_left_nothing_to_undo(tmp_path: Path) -> None:
    with office(tmp_path) as at:
        at.use("forward", "2")
        assert at.seen() == []


def test_what_came_and_went_over_several_calls_is_listed_and_undone_without_trace(tmp_path: Path) -> None:
    with office(tmp_path) as at:
        before = at.mailbox.everything()
        at.use("deliver", "Secret")
        at.use("file", "3", "Nothing")
        at.use("discard", "3")
        assert at.history("mail/3") == ["created", "modified", "deleted"]
        assert_all_undone(at)
        assert at.mailbox.everything() == before


def test_everything_at_once_is_undone_to_the_world_before(tmp_path: Path) -> None:
    with office(tmp_path) as at:
        before = at.mailbox.everything()
        at.use("unread")
        at.use("deliver", "Spam")
        at.use("sort", "Summary")
        with suppress(ValueError):
            at.use("file", "2", "")
        at.use("discard", "2")
        assert_all_undone(at)
        assert at.mailbox.everything() == before


def assert_all_undone(at: Office) -> None:
    _, items = undone(at.installation, "inbox")
    assert {item.state for item in items} <= {ItemState.VERIFIED, ItemState.ACCEPTED}, [
        (str(item.object), item.state, item.note) for item in items
    ]


# --- the same, where the database itself says what a call has changed


ROWS = """
workflow: inbox
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
triggers: [manual]
tools:
  mail.unread: {effect: read}
  mail.file: {effect: update, object: {system: mail, type: mail, id: args.number}, undo: {system: mail}}
"""


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[tuple[Stopwork, Callable[..., Any]]]:
    """A guard over a watched database, and what runs statements in a tool's own transaction."""
    with closing(sqlite3.connect(tmp_path / "mail.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE mail (id INTEGER PRIMARY KEY, read INTEGER)")
        connection.execute("INSERT INTO mail VALUES (1, 0), (2, 1)")
        watch(connection)
        (tmp_path / "stopwork.yaml").write_text(ROWS)
        system = SqlSystem(
            "mail", tmp_path / "mail.db", {"mail": Table(table="mail", key=("id",))}, capture=True
        )
        with Stopwork.embedded(
            tmp_path / "data", manifest=tmp_path / "stopwork.yaml", systems={"mail": system}
        ) as guard:
            yield guard, connection.execute


def test_a_read_that_writes_a_row_is_found(rows: tuple[Stopwork, Callable[..., Any]]) -> None:
    guard, execute = rows

    def unread() -> list[Any]:
        return list(execute("UPDATE mail SET read = 1 WHERE read = 0 RETURNING id"))

    with guard.run("inbox"):
        guard.tool("mail.unread")(unread)()
    [effect] = recorded(guard)
    signal = signalled(guard)
    assert (signal.kind, signal.detector, signal.call) == (
        SignalKind.POLICY_VIOLATION,
        "policy_violation",
        effect.call,
    )
    assert signal.summary == "mail.unread is declared as read, and it modified mail/mail/1"
    assert signal.incident
    assert (str(effect.object), effect.exceeds, effect.source) == ("mail/mail/1", EffectKind.READ, "capture")


def test_however_many_rows_a_call_changes_all_are_on_record(
    rows: tuple[Stopwork, Callable[..., Any]],
) -> None:
    guard, execute = rows
    many = 3 * OBSERVED_AT_ONCE + 7

    def unread() -> None:
        execute(
            "WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n) INSERT INTO mail SELECT i, 0 FROM n LIMIT ?",
            (many,),
        )

    with guard.run("inbox"):
        guard.tool("mail.unread")(unread)()
    found = recorded(guard)
    [call] = called(guard)
    assert len({effect.object for effect in found}) == len(found) == many
    assert (call.outcome, call.effects, call.exceeding) == (Outcome.SUCCEEDED, many, many)


def test_what_is_committed_only_after_the_call_is_on_record_when_the_run_ends(
    rows: tuple[Stopwork, Callable[..., Any]],
) -> None:
    guard, execute = rows

    def unread() -> None:
        execute("UPDATE mail SET read = 7 WHERE id = 2")
        late.append(copy_context())

    def rest() -> None:
        execute("BEGIN")
        execute("UPDATE mail SET read = 8 WHERE id = 2")
        execute("INSERT INTO mail VALUES (9, 9)")
        execute("COMMIT")

    late: list[Context] = []
    with guard.run("inbox"):
        guard.tool("mail.unread")(unread)()
        late[0].run(rest)
    found = {effect.object.id: effect for effect in recorded(guard)}
    assert {name: each.operation for name, each in found.items()} == {
        "2": Operation.MODIFIED,
        "9": Operation.CREATED,
    }
    assert (found["2"].before.content["read"], found["2"].after.content["read"]) == (1, 8)
    [call] = called(guard)
    assert (call.effects, call.exceeding) == (2, 2)
    assert execute("SELECT count(*) FROM stopwork_capture").fetchone() == (0,)


def test_a_database_that_is_not_prepared_runs_no_call(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "mail.db")) as connection:
        connection.execute("CREATE TABLE mail (id INTEGER PRIMARY KEY, read INTEGER)")
    (tmp_path / "stopwork.yaml").write_text(ROWS)
    system = SqlSystem("mail", tmp_path / "mail.db", {"mail": Table(table="mail", key=("id",))}, capture=True)
    with (
        Stopwork.embedded(
            tmp_path / "data", manifest=tmp_path / "stopwork.yaml", systems={"mail": system}
        ) as guard,
        guard.run("inbox"),
    ):
        with pytest.raises(Unavailable, match="cannot say what a call changes"):
            guard.tool("mail.unread")(lambda: "never")()
        system.install_capture()
        assert guard.tool("mail.unread")(lambda: "now")() == "now"


@pytest.mark.parametrize("way", ["capture", "scan"])
def test_where_nobody_could_look_afterwards_is_said(tmp_path: Path, way: str) -> None:
    """The call has run: what it changed there stands in the audit as not known, never as nothing."""
    mailbox = Mailbox()
    place = Breaking(mailbox.system(), captures=way == "capture")
    (tmp_path / "stopwork.yaml").write_text(mailbox.manifest())
    with Stopwork.embedded(
        tmp_path / "data", manifest=tmp_path / "stopwork.yaml", systems={"mail": place}
    ) as guard:

        def deliver(text: str) -> None:
            mailbox.deliver(text)
            place.broken = True

        with guard.run("inbox"):
            guard.tool("mail.deliver")(deliver)("Hello")
        at = Office(guard, mailbox)
        [call] = at.calls()
        assert at.effects() == []
        assert (call.outcome, list(call.unseen)) == (Outcome.SUCCEEDED, ["mail"])
        manifests = at.installation.manifests
        incident = at.installation.store.write(
            lambda tx: incidents.open_by_hand(tx, manifests, workflow="inbox"), actor=LEE
        )
        case = at.installation.store.read(lambda view: gather(view, manifests, incident.id))
    writes = next(answer for answer in answers(case) if answer.question is Question.WRITES)
    assert any(
        gap.startswith("What mail.deliver changed in mail is not known: it could not")
        and "out of reach" in gap
        for gap in writes.missing
    )


class Breaking:
    """A system that goes out of reach while a call runs."""

    name = "mail"

    def __init__(self, system: PythonSystem, *, captures: bool) -> None:
        self.captures, self.scans = captures, not captures
        self.broken = False
        self._system = system

    def scan(self) -> Any:
        self._require()
        return self._system.scan()

    def captured(self, call: str) -> tuple[Observed, ...]:
        self._require()
        return ()

    def forget(self, call: str) -> None:
        self._require()

    def kept(self) -> frozenset[str]:
        self._require()
        return frozenset()

    def read(self, ref: ObjectRef) -> Image:
        return self._system.read(ref)

    def replace(self, ref: ObjectRef, expected: Image, target: Image) -> None:
        self._system.replace(ref, expected, target)

    def _require(self) -> None:
        if self.broken:
            raise OSError("out of reach")


def test_a_call_that_failed_after_its_commit_is_in_the_list(
    rows: tuple[Stopwork, Callable[..., Any]],
) -> None:
    guard, execute = rows

    def file(number: int) -> None:
        execute("UPDATE mail SET read = 5 WHERE id = ?", (number,))
        execute("DELETE FROM mail WHERE id = 1")
        raise OSError("the line is gone")

    with guard.run("inbox"), pytest.raises(OSError, match="line"):
        guard.tool("mail.file")(file)(number=2)
    found = {effect.object.id: effect for effect in recorded(guard)}
    assert found["2"].before.content["read"] == 1
    assert found["2"].after.content["read"] == 5
    assert found["2"].exceeds is None
    assert (found["1"].after.state, found["1"].exceeds) == (ImageState.ABSENT, EffectKind.UPDATE)


def signalled(guard: Stopwork) -> Signal:
    """Answer the first signal, once the detectors have come that far."""
    assert isinstance(guard.desk, LocalDesk)
    store = guard.desk.installation.store
    until = time.monotonic() + 20
    while not (found := store.read(lambda view: list(view.each(Signal)))):
        assert time.monotonic() < until
        time.sleep(0.01)
    return found[0]


def called(guard: Stopwork) -> list[Call]:
    assert isinstance(guard.desk, LocalDesk)
    return guard.desk.installation.store.read(lambda view: list(view.each(Call)))


def recorded(guard: Stopwork) -> list[Effect]:
    assert isinstance(guard.desk, LocalDesk)
    return guard.desk.installation.store.read(lambda view: list(view.each(Effect, order="at")))
