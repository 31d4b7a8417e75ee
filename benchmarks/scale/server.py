"""``python -m benchmarks.scale.server FOLDER [DATABASE]``: the server with its console, without duties that would go on beside what is timed."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.timing.workflow import DANA
from stopwork.operations import credentials
from stopwork.operations.installation import Installation
from stopwork.server.app import create_app
from stopwork.server.main import Server, configured
from stopwork.server.pages.routes import console_routes
from stopwork.worker.crew import Crew


class Address(Struct, frozen=True, kw_only=True):
    """Where a server listens, and the token of the person who looks."""

    port: int
    token: str


@contextmanager
def running(folder: Path, database: str | None) -> Iterator[Address]:
    """A server on ``folder``, or on the database at this address, in a process of its own, for as long as the block."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.scale.server",
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
    listener = socket.create_server(("127.0.0.1", 0))
    database = sys.argv[2] if len(sys.argv) > 2 else None
    with Installation.open(Path(sys.argv[1]), database=database) as installation:
        token = installation.store.write(
            partial(credentials.issue, principal=DANA, administrator=True)
        ).secret
        crew = Crew(installation)
        config = configured(create_app(crew, console=lambda: console_routes(crew)))
        config.lifespan = "off"
        server = Server(config, started=lambda: None, stopping=lambda: None)
        threading.Thread(target=_stop_with_input, args=(server,), daemon=True).start()
        print(msgspec.json.encode(Address(port=listener.getsockname()[1], token=token)).decode(), flush=True)
        server.run(sockets=[listener])


def _stop_with_input(server: Server) -> None:
    sys.stdin.read()
    server.should_exit = True


if __name__ == "__main__":
    main()
