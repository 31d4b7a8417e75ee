"""Contract of the log's addresses: whoever is given a monitor's token follows the log with nothing but hashes, as C2SP has them, and
can do nothing else; from the tiles alone the root of the signed checkpoint is made again.
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from stopwork.ledger.merkle import MemoryNodes, Tree
from stopwork.ledger.notes import read_checkpoint, verify
from stopwork.ledger.records import Principal
from stopwork.ledger.words import PrincipalKind, StepKind
from stopwork.operations import runs, sealing
from stopwork.storage.transaction import Tx
from tests.support.office import AGENT, DANA
from tests.unit.server.browser import Browser
from tests.unit.server.house import House, house, is_problem

MONITOR = Principal(kind=PrincipalKind.MONITOR, id="transparency")
STEPS = 700


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose log has more than two full tiles, all of it sealed."""
    with house(tmp_path_factory.mktemp("log")) as opened:
        office = opened.office
        run = office.begin("monday")
        office.write(lambda tx: _busy(tx, run), actor=AGENT)
        opened.tokens[MONITOR.id] = opened.token(MONITOR)
        sealing.seal(office.store, office.inst.signer)
        yield opened


def _busy(tx: Tx, run: str) -> None:
    for number in range(STEPS):
        runs.step(tx, run=run, kind=StepKind.MESSAGE, name=f"step {number}")


@pytest.fixture
def monitor(opened: House) -> httpx.Client:
    return opened.as_(MONITOR)


def test_from_the_tiles_alone_the_signed_root_is_made_again(opened: House, monitor: httpx.Client) -> None:
    answer = monitor.get("/v1/log/checkpoint")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    signed = read_checkpoint(verify(answer.text, [opened.office.inst.signer.vkey]))
    tree = Tree(MemoryNodes())
    for index in range(0, signed.size, 256):
        width = min(256, signed.size - index)
        part = "" if width == 256 else f".p/{width}"
        tile = monitor.get(f"/v1/log/tile/0/{index // 256:03d}{part}")
        assert tile.headers["content-type"] == "application/octet-stream"
        assert len(tile.content) == 32 * width
        tree.extend([tile.content[at : at + 32] for at in range(0, len(tile.content), 32)])
    assert (tree.size, tree.root()) == (signed.size, signed.root)

    above = monitor.get(f"/v1/log/tile/1/000.p/{signed.size // 256}").content
    full = Tree(MemoryNodes())
    full.extend([tree.root(256)])
    assert above[:32] == tree.root(256)
    assert len(above) == 32 * (signed.size // 256)


@pytest.mark.parametrize(
    "tile",
    [
        "0/999",
        "0/000.p/0",
        "0/000.p/257",
        "0/000.p/999",
        "1/000",
        "8/000",
        "x/000",
        "0/1",
        "0/x1/000",
        "0/x001/x000",
        "entries/000",
        "0/000.p/5/",
        "0/\u0660\u0660\u0660",
        "0/" + "x999/" * 5 + "999",
    ],
)
def test_there_is_no_such_tile(opened: House, monitor: httpx.Client, tile: str) -> None:
    assert is_problem(monitor.get(f"/v1/log/tile/{tile}"))["status"] == 404


def test_how_the_log_stands_is_told(opened: House, monitor: httpx.Client) -> None:
    found = monitor.get("/v1/log").json()
    assert found["key"] == opened.office.inst.signer.vkey
    assert (found["origin"], found["anchors"]) == (opened.office.inst.signer.key.name, [])
    assert len(found["root"]) == 64


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/journal"),
        ("GET", "/v1/incidents"),
        ("GET", "/v1/me"),
        ("GET", "/v1/stream"),
        ("POST", "/v1/runs"),
        ("POST", "/v1/holds"),
        ("POST", "/v1/tokens"),
    ],
)
def test_a_monitor_does_nothing_else(monitor: httpx.Client, method: str, path: str) -> None:
    assert is_problem(monitor.request(method, path, json={} if method == "POST" else None))["status"] == 403


def test_agents_do_not_read_the_log(opened: House) -> None:
    assert is_problem(opened.as_(AGENT).get("/v1/log"))["status"] == 403
    assert opened.as_(DANA).get("/v1/log").is_success


def test_the_page_says_how_the_log_stands_and_what_it_does_not_prove(opened: House) -> None:
    dana = Browser.signed_in(opened, DANA)
    assert dana.page("/journal").select('a[href="/log"]')
    page = dana.page("/log").get_text(" ", strip=True)
    assert opened.office.inst.signer.vkey in page
    assert "No checkpoint leaves this server." in page
    assert "is found only by the bundles that were sealed from it: nothing is kept elsewhere" in page
