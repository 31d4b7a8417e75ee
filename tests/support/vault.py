"""A place that keeps tokens, over HTTP: revoked on request, or only said to be; slow, broken or talkative where a story asks for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Vault:
    """``active`` are the tokens that still open something; ``asked`` is every request: method, path, headers, body."""

    def __init__(self) -> None:
        self.active = {"crm-integration", "mail-key"}
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.lies = False
        self.status = self.probe_status = 200
        self.says = '{"done": true}'
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.url = ""

    def paths(self, method: str) -> list[str]:
        """Answer what was asked by this method, oldest first."""
        return [path for how, path, *_ in self.asked if how == method]

    def handle(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        self.asked.append((method, path, headers, body))
        token = path.split("/")[2] if path.startswith("/tokens/") else ""
        if method == "GET":
            return self.probe_status, json.dumps({"token": {"active": token in self.active}})
        if not self.lies and self.status == 200:
            self.active.discard(token)
        self.may_answer.wait(10)
        return self.status, self.says


@contextmanager
def vault() -> Iterator[Vault]:
    """Serve a vault for as long as the block lasts."""
    kept = Vault()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, text = kept.handle(self.command, self.path, headers, self.rfile.read(size))
            content = text.encode()
            try:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except BrokenPipeError:
                pass  # whoever asked did not wait

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names that the base class looks for

        def log_message(self, *_args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kept.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        kept.may_answer.set()
        server.shutdown()
        server.server_close()
