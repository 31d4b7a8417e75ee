"""Starting a server: one process, one folder, one port."""

from __future__ import annotations

import contextlib
import errno
import gc
import resource
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from stopwork.anchors.settings import Anchors
from stopwork.hooks.settings import MakesHooks
from stopwork.kernel.errors import Conflict, Invalid, Unavailable
from stopwork.ledger.records import Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.notify.outlet import Outlet
from stopwork.operations import credentials
from stopwork.operations.installation import Installation
from stopwork.operations.intake_file import Ways
from stopwork.server.app import create_app
from stopwork.server.pages.routes import console_routes
from stopwork.server.stream import Stream
from stopwork.systems.base import System
from stopwork.worker.crew import Crew

DEFAULT_PORT: Final = 8321
ADMINISTRATOR: Final = "admin@localhost.test"
GRACE_S: Final = 5
KEEP_ALIVE_S: Final = 30
#: Every guard keeps a connection open on which it waits for news, beside those that it asks on.
MAX_CONNECTIONS: Final = 4000
#: How many files that takes, with some left for the database.
MAX_FILES: Final = 3 * MAX_CONNECTIONS
#: When Python looks for garbage: often among what is new, seldom among everything, for that stops the server for up to 0.2 s.
COLLECTED_AFTER: Final = (1000, 20, 500)
#: How long the thread that writes may keep the interpreter from the one that answers, and the other way round.
TURN_S: Final = 0.001


class Serving:
    """A server that is about to run: its address, and the link by which the first person signs in."""

    def __init__(
        self,
        installation: Installation,
        listener: socket.socket,
        public_url: str,
        ways: Ways | None = None,
    ) -> None:
        self.installation = installation
        self.ways = ways
        self.url = public_url
        self._listener = listener
        self.sign_in_link = self.link_for(ADMINISTRATOR, administrator=True)

    def link_for(self, address: str, *, administrator: bool = False) -> str:
        """Answer a one-time sign-in link for a person."""
        issued = self.installation.store.write(
            lambda tx: credentials.issue(
                tx,
                principal=Principal(kind=PrincipalKind.PERSON, id=address),
                valid_for=credentials.LINK_VALID_FOR,
                once=True,
                administrator=administrator,
            )
        )
        return f"{self.url}/sign-in/{issued.secret}"

    def run(self, ready: Callable[[Serving], None]) -> None:
        """Serve until the process is told to stop; ``ready`` is called once requests are answered."""
        crew = Crew(self.installation, url=self.url)
        stream = Stream(self.installation)
        secure = self.url.startswith("https://")
        app = create_app(
            crew, console=lambda: console_routes(crew, secure=secure), stream=stream, ways=self.ways
        )
        with_many_files()
        with_short_stops()
        server = Server(configured(app), started=lambda: ready(self), stopping=stream.close)
        server.run(sockets=[self._listener])


def configured(app: ASGIApp, *, keep_alive_s: int = KEEP_ALIVE_S) -> uvicorn.Config:
    """Answer how an application is served: what is bounded, and by how much."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=keep_alive_s,
        limit_concurrency=MAX_CONNECTIONS,
    )


def with_many_files() -> None:
    """Let this process have as many files open as its connections need, where the machine lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(MAX_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def with_short_stops() -> None:
    """Have this process stop for shorter times, from now on: what was loaded so far is no garbage and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)
    sys.setswitchinterval(TURN_S)


class Server(uvicorn.Server):
    """Says when it answers requests, and before it waits for those that are open."""

    def __init__(
        self, config: uvicorn.Config, *, started: Callable[[], None], stopping: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._started = started
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()  # open streams would be waited for until the grace is over
        await super().shutdown(sockets=sockets)


@contextlib.contextmanager
def prepared(
    folder: str | Path,
    *,
    database: str | None = None,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    public_url: str | None = None,
    blobs: str | None = None,
    systems: Mapping[str, System] | None = None,
    ways: Ways | None = None,
    outlet: Outlet | None = None,
    anchors: Anchors | None = None,
    hooks: MakesHooks | None = None,
) -> Iterator[Serving]:
    """Open the folder and the port, and give both back afterwards.

    Raises ``Conflict`` when another process has the folder or the port, ``Unavailable`` when the address cannot be used,
    ``Invalid`` for what is no address.
    """
    if public_url is not None:
        _check_public_url(public_url)
    listener = _listen(host, port)
    try:
        with Installation.open(
            folder,
            database=database,
            blobs=blobs,
            systems=systems,
            outlet=outlet,
            anchors=anchors,
            hooks=hooks,
        ) as installation:
            bound = listener.getsockname()[1]
            shown = f"[{host}]" if ":" in host else host
            yield Serving(installation, listener, (public_url or f"http://{shown}:{bound}").rstrip("/"), ways)
    finally:
        listener.close()


def _check_public_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise Invalid(
            f"{url!r} is not the address of a server",
            hint="It looks like https://stopwork.example",
            field="public_url",
        )


def _listen(host: str, port: int) -> socket.socket:
    if not host:  # to a socket this means every interface, which nobody says by leaving something out
        raise Invalid("no host is given", hint="127.0.0.1 is this machine, 0.0.0.0 all of it.", field="host")
    if not 0 <= port <= 65535:
        raise Invalid(f"{port} is no port", hint="Use 0 to 65535; 0 takes a free one.", field="port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"port {port} on {host} is taken",
                hint="Stop what runs there, or choose another: --port 0 takes a free one.",
                port=port,
            ) from error
        raise Unavailable(
            f"the address {host}:{port} cannot be used: {error.strerror}",
            hint="Choose another --host or --port.",
        ) from error
    listener.setblocking(False)
    return listener


def serve(folder: str | Path, *, ready: Callable[[Serving], None], **options: Any) -> None:
    """Run a server on ``folder`` until it is told to stop; see :func:`prepared` for the options."""
    with prepared(folder, **options) as serving:
        serving.run(ready)
