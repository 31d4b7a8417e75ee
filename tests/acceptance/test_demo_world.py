"""The demo world consists of real processes and behaves like the real thing.

The CRM keeps what was written even where the answer is late, lets nobody overwrite what somebody else changed, and says
who changed what. The CRM as a system restores objects by compare-and-set. Starting and stopping is bounded, leaves nothing
running (not even when the owner is killed), and can be done again in the same place. The manifest as deployed has the gap
that the incident shows; the repaired one closes it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest

from stopwork.demo.crm.records import SEEDS, SLOW_ACCOUNT
from stopwork.demo.crm_system import Crm
from stopwork.demo.processes import Child
from stopwork.demo.world import MANIFEST, MANIFEST_FIXED, World
from stopwork.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from stopwork.ledger.records import Image, ObjectRef, Principal, Run
from stopwork.ledger.words import Mode, PrincipalKind, RunStatus
from stopwork.manifest.compiled import CompiledManifest, compile_manifest
from stopwork.manifest.load import load
from stopwork.systems.load import read_systems_file
from stopwork.systems.python import PythonSystem

TODAY = date(2027, 1, 20)
TASK = {"account_id": "A-101", "title": "Call", "due": "2027-02-01"}


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World.start(tmp_path_factory.mktemp("world"), today=TODAY) as world:
        yield world


@pytest.fixture
def crm(shared_world: World) -> Iterator[httpx.Client]:
    with client(shared_world, shared_world.agent_key) as http:
        yield http


@pytest.fixture
def system(shared_world: World) -> PythonSystem:
    return shared_world.crm_system()


def client(world: World, key: str, timeout_s: float = 5.0) -> httpx.Client:
    return httpx.Client(base_url=world.crm_url, headers={"Authorization": f"Bearer {key}"}, timeout=timeout_s)


def ref(kind: str, object_id: str) -> ObjectRef:
    return ObjectRef(system="crm", type=kind, id=object_id)


def eventually(holds: Callable[[], bool], within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds()


def running(pid: int) -> bool:
    """Whether the process runs; one that has ended and that nobody has waited for does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return state.stdout.strip()[:1] not in ("", "Z")


# --- the CRM ---------------------------------------------------------------------------------------


def test_the_seed_is_the_same_every_time(tmp_path: Path) -> None:
    accounts = []
    for name in ("one", "two"):
        with World.start(tmp_path / name, today=TODAY) as world, client(world, world.agent_key) as crm:
            accounts.append(crm.get("/accounts").json()["items"])
    assert accounts[0] == accounts[1]
    assert len(accounts[0]) == len(SEEDS) == 12
    assert accounts[0]["A-101"] == {
        "name": "Alderbrook Logistics",
        "owner": "mia@acme.test",
        "renewal_date": "2028-01-02",
        "plan": "enterprise",
        "amount_usd": 84000,
        "renewal_risk": "low",
        "notes": "",
    }


def test_last_quarters_export_shows_the_dates_before_the_renewals(shared_world: World) -> None:
    head, _, *rows = (shared_world.exports / "renewals.csv").read_text(encoding="utf-8").splitlines()
    assert head == "# as of 2026-10-21T06:00:00+00:00"
    assert rows[0].startswith("A-101,Alderbrook Logistics,mia@acme.test,2027-01-02,")


def test_a_task_is_made_read_changed_and_deleted(crm: httpx.Client) -> None:
    made = crm.post("/tasks", json=TASK)
    address = made.headers["Location"]
    assert (made.status_code, address) == (201, f"/tasks/{made.json()['id']}")
    assert crm.get(address).json()["created_by"] == "renewal agent"
    assert crm.patch(address, json={"status": "done"}).json()["status"] == "done"
    assert crm.delete(address).status_code == 204
    assert crm.get(address).status_code == 404
    actions = [entry["action"] for entry in crm.get("/activity").json()["items"][:3]]
    assert actions == ["deleted", "changed", "created"]


def test_the_number_of_a_deleted_task_is_not_used_again(crm: httpx.Client) -> None:
    first = crm.post("/tasks", json=TASK).headers["Location"]
    crm.delete(first)
    assert crm.post("/tasks", json=TASK).headers["Location"] != first


def test_nobody_overwrites_what_somebody_else_changed(crm: httpx.Client) -> None:
    seen = crm.get("/accounts/A-102").headers["ETag"]
    assert crm.patch("/accounts/A-102", json={"notes": "Met."}, headers={"If-Match": seen}).status_code == 200
    late = crm.patch("/accounts/A-102", json={"notes": "Lost."}, headers={"If-Match": seen})
    assert late.status_code == 412
    assert crm.get("/accounts/A-102").json()["notes"] == "Met."


