"""The how-to's maps of two servers that nobody here wrote: one of payments (forms, pages, ids of its own), one of calendars (text, ETags).

What an agent changes there is seen, and put back so that the server answers as before; somebody else's change stays. The servers run in an
environment of their own: `make .venv-servers/.installed`, which `make test-all` does.
"""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from ruamel.yaml import YAML

from stopwork import Stopwork
from stopwork.incidents.images import same_image
from stopwork.kernel.errors import Conflict
from stopwork.ledger.records import Image, ObjectRef
from stopwork.sdk.embedded import LocalDesk
from stopwork.systems.base import System, Unsupported
from stopwork.systems.load import load_systems
from tests.repository.tree import ROOT
from tests.support.undoing import undone

pytestmark = pytest.mark.slow

HOW_TO = ROOT / "docs" / "how-to" / "map-an-http-interface.md"
PYTHON = ROOT / ".venv-servers" / "bin" / "python"

MAKE_CALENDAR = """<?xml version="1.0"?><create xmlns="DAV:"><set><prop><resourcetype><collection/>
<c:calendar xmlns:c="urn:ietf:params:xml:ns:caldav"/></resourcetype></prop></set></create>"""


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(port: int, *command: str, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([PYTHON, "-m", *command], stdout=log, stderr=log, cwd=folder)
    until = time.monotonic() + 20
    while time.monotonic() < until and server.poll() is None:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server
        time.sleep(0.05)
    server.kill()
    raise AssertionError((folder / "log").read_text())


def stopped(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="module")
def payments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    port, folder = free_port(), tmp_path_factory.mktemp("payments")
    server = started(port, "localstripe", "--port", str(port), "--from-scratch", folder=folder)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=("sk_test_x", "")) as client:
        yield client
    stopped(server)


@pytest.fixture(scope="module")
def calendar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    port, folder = free_port(), tmp_path_factory.mktemp("calendar")
    (folder / "config").write_text(
        f"[server]\nhosts = 127.0.0.1:{port}\n[auth]\ntype = none\n"
        f"[storage]\nfilesystem_folder = {folder / 'store'}\n"
    )
    server = started(port, "radicale", "--config", str(folder / "config"), folder=folder)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=("dana", "x")) as client:
        client.request("MKCOL", "/dana/work/", content=MAKE_CALENDAR).raise_for_status()
        yield client
    stopped(server)


def mapped(name: str, server: httpx.Client) -> System:
    """Answer the system of this name as the how-to maps it."""
    [page] = re.findall(r"^```yaml\n(.*?)^```$", HOW_TO.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    url = str(server.base_url)
    env = {
        "PAYMENTS_URL": url,
        "PAYMENTS_AUTH": "Bearer sk_test_x",
        "CALENDAR_URL": url,
        "CALENDAR_AUTH": "Basic ZGFuYTp4",
    }
    return load_systems(YAML(typ="safe", pure=True).load(page), env=env)[name]


def customer(server: httpx.Client, **fields: Any) -> ObjectRef:
    made = server.post("/v1/customers", data=fields).raise_for_status().json()
    return ObjectRef(system="payments", type="customer", id=made["id"])


def test_changes_of_a_customer_are_put_back_and_later_ones_stay(payments: httpx.Client) -> None:
    system = mapped("payments", payments)
    ref = customer(payments, description="Acme", email="a@acme.test", **{"metadata[tier]": "gold"})
    before = system.read(ref)
    address = f"/v1/customers/{ref.id}"
    payments.post(address, data={"description": "Evil", "email": "x@evil.test", "metadata[tier]": "none"})
    left = system.read(ref)
    assert left.content["email"] == "x@evil.test"
    system.replace(ref, left, before)
    assert same_image(system.read(ref), before)
    payments.post(address, data={"phone": "1"})
    with pytest.raises(Conflict):
        system.replace(ref, before, left)
    assert payments.get(address).json()["phone"] == "1"


def test_a_customer_that_came_is_removed_and_one_that_went_cannot_come_back(payments: httpx.Client) -> None:
    system = mapped("payments", payments)
    ref = customer(payments, description="a copy")
    seen = system.read(ref)
    system.replace(ref, seen, Image.absent())
    assert system.read(ref) == Image.absent()
    with pytest.raises(Unsupported, match="no way to create a customer"):
        system.replace(ref, Image.absent(), seen)


def test_a_scan_goes_through_every_page(payments: httpx.Client) -> None:
    system = mapped("payments", payments)
    made = {customer(payments, description=f"number {number}") for number in range(5)}
    scanned = system.scan()
    assert made <= scanned.keys()
    assert all(same_image(Image.present(scanned[ref]), system.read(ref)) for ref in made)


MANIFEST = """
workflow: billing
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
triggers: [manual]
tools:
  billing.tidy: {effect: delete, undo: {system: payments}}
"""


def test_what_a_call_changed_that_named_nothing_is_found_and_undone(
    payments: httpx.Client, tmp_path: Path
) -> None:
    kept = customer(payments, description="Acme", email="a@acme.test")
    systems = {"payments": mapped("payments", payments)}
    before = systems["payments"].scan()
    (tmp_path / "stopwork.yaml").write_text(MANIFEST)

    def tidy() -> None:
        payments.post(f"/v1/customers/{kept.id}", data={"email": "x@evil.test"}).raise_for_status()
        for number in range(3):
            customer(payments, description=f"copy {number}")

    with Stopwork.embedded(tmp_path / "data", manifest=tmp_path / "stopwork.yaml", systems=systems) as guard:
        with guard.run("billing"):
            guard.tool("billing.tidy")(tidy)()
        assert isinstance(guard.desk, LocalDesk)
        _, items = undone(guard.desk.installation, "billing")
    assert len(items) == 4
    assert systems["payments"].scan() == before


def test_an_event_of_a_calendar_comes_back_as_it_was(calendar: httpx.Client) -> None:
    system = mapped("calendar", calendar)
    ref = ObjectRef(system="calendar", type="event", id="call")
    calendar.put("/dana/work/call.ics", content=event("Call Acme")).raise_for_status()
    before, was = system.read(ref), calendar.get("/dana/work/call.ics").text
    calendar.put("/dana/work/call.ics", content=event("Cancelled")).raise_for_status()
    system.replace(ref, system.read(ref), before)
    assert calendar.get("/dana/work/call.ics").text == was
    calendar.delete("/dana/work/call.ics").raise_for_status()
    system.replace(ref, system.read(ref), before)
    assert calendar.get("/dana/work/call.ics").text == was
    system.replace(ref, before, Image.absent())
    assert calendar.get("/dana/work/call.ics").status_code == 404


def test_of_several_processes_that_write_at_once_one_wins(calendar: httpx.Client) -> None:
    """Each has a lock of its own, so that only the server's ETag is between them."""
    calendar.put("/dana/work/race.ics", content=event("One")).raise_for_status()
    ref = ObjectRef(system="calendar", type="event", id="race")
    seen = mapped("calendar", calendar).read(ref)

    def write(number: int) -> bool:
        try:
            mapped("calendar", calendar).replace(ref, seen, Image.present({"text": event(f"By {number}")}))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(8))) == 1


def event(summary: str) -> str:
    return "\r\n".join(
        (
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:acme",
            "BEGIN:VEVENT",
            "UID:call",
            "DTSTART:20261123T080000Z",
            "DTSTAMP:20261123T080000Z",
            f"SUMMARY:{summary}",
            "END:VEVENT",
            "END:VCALENDAR",
            "",
        )
    )
