"""A ticket tracker over HTTP that keeps versions, the how-to's system for it, taken from the page itself, and a map of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import unquote

from stopwork.systems.base import System
from stopwork.systems.http import Call, HttpSystem, Listing, Resource
from stopwork.systems.python import PythonSystem

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "write-a-system.md"


def snippet(language: str) -> str:
    """Answer the page's first block in this language."""
    block, *_ = re.findall(
        rf"^```{language}\n(.*?)^```$", HOW_TO.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return str(block)


def by_the_how_to(url: str) -> System:
    """The adapter of the page."""
    names: dict[str, Any] = {}
    exec(compile(snippet("python"), HOW_TO, "exec"), names)
    tracker = names["Tracker"](url, "key")
    return PythonSystem("desk", tracker.read, tracker.write, tracker.scan)


def by_a_map(url: str) -> System:
    """The same place, described instead of programmed."""
    put = Call(method="PUT", path="/ticket/{id}", body="{content}")
    ticket = Resource(
        read="/ticket/{id}",
        create=put,
        update=put,
        delete=Call(method="DELETE", path="/ticket/{id}"),
        list=Listing(path="/tickets"),
    )
    return HttpSystem("desk", url, {"ticket": ticket}, scan=True)


class TrackerWorld:
    def __init__(self, make: Callable[[str], System]) -> None:
        self._tickets: dict[str, Any] = {}
        self._versions: dict[str, int] = {}
        self._lock = Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.system = make(f"http://127.0.0.1:{self._server.server_port}")

    def look(self, object_id: str) -> Any:
        return self._tickets.get(object_id)

    def change(self, object_id: str, content: Any) -> None:
        self._versions[object_id] = self._versions.get(object_id, 0) + 1
        if content is None:
            self._tickets.pop(object_id, None)
        else:
            self._tickets[object_id] = content

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any, str]:
        """Answer status, content and version, as a tracker does that compares versions before it changes anything."""
        object_id = unquote(path.removeprefix("/ticket").removeprefix("/"))
        with self._lock:
            if method == "GET" and path == "/ticket":
                return 200, self._tickets, ""
            if path == "/tickets":
                return 200, list(self._tickets.values()), ""
            found, version = self._tickets.get(object_id), str(self._versions.get(object_id, 0))
            if method == "GET":
                return (404, None, "") if found is None else (200, found, version)
            fits = headers.get("If-Match") == version if found is not None else "If-None-Match" in headers
            if not fits:
                return 412, None, ""
            self.change(object_id, json.loads(body) if method == "PUT" else None)
            return 200, None, ""

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        world = self

        class Handler(BaseHTTPRequestHandler):
            def _respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, content, version = world.answer(self.command, self.path, self.headers, body)
                text = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.send_header("ETag", version)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_DELETE = _respond  # noqa: N815 - the names that the server looks for

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler
