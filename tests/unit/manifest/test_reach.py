"""How far each declared effect reaches: a table of what a call may be seen to do without a finding."""

from __future__ import annotations

import pytest

from stopwork.ledger.records import ObjectRef
from stopwork.ledger.words import EffectKind, Operation
from stopwork.manifest.reach import goes_further
from stopwork.manifest.tools import Tool

NAMED = ObjectRef(system="crm", type="task", id="7")
OTHER = ObjectRef(system="crm", type="task", id="8")
C, M, D = Operation.CREATED, Operation.MODIFIED, Operation.DELETED

#: Declared effect: what it may do to an object that is not named, and to the one that is.
REACH = {
    EffectKind.READ: ("", ""),
    EffectKind.CREATE: ("C", "CM"),
    EffectKind.SEND: ("C", "CM"),
    EffectKind.UPDATE: ("CM", "CM"),
    EffectKind.PAY: ("CM", "CM"),
    EffectKind.APPROVE: ("CM", "CM"),
    EffectKind.TRIGGER: ("CM", "CM"),
    EffectKind.DELETE: ("CMD", "CMD"),
}


@pytest.mark.parametrize("declared", EffectKind)
def test_each_effect_reaches_as_far_as_it_says(declared: EffectKind) -> None:
    for changed, allowed in zip((OTHER, NAMED), REACH[declared], strict=True):
        for letter, operation in {"C": C, "M": M, "D": D}.items():
            further = goes_further(declared, operation, changed, named=NAMED, tool=None)
            assert further is (letter not in allowed), (declared, operation, changed)


@pytest.mark.parametrize("also", ["crm", "crm/task"])
def test_what_happens_as_a_matter_of_course_is_no_finding(also: str) -> None:
    tool = Tool(effect=EffectKind.CREATE, also=(also,))
    assert not goes_further(EffectKind.CREATE, D, OTHER, named=NAMED, tool=tool)
    elsewhere = ObjectRef(system="crm", type="account", id="8")
    assert goes_further(EffectKind.CREATE, D, elsewhere, named=NAMED, tool=tool) is (also != "crm")


def test_what_only_the_declaration_says_cannot_contradict_it() -> None:
    assert not goes_further(EffectKind.SEND, Operation.SENT, OTHER, named=None, tool=None)
