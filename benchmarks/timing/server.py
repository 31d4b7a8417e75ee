"""``python -m benchmarks.timing.server FOLDER [DATABASE]``: the server as it is, with two more routes: an echo of what a permit asks, and the
processor time spent so far.

The echo goes through the same server, middleware and decoder, and does nothing else: what is left between the two is Stopwork's own work.
Says on its first line where it is and by which tokens it is asked; ends with its standard input.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import uvicorn
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.timing.workflow import AGENT, DANA, LEE, open_installation
from stopwork.operations import credentials
from stopwork.server.api import guard
from stopwork.server.app import create_app
from stopwork.server.main import Server, configured, with_many_files, with_short_stops
from stopwork.server.stream import Stream
from stopwork.worker.crew import Crew

ECHO: Final = "/echo"
SPENT: Final = "/spent"
PERMITS: Final = "/v1/permits"


class Address(Struct, frozen=True, kw_only=True):
    """Where a server listens, and the tokens of those who ask it."""

    port: int
    agent: str
    dana: str
    lee: str


@contextmanager
def running(folder: Path, database: str | None = None) -> Iterator[Address]:
    """A server on ``folder``, or on the database at this address, in a process of its own, for as long as the block."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.timing.server",
        str(folder),
        *([database] if database else []),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield msgspec.json.decode(process.stdout.readline(), type=Address)
        finally:
            process.stdin.close()
            process.wait(timeout=20)


def main() -> None:
    """Serve until standard input ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    with open_installation(Path(sys.argv[1]), *sys.argv[2:]) as installation:
        bench, dana, lee = (
            installation.store.write(partial(credentials.issue, principal=person)).secret
            for person in (AGENT, DANA, LEE)
        )
        more = [Route(ECHO, _echo(), methods=["POST"]), Route(SPENT, _spent, methods=["POST"])]
        stream = Stream(installation)
        app = create_app(Crew(installation), console=lambda: more, stream=stream)
        # Connections of a later round lie idle during an earlier one.
        with_many_files()
        with_short_stops()
        config = configured(app, keep_alive_s=120)
        server = Server(config, started=lambda: None, stopping=stream.close)
        address = Address(port=listener.getsockname()[1], agent=bench, dana=dana, lee=lee)
        threading.Thread(target=_stop_with_input, args=(server,), daemon=True).start()
        print(msgspec.json.encode(address).decode(), flush=True)
        server.run(sockets=[listener])


def _stop_with_input(server: uvicorn.Server) -> None:
    sys.stdin.read()
    server.should_exit = True


def _echo() -> Any:
    [endpoint] = [each for each in guard.ENDPOINTS if each.path == PERMITS]
    assert endpoint.body is not None
    decoder = msgspec.json.Decoder(endpoint.body)

    async def echo(request: Request) -> Response:
        asked = decoder.decode(await request.body())
        return Response(msgspec.json.encode(asked), media_type="application/json")

    return echo


async def _spent(_request: Request) -> Response:
    return Response(msgspec.json.encode(time.process_time()), media_type="application/json")


if __name__ == "__main__":
    main()
