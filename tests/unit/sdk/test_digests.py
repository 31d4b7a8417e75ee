"""Contract of the digests: a tool's is the same in every process, changes with what a model is told of the tool, and with nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stopwork.kernel.canonical import digest
from stopwork.ledger.records import Run
from stopwork.sdk import Stopwork
from stopwork.sdk.digests import prompt_digest, tool_digest
from stopwork.sdk.embedded import LocalDesk
from tests.support.office import MANIFEST


def task(account_id: str, title: str = "Call", *, client: object = None) -> dict[str, Any]:
    """Create a task."""
    return {"id": account_id + title}


def _same(account_id: str, title: str = "Call", *, client: object = None) -> dict[str, Any]:
    """Create a task."""
    return {}


def _another_type(account_id: int, title: str = "Call", *, client: object = None) -> dict[str, Any]:
    """Create a task."""
    return {}


def _another_default(account_id: str, title: str = "Write", *, client: object = None) -> dict[str, Any]:
    """Create a task."""
    return {}


def _another_doc(account_id: str, title: str = "Call", *, client: object = None) -> dict[str, Any]:
    """Create a task, even when there is one."""
    return {}


def _one_more(
    account_id: str, title: str = "Call", due: str = "", *, client: object = None
) -> dict[str, Any]:
    """Create a task."""
    return {}


def _another_client(account_id: str, title: str = "Call", *, client: int = 3) -> dict[str, Any]:
    """Create a task."""
    return {}


def of(function: Callable[..., Any], name: str = "crm.create_task") -> str:
    return tool_digest(name, function, leave_out=("client",))


@pytest.mark.parametrize("function", [_same, _another_client], ids=["other code", "what is left out"])
def test_what_no_model_is_told_changes_nothing(function: Callable[..., Any]) -> None:
    assert of(function) == of(task)


@pytest.mark.parametrize("function", [_another_type, _another_default, _another_doc, _one_more])
def test_what_a_model_is_told_changes_it(function: Callable[..., Any]) -> None:
    assert of(function) != of(task)


def test_another_name_changes_it() -> None:
    assert of(task, "crm.task") != of(task)


def test_it_is_the_same_in_another_process() -> None:
    def tool(first: str, second: object = object()) -> list[str]:
        """Do it."""
        return [first]

    code = (
        "from stopwork.sdk.digests import tool_digest\n"
        "def tool(first: 'str', second: 'object' = object()) -> 'list[str]':\n    'Do it.'\n"
        "print(tool_digest('t', tool))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == tool_digest("t", tool)


def test_a_prompt_s_digest_is_that_of_its_text() -> None:
    assert prompt_digest("Prepare the renewals.") == digest(b"Prepare the renewals.")


def test_a_run_says_which_tools_are_guarded_and_the_server_by_which_rules(tmp_path: Path) -> None:
    manifest = tmp_path / "stopwork.yaml"
    manifest.write_text(MANIFEST)
    with Stopwork.embedded(tmp_path / "records", manifest=manifest) as guard:
        guard.tool("crm.create_task")(task)
        with guard.run("renewals", runtime={"model": "none"}) as run:
            pass
        desk = guard.desk
        assert isinstance(desk, LocalDesk)
        known = desk.installation.store.read(lambda view: view.need(Run, run.id))
    assert known.runtime == {
        "model": "none",
        "tools": {"crm.create_task": tool_digest("crm.create_task", task)},
    }
    assert known.digests.keys() == {"manifest", "schedule"}
    assert known.digests["manifest"] == digest(MANIFEST.encode())
