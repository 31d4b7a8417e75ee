"""Contract of the deeds of hooks: each ends in its time, whatever the other side does, and tells of a failure without half a secret."""

from __future__ import annotations

import gzip
import socket
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.hooks.base import Answer, Ended, Facts, Probe
from stopwork.hooks.settings import load_hooks
from stopwork.kernel.clock import SystemClock
from stopwork.kernel.errors import Invalid
from tests.support.places import Place, Said

SECRET = "k3y-that-nobody-may-see-even-in-part"
FACTS = Facts(
    incident="INC-1",
    workflow="renewals",
    item="INC-1/secrets/1",
    area="secrets",
    target="crm-token",
    system="crm",
    what="revoke crm-token",
    key="INC-1/secrets/1/hook/1",
)
Behaves = Callable[[socket.socket], None]


def do(folder: Path, *, facts: Facts = FACTS, **settings: Any) -> Answer:
    deed = load_hooks({"hook": settings}, env={"KEY": SECRET}, folder=folder)(SystemClock())["hook"].deed
    assert deed is not None
    return deed.do(facts)


@pytest.fixture
def place() -> Iterator[Callable[[Behaves], str]]:
    """Answer what makes an HTTP server that answers its one question as it is told to."""
    listening: list[socket.socket] = []

    def make(behaves: Behaves) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listening.append(listener)

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    behaves(connection)

        Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield make
    for each in listening:
        each.close()


def answer(status: str, body: bytes, *headers: str) -> Behaves:
    lines = "\r\n".join((f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""))
    return lambda connection: connection.sendall(lines.encode() + body)


def test_headers_that_never_end_are_cut_off(tmp_path: Path, place: Callable[[Behaves], str]) -> None:
    stop = Event()

    def dribble(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nx-long: ")
        while not stop.wait(0.05):
            connection.sendall(b"a")

    began = time.monotonic()
    found = do(tmp_path, kind="http", url=place(dribble), timeout="1s")
    took_s = time.monotonic() - began
    stop.set()
    assert found.ended is Ended.UNKNOWN
    assert "has not answered whole within 1 s" in found.said
    assert took_s < 2


def test_a_place_that_is_told_nothing_has_done_nothing(tmp_path: Path) -> None:
    assert do(tmp_path, kind="http", url="http://127.0.0.1:1/", timeout="1s").ended is Ended.NO


@pytest.mark.parametrize("filler", range(150, 300, 7))
def test_a_secret_that_is_cut_is_not_told_in_part(
    filler: int, tmp_path: Path, place: Callable[[Behaves], str]
) -> None:
    url = place(answer("403 Forbidden", b"x" * filler + b" " + SECRET.encode()))
    found = do(tmp_path, kind="http", url=url, headers={"authorization": "env:KEY"})
    assert found.ended is Ended.NO
    assert SECRET[:4] not in found.said


def test_a_redirect_is_not_followed(tmp_path: Path, place: Callable[[Behaves], str]) -> None:
    url = place(answer("302 Found", b"", "location: http://169.254.169.254/latest/meta-data/"))
    found = do(tmp_path, kind="http", url=url)
    assert (found.ended, found.code) == (Ended.NO, 302)


def test_an_answer_without_end_is_not_read(tmp_path: Path, place: Callable[[Behaves], str]) -> None:
    found = do(tmp_path, kind="http", url=place(answer("200 OK", b"x" * 10_000_000)))
    assert found.ended is Ended.UNKNOWN
    assert "more than" in found.said


def test_a_packed_answer_is_not_unpacked(tmp_path: Path, place: Callable[[Behaves], str]) -> None:
    """Some hundred bytes, packed twice, would fill the memory before anyone can count them."""
    packed = gzip.compress(gzip.compress(bytes(50_000_000)))
    tracemalloc.start()
    try:
        found = do(tmp_path, kind="http", url=place(answer("200 OK", packed, "content-encoding: gzip, gzip")))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.ended is Ended.UNKNOWN
    assert "packed (gzip, gzip)" in found.said
    assert most < 5_000_000


def test_no_packed_answer_is_asked_for(tmp_path: Path) -> None:
    with Place(lambda _sent: Said(200, b"{}")) as told:
        found = do(
            tmp_path, kind="http", method="POST", url=told.url, body={}, headers={"Accept-Encoding": "gzip"}
        )
    assert found.ended is Ended.YES
    assert [each.headers["accept-encoding"] for each in told.sent] == ["identity"]


def test_what_nests_without_end_is_no_content(tmp_path: Path, place: Callable[[Behaves], str]) -> None:
    nested = "print('[' * 30_000 + ']' * 30_000)"
    printed = do(tmp_path, kind="command", argv=[sys.executable, "-c", nested])
    answered = do(tmp_path, kind="http", url=place(answer("200 OK", b"[" * 30_000)))
    assert [(each.ended, each.content) for each in (printed, answered)] == [(Ended.YES, None)] * 2


def test_the_last_line_of_a_long_output_is_told(tmp_path: Path) -> None:
    text = f"print('x' * 100_000); print('{SECRET}' * 3_000); print('the token is locked'); exit(3)"
    found = do(tmp_path, kind="command", argv=[sys.executable, "-c", text])
    assert found.said.endswith("ended with 3: the token is locked")


def test_a_line_whose_beginning_is_gone_is_not_told(tmp_path: Path) -> None:
    text = f"print('{SECRET}' * 3_000, end=''); exit(3)"
    found = do(tmp_path, kind="command", argv=[sys.executable, "-c", text], env={"KEY": "env:KEY"})
    assert found.said.endswith("ended with 3")


def test_a_command_that_does_not_read_what_it_is_told_is_cut_off_as_well(tmp_path: Path) -> None:
    facts = replace(FACTS, target="x" * 200_000)
    began = time.monotonic()
    found = do(
        tmp_path,
        facts=facts,
        kind="command",
        argv=[sys.executable, "-c", "import time; time.sleep(9)"],
        timeout="1s",
    )
    assert found.ended is Ended.UNKNOWN
    assert time.monotonic() - began < 4


NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {}) SELECT i FROM n"


