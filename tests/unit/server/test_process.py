"""A server's process may open what its connections need, as far as the machine lets it, and stops seldom to look for garbage."""

from __future__ import annotations

import subprocess
import sys

SAID = """
import gc, resource
from stopwork.server.main import COLLECTED_AFTER, MAX_FILES, with_many_files, with_short_stops
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
for soft, limit in ((256, hard), (256, 300), (200, 300)):
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, limit))
    with_many_files()
    found = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_FILES if limit == resource.RLIM_INFINITY else min(MAX_FILES, limit)
    assert found == (most, limit), found
with_short_stops()
assert gc.isenabled() and gc.get_threshold() == COLLECTED_AFTER and gc.get_freeze_count() > 10_000
"""


def test_a_process_is_made_ready_to_serve() -> None:
    said = subprocess.run(
        [sys.executable, "-c", SAID], capture_output=True, text=True, check=False, timeout=60
    )
    assert said.returncode == 0, said.stderr
