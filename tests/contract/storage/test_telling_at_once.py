"""Contract of telling where servers share a database: each looks for itself, all at the same moment, and everybody is told once for each step."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from email.message import EmailMessage
from functools import partial
from pathlib import Path

from stopwork.ledger.records import Telling
from stopwork.ledger.words import TellingState
from stopwork.notify.outlet import Outlet
from stopwork.operations import manifests, outgoing, telling
from stopwork.operations.incidents import open_by_hand
from stopwork.operations.installation import Installation
from stopwork.storage.fsck import fsck
from tests.support.office import DANA, KIM, LEE, MANIFEST, WORKFLOW
from tests.support.postgres import PostgresServer

SERVERS, INCIDENTS, ROUNDS = 3, 6, 4


def test_everybody_is_told_once_whoever_looks(postgres: PostgresServer, tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []

    def takes(message: EmailMessage) -> dict[str, str]:
        told.append((str(message["Subject"]), str(message["To"])))
        return {}

    location, outlet = postgres.database(), Outlet("a test", "stopwork@acme.test", takes)
    with ExitStack() as stack, ThreadPoolExecutor(SERVERS) as pool:
        servers = [
            stack.enter_context(Installation.open(tmp_path, database=location, outlet=outlet))
            for _ in range(SERVERS)
        ]
        store = servers[0].store
        store.write(partial(manifests.apply, text=MANIFEST, reason="the first version"), actor=LEE)
        for nth in range(INCIDENTS):
            store.write(
                partial(
                    open_by_hand, manifests=servers[0].manifests, workflow=WORKFLOW, request=f"desk-{nth}"
                ),
                actor=KIM,
            )

        def look(server: Installation) -> None:
            for _ in range(ROUNDS):
                telling.plan_due(server)
                outgoing.deliver_due(server, for_s=5.0)

        list(pool.map(look, servers))
        assert set(Counter(told).values()) == {1}
        assert Counter(person for _, person in told) == {LEE.id: INCIDENTS, DANA.id: INCIDENTS}
        found = store.read(lambda view: list(view.each(Telling)))
        assert {each.state for each in found} == {TellingState.TOLD}
        assert fsck(store).clean
