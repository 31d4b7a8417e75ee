"""Contract of the guide: its manifest is valid, and its Python runs as it stands, from the first block to the last."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[3] / "docs/how-to/guard-an-agent.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_guide_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [manifest] = blocks("yaml")
    monkeypatch.chdir(tmp_path)
    Path("stopwork.yaml").write_text(manifest, encoding="utf-8")
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, GUIDE.name, "exec"), names)
    assert "waits for an answer" in capsys.readouterr().out
