"""Contract: the base install is enough for the SDK and the command line; each import in the code is declared."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

from tests.repository.tree import ROOT, modules

WITHOUT_EXTRAS = """
import sys
from importlib.metadata import packages_distributions, requires
from packaging.requirements import Requirement

class OnlyTheBase:
    def __init__(self):
        self.names = {"stopwork"}
        wanted = ["stopwork"]
        while wanted:
            for line in requires(wanted.pop()) or []:
                requirement = Requirement(line)
                applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
                if applies and requirement.name not in self.names:
                    self.names.add(requirement.name)
                    wanted.append(requirement.name)
        self.owners = packages_distributions()

    def find_spec(self, name, path=None, target=None):
        owners = self.owners.get(name.partition(".")[0])
        if owners and not {owner.lower().replace("_", "-") for owner in owners} & self.names:
            raise ModuleNotFoundError(f"No module named {name!r}: the base install does not have it", name=name)

base = OnlyTheBase()
for name in list(sys.modules):
    if name.partition(".")[0] == "packaging":
        del sys.modules[name]
sys.meta_path.insert(0, base)
"""


def test_the_sdk_and_the_command_line_need_no_extra() -> None:
    done = _run("import stopwork\nstopwork.Stopwork\nimport stopwork.cli.main\n")
    assert done.returncode == 0, done.stderr


def test_this_check_would_notice_a_package_of_an_extra() -> None:
    done = _run("import sqlalchemy\n")
    assert "the base install does not have it" in done.stderr


def test_every_imported_package_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    requirements = [
        *project["dependencies"],
        *(line for extra in project["optional-dependencies"].values() for line in extra),
    ]
    declared = {_normal(re.split(r"[<>=!~; \[]", line)[0]) for line in requirements}
    owners = packages_distributions()
    undeclared = {
        (path, name)
        for path, text in modules("src/").items()
        for name in _imported(text) - sys.stdlib_module_names - {"stopwork"}
        if not {_normal(owner) for owner in owners.get(name, [])} & declared
    }
    assert undeclared == set()


def _run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_EXTRAS + code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def _imported(text: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def _normal(name: str) -> str:
    return re.sub(r"[._-]+", "-", name).lower()
