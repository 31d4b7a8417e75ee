"""The manifest's words for a situation reach the systems: a copy is closed, marked or merged as ``recovery`` says, and the undo of that can be undone."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from stopwork.ledger.records import Item
from stopwork.ledger.words import ItemState, Remedy
from stopwork.operations import planning
from tests.support.office import LEE, MANIFEST, Office
from tests.support.trouble import Trouble

BY_FIELD = """\
recovery:
  duplicate_records: {word}
  remedies:
    - remedy: close
      type: task
      set: {{status: "'closed'", note: "'made again by ' + tool + ' in ' + run.trigger_id"}}
    - remedy: mark
      set: {{duplicate_of: original.id, was_for: args.account_id}}
"""


def ended(office: Office) -> tuple[Item, dict[str, dict[str, Any]]]:
    """Let the copy be put right as proposed, and answer its item and the tasks."""
    trouble = Trouble(office)
    plan = trouble.approved_plan_as_proposed()
    trouble.recover(plan)
    return trouble.items(plan)["task-2"], copy.deepcopy(office.crm.tasks)


@pytest.mark.parametrize(
    ("word", "remedy", "more"),
    [
        ("close", Remedy.CLOSE, {"status": "closed", "note": "made again by crm.create_task in monday"}),
        ("mark", Remedy.MARK, {"duplicate_of": "task-1", "was_for": "acme"}),
    ],
)
def test_a_copy_is_put_right_by_fields(
    tmp_path: Path, word: str, remedy: Remedy, more: dict[str, str]
) -> None:
    with Office(tmp_path / "data", manifest=MANIFEST + BY_FIELD.format(word=word)) as office:
        item, tasks = ended(office)
        assert (item.remedy, item.state, str(item.copy_of)) == (remedy, ItemState.VERIFIED, "crm/task/task-1")
        assert tasks["task-2"] == tasks["task-1"] | more


def test_a_copy_is_merged_and_the_merge_is_taken_back(tmp_path: Path) -> None:
    with Office(tmp_path / "data", manifest=MANIFEST + BY_FIELD.format(word="merge")) as office:
        trouble = Trouble(office)
        before = copy.deepcopy((office.crm.tasks, office.crm.accounts))
        plan = trouble.approved_plan_as_proposed()
        trouble.recover(plan)
        assert set(office.crm.tasks) == {"task-1"}, "the copy holds nothing more, so it just goes"
        back = trouble.reversal(plan.id)
        trouble.recover(trouble.approve(back))
        assert (office.crm.tasks, office.crm.accounts) == before


def test_a_copy_that_is_chosen_alone_has_its_original(tmp_path: Path) -> None:
    with Office(tmp_path / "data", manifest=MANIFEST + BY_FIELD.format(word="mark")) as office:
        trouble = Trouble(office)
        trouble.seal()
        trouble.audit()
        plan = planning.plan(office.inst, LEE, incident=trouble.incident, calls=[trouble.tasks[1].call])
        [item] = trouble.items(plan).values()
        assert (str(item.copy_of), item.changes["duplicate_of"][1]) == ("crm/task/task-1", "task-1")


def test_what_cannot_be_worked_out_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    broken = BY_FIELD.format(word="mark").replace("args.account_id", "args.nothing")
    with Office(tmp_path / "data", manifest=MANIFEST + broken) as office:
        item, tasks = ended(office)
        assert (item.remedy, item.state) == (Remedy.TELL, ItemState.ACCEPTED)
        assert 'there is no "nothing"' in item.preview
        assert "task-2" in tasks
