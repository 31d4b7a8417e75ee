"""Looking: each page and list that an incident needs, asked for over HTTP by a person who is signed in."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
from msgspec import Struct

from benchmarks.scale import server
from benchmarks.scale.filling import BUSIEST, WORKFLOWS
from benchmarks.scale.incident import Ids
from stopwork.server.auth import COOKIE

TIMES: Final = 20
_RARE: Final = WORKFLOWS[-1]


class Look(Struct, frozen=True, kw_only=True):
    """What one address took: first with nothing in memory, then twenty times."""

    name: str
    status: int
    bytes: int
    cold_ms: float
    p50_ms: float
    worst_ms: float


def addresses(ids: Ids) -> Iterator[str]:
    """Answer the pages and lists."""
    yield f"/incidents/{ids.incident}"
    yield f"/incidents/{ids.incident}/objects"
    yield f"/v1/incidents/{ids.incident}/objects"
    yield f"/v1/incidents/{ids.incident}/audit"
    yield f"/v1/incidents/{ids.incident}/phases"
    yield f"/v1/incidents/{ids.incident}/timeline"
    yield f"/v1/incidents/{ids.incident}/return"
    yield f"/incidents/{ids.incident}/report"
    yield "/"
    yield "/incidents"
    yield f"/workflows/{BUSIEST}"
    yield f"/workflows/{_RARE}"
    yield f"/runs/{ids.run}"
    yield f"/runs/{ids.run}/difference"
    yield "/approvals"
    yield "/drafts"
    yield "/holds"
    yield f"/holds/{ids.hold}"
    yield f"/pause?workflow={BUSIEST}&incident={ids.incident}"
    yield "/pause"
    yield "/journal"
    yield f"/journal?workflow={BUSIEST}"
    yield f"/journal?workflow={_RARE}"
    yield f"/journal?incident={ids.incident}"
    yield f"/journal?run={ids.run}"
    yield f"/journal?call={ids.call}"
    yield f"/v1/journal?workflow={_RARE}"
    yield "/v1/calls"
    yield "/v1/calls?limit=500"
    yield f"/v1/calls?after={ids.call}"
    yield f"/v1/calls?run={ids.run}"
    yield f"/v1/calls?workflow={BUSIEST}"
    yield f"/v1/calls?workflow={_RARE}"
    yield "/v1/calls?tool=mail.send"
    yield f"/v1/calls?tool=mail.send&workflow={_RARE}"
    yield "/v1/calls?verdict=allow"
    yield "/v1/calls?verdict=deny"
    yield f"/v1/calls?verdict=deny&workflow={BUSIEST}"
    yield "/v1/calls?outcome=succeeded"
    yield "/v1/calls?outcome=failed"
    yield f"/v1/calls?outcome=unknown&tool=crm.search&workflow={BUSIEST}"
    yield "/v1/calls?in_flight=true"
    yield "/v1/calls?in_flight=false"
    yield "/v1/runs"
    yield f"/v1/runs?workflow={_RARE}"
    yield "/v1/runs?status=succeeded"
    yield f"/v1/runs?status=failed&workflow={BUSIEST}"
    yield "/v1/signals"
    yield "/v1/incidents"
    yield "/v1/health"


def measured(folder: Path, database: str | None, ids: Ids) -> Iterator[Look]:
    """Ask for each of them, and answer what it took."""
    with server.running(folder, database) as address:
        headers = {"authorization": f"Bearer {address.token}"}
        with httpx.Client(
            base_url=f"http://127.0.0.1:{address.port}", cookies={COOKIE: address.token}, timeout=300
        ) as client:
            for path in addresses(ids):
                _forget(folder)
                own = headers if path.startswith("/v1/") else {}
                cold_ms, answer = _timed_ms(client, path, own)
                times = TIMES if cold_ms < 3000 else 3
                rounds = [_timed_ms(client, path, own)[0] for _ in range(times)]
                yield Look(
                    name=path.replace(ids.incident, "INCIDENT")
                    .replace(ids.run, "RUN")
                    .replace(ids.call, "CALL")
                    .replace(ids.hold, "HOLD"),
                    status=answer.status_code,
                    bytes=len(answer.content),
                    cold_ms=cold_ms,
                    p50_ms=statistics.median(rounds),
                    worst_ms=max(rounds),
                )


def _timed_ms(client: httpx.Client, path: str, headers: dict[str, str]) -> tuple[float, httpx.Response]:
    started = time.perf_counter()
    answer = client.get(path, headers=headers)
    return (time.perf_counter() - started) * 1000, answer


def _forget(folder: Path) -> None:
    """Have the operating system drop what it keeps of the files in memory."""
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(handle)
