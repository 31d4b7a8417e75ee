"""A server that is killed while a hook runs: what was begun is in doubt, its probe is asked first, and it takes effect exactly once."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stopwork.hooks.settings import load_hooks
from stopwork.kernel.clock import ManualClock
from stopwork.ledger.records import ContainmentItem
from stopwork.ledger.words import ContainmentState
from stopwork.operations import hooking
from stopwork.operations.installation import Installation
from stopwork.storage.fsck import fsck
from tests.support.containing import Scene
from tests.support.databases import DATABASES, POSTGRESQL
from tests.support.doomed import doomed
from tests.support.office import LEE, START

ENDS_WITHIN_S = 30


def killing(folder: Path, *, when: str) -> dict[str, Any]:
    """Answer a hook that writes down each time it takes effect, and kills its server once, ``before`` that or ``after``."""
    kill = (
        f"mark = pathlib.Path({str(folder / 'killed')!r})\n"
        "if not mark.exists():\n"
        "    mark.touch(); os.kill(os.getppid(), 9); sys.exit(0)\n"
    )
    act = f"open({str(folder / 'revoked')!r}, 'a').write('once ')\n"
    text = "import os, pathlib, sys\n" + (kill + act if when == "before" else act + kill)
    looks = f"import os, sys; sys.exit(0 if os.path.exists({str(folder / 'revoked')!r}) else 1)"
    return {
        "revoke": {
            "kind": "command",
            "serves": {"areas": ["secrets"]},
            "argv": [sys.executable, "-c", text],
            "timeout": "10s",
            "probe": {"kind": "command", "argv": [sys.executable, "-c", looks]},
        }
    }


def opened(folder: Path, database: str | None, hooks: dict[str, Any], **later: float) -> Installation:
    return Installation.open(
        folder / "office",
        database=database,
        hooks=load_hooks(hooks, env={}, folder=folder),
        clock=ManualClock(START + timedelta(**later)),
    )


def run_and_die(folder: Path, database: str | None, hooks: dict[str, Any], item: str) -> None:
    with opened(folder, database, hooks, minutes=1) as installation:
        hooking.run(installation, LEE, item=item)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", DATABASES)
def test_it_takes_effect_once(kind: str, when: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    database = request.getfixturevalue("postgres").empty_database() if kind == POSTGRESQL else None
    hooks = killing(tmp_path, when=when)
    scene = Scene(tmp_path, hooks, database=database)
    item = scene.item().id
    scene.office.close()
    with doomed(run_and_die, tmp_path, database, hooks, item) as server:
        server.join(ENDS_WITHIN_S)
        assert server.exitcode == -9

    # Whoever has a file alone knows at once that nobody runs it; of servers that share a database, another one might.
    later = {"minutes": 2.0} if database else {"minutes": 1.0}
    with opened(tmp_path, database, hooks, **later) as installation:

        def known() -> ContainmentItem:
            return installation.store.read(lambda view: view.need(ContainmentItem, item))

        assert known().places[0].tries == 1
        hooking.keep_watch(installation)
        assert known().state is ContainmentState.IN_DOUBT
        assert hooking.run(installation, LEE, item=item).state is ContainmentState.DONE
        assert (tmp_path / "revoked").read_text() == "once "
        assert fsck(installation.store).clean