def test_a_late_answer_is_a_write_that_was_done(shared_world: World) -> None:
    with client(shared_world, shared_world.agent_key, timeout_s=0.5) as crm:
        before = set(crm.get("/tasks").json()["items"])
        with pytest.raises(httpx.ReadTimeout):
            crm.post("/tasks", json=TASK | {"account_id": SLOW_ACCOUNT})
        added = set(crm.get("/tasks").json()["items"]) - before
    assert len(added) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/tasks", b"{", 400),
        ("POST", "/tasks", b"[]", 400),
        ("POST", "/tasks", b'{"title": "No account"}', 422),
        ("POST", "/tasks", b'{"account_id": "A-999", "title": "x", "due": "2027-02-01"}', 422),
        ("POST", "/tasks", b'{"account_id": "A-101", "title": "x", "due": "soon"}', 422),
        ("POST", "/tasks", b" " * 70_000, 413),
        ("PATCH", "/accounts/A-101", b'{"renewal_risk": "unclear"}', 422),
        ("PATCH", "/accounts/A-101", b'{"nickname": "x"}', 422),
        ("GET", "/accounts/A-999", b"", 404),
        ("GET", "/invoices", b"", 404),
    ],
)
def test_bad_requests_are_refused(
    crm: httpx.Client, method: str, path: str, body: bytes, status: int
) -> None:
    answer = crm.request(method, path, content=body)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_wrong_key_is_refused(shared_world: World) -> None:
    with client(shared_world, "guessed") as crm:
        assert crm.get("/accounts").status_code == 401
        assert crm.post("/tasks", json=TASK).status_code == 401


def test_people_read_the_accounts_and_who_changed_them(shared_world: World) -> None:
    with client(shared_world, shared_world.person_key) as crm:
        crm.patch("/accounts/A-112", json={"renewal_risk": "high", "notes": "<b>Call</b>"})
        page = crm.get("/")
    assert page.status_code == 200
    assert "Lanternworks Studio" in page.text
    assert "renewal_risk medium → high" in page.text
    assert "dana@acme.test" in page.text
    assert "<b>Call</b>" not in page.text


def test_a_foreign_host_name_does_not_reach_the_page(shared_world: World) -> None:
    assert httpx.get(shared_world.crm_url, headers={"Host": "crm.example"}).status_code == 400


# --- the CRM as a system ---------------------------------------------------------------------------


def test_a_changed_object_is_put_back(system: PythonSystem, crm: httpx.Client) -> None:
    account = ref("account", "A-103")
    before = system.read(account)
    crm.patch("/accounts/A-103", json={"renewal_date": "2027-01-07"})
    left = system.read(account)
    system.replace(account, expected=left, target=before)
    assert system.read(account) == before


def test_a_created_object_is_removed_and_a_deleted_one_comes_back(
    system: PythonSystem, crm: httpx.Client
) -> None:
    task = ref("task", crm.post("/tasks", json=TASK).json()["id"])
    made = system.read(task)
    system.replace(task, expected=made, target=Image.absent())
    assert system.read(task) == Image.absent()
    system.replace(task, expected=Image.absent(), target=made)
    assert system.read(task) == made


def test_a_later_change_is_a_conflict_and_survives(system: PythonSystem, crm: httpx.Client) -> None:
    account = ref("account", "A-104")
    before = system.read(account)
    crm.patch("/accounts/A-104", json={"notes": "Later."})
    with pytest.raises(Conflict):
        system.replace(account, expected=before, target=Image.absent())
    assert crm.get("/accounts/A-104").json()["notes"] == "Later."


def test_an_unknown_image_restores_nothing(system: PythonSystem) -> None:
    with pytest.raises(Invalid):
        system.replace(ref("account", "A-105"), expected=Image.unknown("not read"), target=Image.absent())


def test_a_scan_sees_what_neither_arguments_nor_result_name(system: PythonSystem, crm: httpx.Client) -> None:
    before = system.scan()
    made = crm.post("/tasks", json=TASK).json()["id"]
    added = {object_ref for object_ref in system.scan() if object_ref not in before}
    assert added == {ref("task", made)}


def test_a_server_configured_with_the_systems_file_sees_the_crm(shared_world: World) -> None:
    systems = read_systems_file(shared_world.systems_file, env=shared_world.operator_environment)
    assert systems["crm"].read(ref("account", "A-110")) == shared_world.crm_system().read(
        ref("account", "A-110")
    )
    assert shared_world.operator_key not in shared_world.systems_file.read_text(encoding="utf-8")


def test_an_unknown_type_is_named(system: PythonSystem) -> None:
    with pytest.raises(NotFound, match=r"no invoice"):
        system.replace(ref("invoice", "1"), expected=Image.absent(), target=Image.present({}))


def test_a_crm_that_does_not_answer_is_unavailable_not_absent() -> None:
    with pytest.raises(Unavailable):
        Crm("http://127.0.0.1:9", "key").system().read(ref("account", "A-101"))


# --- starting and stopping -------------------------------------------------------------------------


def test_a_world_leaves_nothing_running_and_starts_again_in_the_same_place(tmp_path: Path) -> None:
    for _ in range(2):
        with World.start(tmp_path, today=TODAY) as world:
            url = world.crm_url
            with client(world, world.agent_key) as crm:
                assert crm.get("/tasks").json()["items"] == {}
                crm.post("/tasks", json=TASK)
        with pytest.raises(httpx.ConnectError):
            httpx.get(url)


