"""A running server with an office behind it: the people, the agents of two workflows, and a way to speak as each of them."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import uvicorn
from starlette.types import ASGIApp

from stopwork.hooks.settings import MakesHooks
from stopwork.ledger.records import Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import credentials, manifests
from stopwork.operations.intake_file import ways_of
from stopwork.server.app import create_app
from stopwork.server.auth import NOBODY
from stopwork.server.pages.routes import console_routes
from stopwork.storage.view import View
from tests.support.office import AGENT, DANA, KIM, LEE, MANIFEST, Office

Json = Any

ADMIN: Final = Principal(kind=PrincipalKind.PERSON, id="root@acme.test")
STRANGER: Final = Principal(kind=PrincipalKind.PERSON, id="pat@acme.test")
OTHER: Final = Principal(kind=PrincipalKind.AGENT, id="invoices")
FEED: Final = Principal(kind=PrincipalKind.FEED, id="crm")
REPORTER: Final = Principal(kind=PrincipalKind.REPORTER, id="prometheus")
OTHER_MANIFEST: Final = """\
workflow: invoices
owners: {business: jo@acme.test, technical: lee@acme.test}
triggers: [manual]
checklist: [{phase: open, question: Who pays?}]
tools:
  pay.invoice: {effect: pay, risk: high, permission: pay, external: true, undo: {none: Money is gone.}}
"""
PATCHED: Final = MANIFEST.replace(
    "    permission: crm.tasks.write\n",
    "    permission: crm.tasks.write.own\n    idempotency: [run.trigger_id, args.account_id, args.title]\n",
)
#: Tools that report by webhook; what the till sends has to be signed.
WAYS: Final = ways_of(
    {
        "webhooks": {
            "desk": {
                "summary": "item.title",
                "workflow": "item.agent",
                "kind": "user_report",
                "key": "item.topic",
            },
            "till": {"summary": "body.what", "workflow": "invoices", "secret": "env:TILL"},
        },
        "agents": {"invoice-agent": "invoices"},
    },
    env={"TILL": f"whsec_{base64.b64encode(b't' * 32).decode()}"},
)
WITHIN_S: Final = 10


class House:
    """An office with a server in front of it; :meth:`as_` answers a client that holds somebody's token."""

    def __init__(self, office: Office, url: str) -> None:
        self.office = office
        self.url = url
        #: Sees every answer; what it raises fails the test that asked.
        self.judge: Callable[[httpx.Response], None] | None = None
        self._clients: dict[str, httpx.Client] = {}
        office.write(lambda tx: manifests.apply(tx, OTHER_MANIFEST, reason="the first version"), actor=LEE)
        self.tokens = {
            who.id: self.token(who, administrator=who is ADMIN)
            for who in (AGENT, OTHER, DANA, LEE, KIM, STRANGER, ADMIN, FEED, REPORTER)
        }

    def token(self, who: Principal, *, administrator: bool = False, **valid_for: float) -> str:
        """Answer a new token of somebody."""
        return self.office.store.write(
            lambda tx: credentials.issue(
                tx,
                principal=who,
                administrator=administrator,
                valid_for=timedelta(**valid_for) if valid_for else None,
            )
        ).secret

    def link(self, who: Principal) -> str:
        """Answer the secret of a new one-time sign-in link."""
        return self.office.store.write(
            lambda tx: credentials.issue(tx, principal=who, once=True, valid_for=credentials.LINK_VALID_FOR)
        ).secret

    def client(self, **headers: str) -> httpx.Client:
        """Answer a client without any credential."""
        made = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=WITHIN_S,
            trust_env=False,
            event_hooks={"response": [self._judged]},
        )
        self._clients[str(len(self._clients))] = made
        return made

    def _judged(self, answer: httpx.Response) -> None:
        if self.judge is not None:
            self.judge(answer)

    def as_(self, who: Principal | None) -> httpx.Client:
        """Answer the client of somebody; ``None`` has no token."""
        name = who.id if who else ""
        if name not in self._clients:
            made = self.client(**({"authorization": f"Bearer {self.tokens[name]}"} if who else {}))
            self._clients[name] = made
        return self._clients[name]

    def get(self, path: str, *, who: Principal = LEE, **query: Any) -> Json:
        return _good(self.as_(who).get(path, params=query)).json()

    def post(self, path: str, *, who: Principal = LEE, **body: Any) -> Json:
        return _good(self.as_(who).post(path, json=body)).json()

    def put(self, path: str, *, who: Principal = LEE, **body: Any) -> Json:
        return _good(self.as_(who).put(path, json=body)).json()

    def journal_size(self) -> int:
        return self.office.store.last_seq

    def entries_of_others(self) -> int:
        """How many entries of the journal are not by the server's duties, which go on beside every request."""

        def count(view: View) -> int:
            every = view.entries(limit=self.journal_size())
            return sum(each.actor.kind is not PrincipalKind.SYSTEM or each.actor == NOBODY for each in every)

        return self.office.read(count)

    def close(self) -> None:
        for each in self._clients.values():
            each.close()


def _good(answer: httpx.Response) -> httpx.Response:
    assert answer.is_success, f"{answer.request.method} {answer.url.path}: {answer.status_code} {answer.text}"
    return answer


@contextlib.contextmanager
def house(
    folder: Path,
    *,
    first: Callable[[Office], object] | None = None,
    manifest: str = MANIFEST,
    hooks: MakesHooks | None = None,
) -> Iterator[House]:
    """A house on a free port, until the block ends; what is done ``first`` is done before its duties run by themselves."""
    with Office(folder, manifest=manifest, hooks=hooks) as office:
        if first is not None:
            first(office)
        app = create_app(office.crew, console=lambda: console_routes(office.crew), ways=WAYS)
        with serving(app) as url:
            opened = House(office, url)
            try:
                yield opened
            finally:
                opened.close()


@contextlib.contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """An application on a free port, in a thread of its own; answers its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            wait_for(lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(WITHIN_S)


def wait_for(what: Callable[[], Any]) -> Any:
    """Wait until ``what`` answers something true, and answer that."""
    deadline = time.monotonic() + WITHIN_S
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)
    return found


def is_problem(answer: httpx.Response) -> dict[str, Any]:
    """Hold an answer to the form of every refusal, and answer its document."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text[:300]
    document = json.loads(answer.content)
    assert document["status"] == answer.status_code
    for part in ("type", "title", "detail", "code", "hint"):
        assert isinstance(document[part], str), f"{part} of {document}"
        assert document[part], f"{part} of {document}"
    assert "Traceback" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "content-security-policy" in answer.headers
    return dict(document)
