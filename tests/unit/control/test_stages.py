"""Contract of stages: up one rung at a time, down any number, and a sample that asking again does not change."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stopwork.control import stages
from stopwork.kernel.errors import Conflict
from stopwork.ledger.words import EffectKind, Stage, Verdict


def test_a_stage_is_named_as_people_call_it() -> None:
    assert stages.named(Stage.DRAFT_ONLY) == "draft only"
    assert not [stage for stage in Stage if "_" in stages.named(stage)]


def test_reading_is_free_in_every_stage() -> None:
    assert {stages.answer(stage, EffectKind.READ) for stage in Stage} == {Verdict.ALLOW}


def test_the_ladder_goes_from_reading_only_to_normal() -> None:
    assert stages.LADDER == (
        Stage.READ_ONLY,
        Stage.DRAFT_ONLY,
        Stage.APPROVED_WRITES,
        Stage.LIMITED,
        Stage.NORMAL,
    )
    assert [(stages.above(low), stages.below(high)) for low, high in pairwise(stages.LADDER)] == [
        (high, low) for low, high in pairwise(stages.LADDER)
    ]
    assert stages.above(Stage.NORMAL) is None
    assert stages.below(Stage.READ_ONLY) is None


@pytest.mark.parametrize(("before", "after"), list(product(Stage, Stage)))
def test_a_move_is_one_up_or_any_number_down(before: Stage, after: Stage) -> None:
    steps = stages.LADDER.index(after) - stages.LADDER.index(before)
    if steps == 1 or steps < 0:
        stages.check_move(before, after)
    else:
        with pytest.raises(Conflict):
            stages.check_move(before, after)
    assert stages.goes_up(before, after) is (steps > 0)


def test_a_jump_is_told_the_next_rung() -> None:
    with pytest.raises(Conflict, match="the next is draft_only"):
        stages.check_move(Stage.READ_ONLY, Stage.NORMAL)


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_sample_holds_every_smaller_one(key: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert not stages.sampled(key, small) or stages.sampled(key, large)
    assert stages.sampled(key, 1.0)
    assert not stages.sampled(key, 0.0)


def test_a_sample_has_about_its_share() -> None:
    taken = sum(stages.sampled(f"key-{number}", 0.2) for number in range(10_000))
    assert 1_800 < taken < 2_200