def test_what_is_somebodys_own_is_left_alone(tmp_path: Path) -> None:
    own = tmp_path / "exports" / "mine.csv"
    own.parent.mkdir()
    own.write_text("mine", encoding="utf-8")
    with pytest.raises(Conflict, match="not empty"):
        World.start(tmp_path, today=TODAY)
    assert own.read_text(encoding="utf-8") == "mine"


def test_a_directory_of_its_own_is_removed() -> None:
    with World.start(today=TODAY) as world:
        directory = world.directory
        assert directory.exists()
    assert not directory.exists()


def test_a_child_that_ends_early_says_its_last_words(tmp_path: Path) -> None:
    child = Child("doomed", ["-c", "print('no disk'); raise SystemExit(4)"], log=tmp_path / "doomed.log")
    with child, pytest.raises(Unavailable, match=r"(?s)doomed ended with code 4.*no disk"):
        child.wait_file(tmp_path / "never")


def test_waiting_is_bounded(tmp_path: Path) -> None:
    sleeper = Child("sleeper", ["-c", "import time; time.sleep(60)"], log=tmp_path / "sleeper.log")
    with sleeper:
        with pytest.raises(Unavailable, match="not ready after"):
            sleeper.wait_file(tmp_path / "never", within_s=0.2)
        with pytest.raises(Unavailable, match="has not ended within"):
            sleeper.wait(within_s=0.1)
    assert not running(sleeper.pid)


def test_a_child_that_will_not_stop_is_made_to(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"
    )
    with Child("stubborn", ["-c", stubborn], log=tmp_path / "stubborn.log", grace_s=0.3) as child:
        child.wait_ready(lambda: child.log.read_text(encoding="utf-8") or None)
        child.stop()
        assert not running(child.pid)


def test_what_a_child_started_ends_with_it(tmp_path: Path) -> None:
    starts_another = (
        "import subprocess, sys, time\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid); time.sleep(60)\n"
    )
    with Child("parent", ["-c", starts_another], log=tmp_path / "parent.log") as child:
        other = int(child.wait_ready(lambda: child.log.read_text(encoding="utf-8").strip() or None))
    assert eventually(lambda: not running(other))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_an_owner_that_dies(tmp_path: Path, how: signal.Signals) -> None:
    # Whoever runs the tests in the background of a shell hands down that interrupts are ignored.
    program = (
        "import signal, sys, time; from pathlib import Path; from stopwork.demo.world import World\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with World.start(Path(sys.argv[1])) as world:\n"
        "    print(world.crm_url, flush=True); time.sleep(60)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        url = owner.stdout.readline().strip()
        assert httpx.get(url).status_code == 200
        owner.send_signal(how)
        owner.wait(15)

    def silent() -> bool:
        try:
            httpx.get(url)
        except httpx.TransportError:
            return True
        return False

    assert eventually(silent)


# --- the manifests ---------------------------------------------------------------------------------


def manifest(path: Path, *, doubted: tuple[str, ...] = ()) -> CompiledManifest:
    loaded = load(path.read_bytes(), filename=path.name)
    assert tuple(warning.field for warning in loaded.warnings) == doubted
    return compile_manifest(loaded.manifest)


RUN = Run(
    id="run_1",
    workflow="weekly-renewal-risk",
    version=1,
    trigger="schedule",
    trigger_id="2027-W03",
    attempt=1,
    mode=Mode.ENFORCE,
    status=RunStatus.RUNNING,
    started_at=datetime(2027, 1, 20, 8, tzinfo=UTC),
    by=Principal(kind=PrincipalKind.AGENT, id="weekly-renewal-risk"),
)
BACKDATED = {"account_id": "A-101", "changes": {"renewal_date": "2027-01-02", "renewal_risk": "high"}}
RISK_ONLY = {"account_id": "A-101", "changes": {"renewal_risk": "high"}}
TASK_CALL = TASK | {"priority": "normal"}


def test_as_deployed_a_repeated_task_has_no_key_and_only_the_alert_knows_it() -> None:
    deployed = manifest(MANIFEST, doubted=("tools[crm.create_task]",))
    assert deployed.business_key("crm.create_task", TASK_CALL, RUN) is None
    assert deployed.declared_alert_key("crm.create_task", TASK_CALL, RUN) == deployed.declared_alert_key(
        "crm.create_task", TASK_CALL | {"due": "2027-02-02"}, RUN
    )
    assert not deployed.denies("crm.update_account", BACKDATED, RUN, RUN.started_at)


def test_repaired_a_repeated_task_has_the_same_key_and_dates_are_out_of_reach() -> None:
    repaired = manifest(MANIFEST_FIXED)
    assert repaired.business_key("crm.create_task", TASK_CALL, RUN) is not None
    assert repaired.denies("crm.update_account", BACKDATED, RUN, RUN.started_at)
    assert not repaired.denies("crm.update_account", RISK_ONLY, RUN, RUN.started_at)
    assert not repaired.denies("crm.create_task", TASK_CALL, RUN, RUN.started_at)
    assert repaired.denies("crm.create_task", TASK_CALL | {"due": "2027-01-19"}, RUN, RUN.started_at)
