"""Contract of the verifier in a bundle: taken out of it, it answers as the installed one does, and rests on the standard library alone."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stopwork.ledger.offline import standalone
from stopwork.ledger.verify import main, verify_bundle
from tests.unit.ledger.evidence import (
    SIGNER,
    good_bundle,
    unpacked,
    written,
)

# --- alone -----------------------------------------------------------------------------------------


@pytest.fixture
def alone(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the verifier as it is taken out of a bundle: no installed package, no environment."""
    verifier = tmp_path / "verify.py"
    verifier.write_bytes(unpacked(good_bundle())["verify.py"])

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-S", str(verifier), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env={}, check=False, timeout=60)

    return run


def test_the_verifier_runs_alone(tmp_path: Path, alone: Callable[..., Any]) -> None:
    path = written(tmp_path, good_bundle())
    ran = alone(str(path), "--key", SIGNER.vkey)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == verify_bundle(path, [SIGNER.vkey]).as_text()


def test_the_verifier_answers_json(tmp_path: Path, alone: Callable[..., Any]) -> None:
    path = written(tmp_path, good_bundle()[:-1])
    ran = alone(str(path), "--json")
    assert (ran.returncode, ran.stderr) == (1, "")
    assert json.loads(ran.stdout) == json.loads(json.dumps(verify_bundle(path).as_json()))
    assert json.loads(ran.stdout)["outcome"] == "tampered"


def test_the_verifier_says_what_it_cannot_read(tmp_path: Path, alone: Callable[..., Any]) -> None:
    ran = alone(str(tmp_path / "none.zip"))
    assert (ran.returncode, ran.stderr) == (2, "")
    assert "cannot be read: No such file or directory" in ran.stdout


def test_the_verifier_refuses_what_is_not_a_key(tmp_path: Path, alone: Callable[..., Any]) -> None:
    ran = alone(str(written(tmp_path, good_bundle())), "--key", "nonsense")
    assert ran.returncode == 2
    assert "--key: a key is written name+8 hex digits+base64" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_verifier_rests_on_the_standard_library_alone() -> None:
    imported = set(re.findall(r"^(?:from|import) (\w+)", standalone(), re.MULTILINE))
    assert imported <= sys.stdlib_module_names
    ast.parse(standalone(), feature_version=(3, 9))


def test_no_part_of_the_verifier_takes_the_name_of_another() -> None:
    names = [name for part in ast.parse(standalone()).body for name in defined_by(part)]
    assert len(names) > 60
    assert sorted(names) == sorted(set(names))


def defined_by(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef() | ast.ClassDef():
            return [statement.name]
        case ast.Assign():
            stored = [node for target in statement.targets for node in ast.walk(target)]
            return [node.id for node in stored if isinstance(node, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def test_the_command_prints_and_answers_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(written(tmp_path, good_bundle()))]) == 0
    assert capsys.readouterr().out.startswith("VERIFIED\n")
    assert main([str(written(tmp_path, good_bundle()[:-1]))]) == 1
    assert main([str(tmp_path)]) == 2
