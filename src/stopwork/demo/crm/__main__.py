"""Run the CRM as a process of its own: ``python -m stopwork.demo.crm --database FILE --ready-file FILE``."""

from __future__ import annotations

import argparse
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import msgspec
import uvicorn
from starlette.applications import Starlette

from stopwork.demo.crm.app import crm_app
from stopwork.demo.crm.records import SEEDS
from stopwork.demo.crm.store import Store

LOOPBACK = "127.0.0.1"


def main() -> None:
    """Serve until told to stop. ``CRM_KEYS`` holds the API keys, a JSON object of key to name.

    The ready file gets the address once requests are answered.
    """
    parser = argparse.ArgumentParser(prog="python -m stopwork.demo.crm", description=main.__doc__)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--ready-file", type=Path, required=True)
    parser.add_argument(
        "--today", type=date.fromisoformat, required=True, help="the date that seeds count from"
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--slow-account", action="append", default=[], help="its tasks are answered late")
    parser.add_argument("--slow-answer-s", type=float, default=0.0)
    options = parser.parse_args()

    store = Store(options.database)
    store.seed(SEEDS, options.today)
    listener = socket.create_server((LOOPBACK, options.port))
    address = f"http://{LOOPBACK}:{listener.getsockname()[1]}"

    @asynccontextmanager
    async def report_ready(_: Starlette) -> AsyncIterator[None]:
        _write_whole(options.ready_file, address)
        yield
        store.close()

    app = crm_app(
        store,
        msgspec.json.decode(os.environ["CRM_KEYS"], type=dict[str, str]),
        slow_accounts=frozenset(options.slow_account),
        slow_answer_s=options.slow_answer_s,
        lifespan=report_ready,
    )
    config = uvicorn.Config(app, log_level="info", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])


def _write_whole(path: Path, text: str) -> None:
    # A reader that polls for the file must never see half of it.
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    main()
