"""Contract: the build hook brings exactly the pinned page assets, notices when one is not right, and says why it fails."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hatch_build
from tests.repository.tree import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what the hook reads, and the assets of this checkout in it."""
    for name in (*hatch_build.NPM_INPUTS, "hatch_build.py"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / hatch_build.VENDOR, tmp_path / hatch_build.VENDOR)
    return tmp_path


def test_the_installed_assets_are_the_pinned_ones() -> None:
    assert hatch_build.is_current(ROOT)


@pytest.mark.parametrize("name", [name for files in hatch_build.SERVED.values() for name in files])
def test_a_changed_or_missing_file_is_noticed(checkout: Path, name: str) -> None:
    asset = checkout / hatch_build.VENDOR / name
    asset.write_bytes(asset.read_bytes() + b" ")
    assert not hatch_build.is_current(checkout)
    asset.unlink()
    assert not hatch_build.is_current(checkout)


def test_another_pinned_version_is_noticed(checkout: Path) -> None:
    lock = json.loads((checkout / "package-lock.json").read_text("utf-8"))
    lock["packages"]["node_modules/uplot"]["version"] = "0.0.1"
    (checkout / "package-lock.json").write_text(json.dumps(lock), "utf-8")
    assert not hatch_build.is_current(checkout)


def test_a_folder_without_a_stamp_is_not_current(tmp_path: Path) -> None:
    assert not hatch_build.is_current(tmp_path)


def test_an_unreachable_registry_is_said_and_leaves_no_stamp(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_cache", str(checkout / "empty-cache"))
    code = "import hatch_build, pathlib; hatch_build.bring(pathlib.Path())"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "could not bring the page assets" in done.stderr
    assert "Check that this machine reaches the npm registry" in done.stderr
    assert not hatch_build.is_current(checkout)
