"""The how-to for recovery plans says what is so: its manifest and its systems file load, its rule is one, and it names all that a rule may name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stopwork.incidents.choosing import choose
from stopwork.ledger.words import RecoverySituation
from stopwork.manifest.load import load
from stopwork.manifest.model import Recovery
from stopwork.manifest.uses import Use
from stopwork.systems.load import read_systems_file

TEXT = (Path(__file__).parents[3] / "docs/how-to/plan-a-recovery.md").read_text("utf-8")
SYSTEMS, MANIFEST = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


def test_the_manifest_loads_and_says_how_each_remedy_is_done() -> None:
    recovery = load(MANIFEST).manifest.recovery
    assert {rule.remedy.value for rule in recovery.remedies} == {
        "mark",
        "close",
        "reassign",
        "resend",
        "regenerate",
    }


def test_the_systems_file_loads(tmp_path: Path) -> None:
    (tmp_path / "systems.yaml").write_text(SYSTEMS, "utf-8")
    found = read_systems_file(tmp_path / "systems.yaml", env={"CRM_DATABASE": str(tmp_path / "crm.db")})
    assert set(found) == {"crm"}


@pytest.mark.parametrize("name", sorted(Use.ITEMS.names))
def test_what_a_rule_may_name_is_told(name: str) -> None:
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize(
    "situation", [name for name in Recovery.__struct_fields__ if name in set(RecoverySituation)]
)
def test_every_situation_with_a_remedy_is_told(situation: str) -> None:
    assert f"`{situation}`" in TEXT


def test_the_rule_is_one() -> None:
    [rule] = re.findall(r'--where "(.*?)" --note', TEXT)
    assert choose([], rule) == ()
