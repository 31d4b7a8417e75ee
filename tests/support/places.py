"""Places that keep checkpoints, each small and real: a web server that remembers what it was sent, and a witness (C2SP) behind one."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stopwork.kernel.errors import Tampered
from stopwork.ledger.merkle import EMPTY_ROOT, verify_consistency
from stopwork.ledger.notes import Checkpoint, read_checkpoint, verify
from stopwork.ledger.offline.signed import Key, cosigned_message


class Sent(NamedTuple):
    """One request as the place got it."""

    path: str
    headers: dict[str, str]
    body: bytes


class Said(NamedTuple):
    """What the place answers."""

    status: int
    body: bytes = b""
    media_type: str = "text/plain"


class Place:
    """A web server of one thread, which answers every POST as ``answer`` says and remembers it."""

    def __init__(self, answer: Callable[[Sent], Said]) -> None:
        self.answer = answer
        self.sent: list[Sent] = []
        place = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                place.sent.append(Sent(self.path, headers, body))
                said = place.answer(place.sent[-1])
                self.send_response(said.status)
                self.send_header("content-type", said.media_type)
                self.send_header("content-length", str(len(said.body)))
                self.end_headers()
                self.wfile.write(said.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Witness:
    """Cosigns checkpoints of one log, as the protocol has it: a newer one only with a proof that it grew from the last."""

    def __init__(self, log_vkey: str, *, now_s: int) -> None:
        self._log_vkey, self._now_s = log_vkey, now_s
        self._private = Ed25519PrivateKey.generate()
        self.key = Key("witness.acme.test", self._private.public_key().public_bytes_raw(), b"\x04")
        self.seen = Checkpoint("", 0, EMPTY_ROOT)

    def answer(self, sent: Sent) -> Said:
        head, _, note = sent.body.decode().partition("\n\n")
        old, *proof = head.split("\n")
        earlier = int(old.removeprefix("old "))
        origin = note.partition("\n")[0]
        if origin != self._log_vkey.partition("+")[0]:
            return Said(404)
        try:
            text = verify(note, [self._log_vkey])
        except Tampered:
            return Said(403)
        found = read_checkpoint(text)
        if earlier > found.size:
            return Said(400)
        if earlier != self.seen.size:
            return Said(409, f"{self.seen.size}\n".encode(), "text/x.tlog.size")
        nodes = [base64.b64decode(line) for line in proof]
        if not verify_consistency(earlier, found.size, self.seen.root, found.root, nodes):
            return Said(422)
        self.seen = found
        return Said(200, self.cosignature(text).encode())

    def cosignature(self, text: str) -> str:
        signature = self._private.sign(cosigned_message(text, self._now_s))
        blob = self.key.id + self._now_s.to_bytes(8, "big") + signature
        return f"— {self.key.name} {base64.b64encode(blob).decode()}\n"
