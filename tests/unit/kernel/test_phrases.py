"""Contract of the phrases: numbers and nouns agree, figures stand as people write them, lists end in "and", moments carry their zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from stopwork.kernel.phrases import (
    clause,
    count_of,
    figure,
    instant,
    lasting,
    listed,
    moment,
    money,
    sentence,
)


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "no calls"), (1, "1 call"), (2, "2 calls"), (1_200, "1,200 calls")]
)
def test_number_and_noun_agree(number: int, expected: str) -> None:
    assert count_of(number, "call") == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(2_000_000, "2000000"), (1e6, "1000000"), (0.25, "0.25"), (0.1 + 0.2, "0.3"), (-5.0, "-5"), (0, "0")],
)
def test_a_figure_stands_as_people_write_it(number: float, expected: str) -> None:
    assert figure(number) == expected


@pytest.mark.parametrize(
    ("noun", "expected"), [("entry", "2 entries"), ("key", "2 keys"), ("batch", "2 batches")]
)
def test_a_regular_plural_is_spelled_right(noun: str, expected: str) -> None:
    assert count_of(2, noun) == expected


def test_an_irregular_plural_is_given() -> None:
    assert count_of(2, "person", "people") == "2 people"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (list("abcdefgh"), "a, b, c, d and 4 more"),
    ],
)
def test_a_list_reads_as_a_sentence(words: list[str], expected: str) -> None:
    assert listed(words) == expected


@pytest.mark.parametrize(
    ("duration_s", "expected"),
    [
        (0, "less than a second"),
        (1, "1 second"),
        (45, "45 seconds"),
        (90, "1 minute 30 seconds"),
        (3_600, "1 hour"),
        (3_605, "1 hour"),
        (604_800, "7 days"),
        (90_000, "1 day 1 hour"),
    ],
)
def test_a_duration_names_its_two_largest_units(duration_s: float, expected: str) -> None:
    assert lasting(duration_s) == expected


def test_a_moment_is_told_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    assert moment(datetime(2026, 3, 2, 9, 14, tzinfo=berlin)) == "2026-03-02 08:14 UTC"


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(0, "USD 0.00"), (2.5, "USD 2.50"), (1234.5, "USD 1,234.50"), (0.0004, "USD 0.000400")],
)
def test_money_keeps_its_unit(amount: float, expected: str) -> None:
    assert money(amount) == expected


def test_a_sentence_has_a_capital_and_one_full_stop() -> None:
    assert sentence("the run failed.") == "The run failed."
    assert sentence("why did the system allow it?") == "Why did the system allow it?"
    assert sentence("dana@acme.test has not signed") == "dana@acme.test has not signed."
    assert sentence("") == ""


def test_a_name_at_the_beginning_is_not_changed() -> None:
    assert sentence("crm.create_task ran twice") == "crm.create_task ran twice."
    assert sentence("tool crm.create_task") == "Tool crm.create_task."


def test_a_sentence_becomes_part_of_another() -> None:
    assert clause("No run reported its prompt.") == "no run reported its prompt"
    assert clause("A guard is silent.") == "a guard is silent"
    assert clause("CRM was not asked.") == "CRM was not asked"
    assert clause("crm.send failed") == "crm.send failed"
    assert clause("") == ""


def test_an_instant_is_told_to_the_second() -> None:
    assert instant(datetime(2026, 3, 2, 8, 14, 5, tzinfo=UTC)) == "2026-03-02 08:14:05 UTC"