@pytest.mark.parametrize(("rows", "safe"), [(99, False), (100, True), (101, False), (500, False)])
def test_as_many_rows_as_are_read_are_not_taken_for_all(rows: int, safe: bool, tmp_path: Path) -> None:
    probe = {"kind": "sql", "url": "x.db", "statement": NUMBERS.format(rows), "expect": {"rows": 100}}
    hook = {"kind": "command", "argv": ["/bin/true"], "probe": probe}
    made = load_hooks({"hook": hook}, env={}, folder=tmp_path)(SystemClock())["hook"].probe
    assert isinstance(made, Probe)
    assert made.look(FACTS)[0] is safe


def test_more_rows_than_are_read_cannot_be_expected(tmp_path: Path) -> None:
    probe = {"kind": "sql", "url": "x.db", "statement": NUMBERS.format(1), "expect": {"rows": 101}}
    hook = {"kind": "command", "argv": ["/bin/true"], "probe": probe}
    with pytest.raises(Invalid, match=r"hook\.probe\.expect\.rows"):
        load_hooks({"hook": hook}, env={}, folder=tmp_path)


@pytest.mark.parametrize("statement", ["DELETE FROM keys WHERE id = :targt", "SELECT '{target}'"])
def test_a_name_in_a_statement_that_stands_for_nothing_is_named(statement: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"hook\.statement"):
        load_hooks({"hook": {"kind": "sql", "url": "x.db", "statement": statement}}, env={}, folder=tmp_path)(
            SystemClock()
        )


def test_a_statement_that_is_about_no_rows_says_that_it_ran(tmp_path: Path) -> None:
    found = do(tmp_path, kind="sql", url="x.db", statement="CREATE TABLE locked (id TEXT)")
    assert found.said == "the statement ran"
