"""The company in which the demo takes place: its CRM, its agent, its Stopwork server, and its people."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx

from stopwork.demo.agent import PATIENT_S, WORKFLOW, Tools
from stopwork.demo.people import DANA, KIM, LEE, Person
from stopwork.demo.processes import Child
from stopwork.demo.world import AgentMode, World
from stopwork.kernel.errors import Unavailable, by_code
from stopwork.ledger.records import Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import credentials
from stopwork.operations.installation import Installation
from stopwork.sdk import GuardedRun, Stopwork

POLL_S: Final = 0.05
#: The server lets what it is doing end before it closes its files.
SERVER_GRACE_S: Final = 10.0

T = TypeVar("T")

Json = dict[str, Any]
#: What the CRM holds: every account and task by its id.
Contents = dict[str, Json]


class Company:
    """Everything of the demo, running. ``dana`` owns the business, ``lee`` the technology, ``kim`` is their backup."""

    def __init__(self, world: World, data: Path, url: str, tokens: dict[str, str]) -> None:
        self.world = world
        self.data = data
        self.url = url
        self.dana, self.lee, self.kim = (Person(url, tokens[who], who) for who in (DANA, LEE, KIM))
        #: The agent's credential does not exist before its workflow does; until then it opens nothing.
        self.agent = Person(url, "", WORKFLOW)

    def close(self) -> None:
        """Close the people's connections."""
        for person in (self.dana, self.lee, self.kim, self.agent):
            person.close()

    # what people do

    def introduce(self, manifest: Path) -> None:
        """Declare the agent's workflow to Stopwork, and give the agent its token."""
        self.apply(manifest, reason="the workflow as it was deployed")
        issued = self.lee.post("/v1/tokens", kind=PrincipalKind.AGENT, id=WORKFLOW)
        self.agent.close()
        self.agent = Person(self.url, issued["secret"], WORKFLOW)

    def apply(self, manifest: Path, *, reason: str) -> Json:
        """Make a manifest the version in force, after a look at what it changes; answer the changes."""
        text = manifest.read_text(encoding="utf-8")
        seen = self.lee.post("/v1/manifests/preview", text=text, filename=manifest.name)
        in_force = seen["version"] - (0 if seen["unchanged"] else 1)
        applied: Json = self.lee.post(
            "/v1/manifests", text=text, filename=manifest.name, reason=reason, expected_version=in_force
        )
        return applied

    def sign_in_link(self, person: Person) -> str:
        """Answer a link that signs this person in to the console, once."""
        return f"{self.url}/sign-in/{person.post('/v1/links', address=person.address)['secret']}"

    # what the agent does

    def start_agent(self, mode: AgentMode, **behaviour: Any) -> Child:
        """Start one run of the agent; see :meth:`World.run_agent` for how it may behave."""
        return self.world.run_agent(self.url, self.agent.token, mode, **behaviour)

    @contextlib.contextmanager
    def agents_tools(self, occasion: str) -> Iterator[tuple[Tools, GuardedRun]]:
        """Hold the agent's own tools in hand, in a run that is guarded like any other."""
        world = self.world
        crm = httpx.Client(
            base_url=world.crm_url,
            headers={"Authorization": f"Bearer {world.agent_key}"},
            timeout=PATIENT_S,
            trust_env=False,
        )
        sw = Stopwork(self.url, self.agent.token, systems={"crm": world.crm_system()}, name="demo probe")
        with crm, sw, sw.run(WORKFLOW, trigger="manual", trigger_id=occasion) as run:
            yield Tools(sw, crm, world.exports, world.outbox), run

    # the CRM

    def contents(self) -> Contents:
        """Answer what the CRM holds now."""
        return {ref.id: content for ref, content in self.world.crm_system().scan().items()}

    def activity(self) -> list[Json]:
        """Answer the CRM's own log of who changed what, oldest first."""
        items: list[Json] = self._crm("GET", "/activity")["items"]
        return items[::-1]

    def edit_account(self, account: str, **fields: Any) -> None:
        """Change an account in the CRM by hand, as dana does."""
        self._crm("PATCH", f"/accounts/{account}", fields)

    def _crm(self, method: str, path: str, body: Json | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.world.person_key}"}
        with httpx.Client(base_url=self.world.crm_url, headers=headers, trust_env=False) as crm:
            return crm.request(method, path, json=body).raise_for_status().json()


@contextlib.contextmanager
def open_company(scratch: Path, data: Path, *, port: int = 0) -> Iterator[Company]:
    """Open the company: its CRM and its server answer. Everything of it stops with the block.

    The CRM works in ``scratch``, the server in ``data``. Port 0 takes a free one; ``Conflict`` when another is taken.
    """
    with World.start(scratch) as world:
        tokens = _first_tokens(data)
        company = Company(world, data, _start_server(world, data, port), tokens)
        with contextlib.closing(company):
            yield company


def eventually(look: Callable[[], T | None], *, within_s: float, what: str) -> T:
    """Answer what ``look`` answers as soon as it is not ``None``; ``Unavailable`` when that takes too long."""
    deadline = time.monotonic() + within_s
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise Unavailable(f"{what} did not happen within {within_s:g} s")
        time.sleep(POLL_S)
    return found


def _first_tokens(data: Path) -> dict[str, str]:
    """Make the people's tokens, as whoever installs a server does before it is started."""
    with Installation.open(data) as installation:
        people = [Principal(kind=PrincipalKind.PERSON, id=address) for address in (DANA, LEE, KIM)]
        return installation.store.write(
            lambda tx: {person.id: credentials.issue(tx, principal=person).secret for person in people}
        )


def _start_server(world: World, data: Path, port: int) -> str:
    command = ["-m", "stopwork.cli.main", "up", "--json", "--data", str(data), "--port", str(port)]
    command += ["--systems", str(world.systems_file)]
    server = world.child("server", command, world.operator_environment, grace_s=SERVER_GRACE_S)

    def address() -> str | None:
        said = _first_object(server.log.read_text(encoding="utf-8", errors="replace"))
        if said is not None and "url" not in said:
            raise by_code(said.get("code", ""))(said.get("detail", ""), hint=said.get("hint", ""))
        return said["url"] if said else None

    return server.wait_ready(address)


def _first_object(text: str) -> Json | None:
    """Answer the first JSON object in the text; ``None`` while it is not whole."""
    try:
        found: Json = json.JSONDecoder().raw_decode(text, text.index("{"))[0]
    except ValueError:
        return None
    return found
