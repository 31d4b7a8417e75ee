"""A store of objects that speaks S3, in this process."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from moto.server import ThreadedMotoServer


@pytest.fixture(scope="session")
def bucket_address() -> Iterator[str]:
    """Answer the address of a server that has a bucket named checkpoints."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx.put(f"http://{host}:{port}/checkpoints").raise_for_status()
    yield f"http://{host}:{port}"
    server.stop()
