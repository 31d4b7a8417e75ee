"""The repository as the tests of its rules see it: its files, without what machines made."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MADE_BY_MACHINES = {"__pycache__", "build", "dist", "node_modules", "vendor"}
HIDDEN_BUT_OURS = {".ci", ".npmrc", ".gitignore", ".editorconfig"}
NOT_TEXT = {".png", ".ico", ".woff2", ".zip", ".db", ".pyc", ".so"}


@cache
def text_files() -> dict[str, str]:
    """Every text file of the repository: path from the root, with forward slashes, and content."""
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in _walk()}


def modules(under: str) -> dict[str, str]:
    """The Python files below a folder."""
    return {
        name: text for name, text in text_files().items() if name.startswith(under) and name.endswith(".py")
    }


def _walk() -> Iterator[Path]:
    for folder, folders, files in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name not in MADE_BY_MACHINES and _is_ours(name))
        yield from (
            Path(folder, name) for name in files if _is_ours(name) and Path(name).suffix not in NOT_TEXT
        )


def _is_ours(name: str) -> bool:
    return not name.startswith(".") or name in HIDDEN_BUT_OURS
