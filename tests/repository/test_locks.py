"""Contract: what is installed is pinned by hash, the same in every lock, and no lock says where it comes from."""

import json
import re
import tomllib
from functools import cache

import pytest

from tests.repository.tree import ROOT

LOCKS = ("runtime.lock", "dev.lock", "bench.lock", "servers.lock")
PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^\s;]+)(?P<marker> ; [^\\]+)? \\$")
HASH = re.compile(r"^ {4}--hash=sha256:[0-9a-f]{64}(?: \\)?$")


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_pins_and_hashes_and_nothing_else(lock: str) -> None:
    lines = _read(lock).splitlines()
    assert [line for line in lines if not PIN.match(line) and not HASH.match(line)] == []
    unhashed = [
        line
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
        if PIN.match(line) and not HASH.match(after)
    ]
    assert unhashed == []


@pytest.mark.parametrize("lock", ["dev.lock", "bench.lock"])
def test_what_is_tested_and_measured_is_what_runs(lock: str) -> None:
    runtime, other = _pins("runtime.lock"), _pins(lock)
    assert {name: other.get(name) for name in runtime} == runtime


def test_every_declared_package_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["server"]]
    assert {_name(requirement) for requirement in declared} - set(_pins("runtime.lock")) == set()


def test_page_assets_are_pinned_exactly() -> None:
    wanted = json.loads((ROOT / "package.json").read_text("utf-8"))
    packages = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    for name, version in {**wanted["dependencies"], **wanted["devDependencies"]}.items():
        pinned = packages[f"node_modules/{name}"]
        assert (pinned["version"], "integrity" in pinned) == (version, True)
    assert [name for name, pinned in packages.items() if "resolved" in pinned] == []


@cache
def _read(lock: str) -> str:
    return (ROOT / "requirements" / lock).read_text("utf-8")


def _pins(lock: str) -> dict[str, set[str]]:
    pins: dict[str, set[str]] = {}
    for found in filter(None, map(PIN.match, _read(lock).splitlines())):
        pins.setdefault(found["name"], set()).add(found["version"])
    return pins


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[._-]+", "-", found[0]).lower() if found else requirement
