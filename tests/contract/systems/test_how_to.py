"""The systems file on the page *Write a system* loads as it stands there."""

from __future__ import annotations

from pathlib import Path

from stopwork.systems.base import invoking, restoring
from stopwork.systems.load import read_systems_file
from tests.contract.systems.tracker import snippet


def test_the_systems_file_of_the_page_loads(tmp_path: Path) -> None:
    (tmp_path / "tracker.py").write_text(snippet("python"), encoding="utf-8")
    (tmp_path / "calendar_tools.py").write_text("def invoke(tool, args): ...\n", encoding="utf-8")
    (tmp_path / "systems.yaml").write_text(snippet("yaml"), encoding="utf-8")
    env = {"TRACKER_KEY": "key", "DESK_AUTH": "Bearer key", "BILLING_URL": f"sqlite:///{tmp_path}/billing.db"}
    systems = read_systems_file(tmp_path / "systems.yaml", env=env)
    assert restoring(systems) == {"tracker", "billing", "reports", "desk", "calendar"}
    assert invoking(systems) == {"calendar"}
    assert systems["tracker"].scans


def test_the_example_is_short() -> None:
    assert len(snippet("python").splitlines()) < 60
