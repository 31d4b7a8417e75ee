"""What is said to be held is what the holds cover, and never more."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stopwork.ledger import records as r
from stopwork.ledger.words import HoldMode, PrincipalKind, ScopeKind
from stopwork.manifest.load import load
from stopwork.server.pages.held import enforced, goes_on, held, pausing

MANIFEST = load(b"""
workflow: renewals
title: Renewals
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
tools:
  crm.list: {effect: read, permission: crm.read}
  crm.update: {effect: update, permission: crm.write}
  crm.create: {effect: create, permission: crm.write}
""").manifest


def hold(kind: ScopeKind, name: str = "", mode: HoldMode = HoldMode.BLOCK) -> r.Hold:
    return r.Hold(
        id="hold_1",
        scope=r.Scope(kind=kind, name=name),
        mode=mode,
        reason="it repeats itself",
        set_by=r.Principal(kind=PrincipalKind.PERSON, id="lee@acme.test"),
        set_at=datetime(2026, 3, 2, 8, tzinfo=UTC),
        epoch=1,
    )


TOOL = hold(ScopeKind.TOOL, "crm.create")

CASES = {
    "one tool": ([TOOL], "Held: tool crm.create", "crm.list and crm.update may still run"),
    "a tool twice": ([TOOL, TOOL], "Held: tool crm.create", "crm.list and crm.update may still run"),
    "a permission": (
        [hold(ScopeKind.PERMISSION, "crm.write")],
        "Held: permission crm.write",
        "crm.list may still run",
    ),
    "all but reading": (
        [hold(ScopeKind.WORKFLOW, "renewals", HoldMode.READ_ONLY)],
        "Held: all of renewals but reading",
        "crm.list may still run",
    ),
    "the workflow": (
        [TOOL, hold(ScopeKind.WORKFLOW, "renewals")],
        "Paused",
        "nothing of this workflow runs",
    ),
    "everything": ([hold(ScopeKind.EVERYTHING)], "Paused", "nothing of this workflow runs"),
    "a trigger, of which a tool's name tells nothing": (
        [hold(ScopeKind.TRIGGER, "schedule")],
        "Held: runs started by schedule",
        "",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_held_and_what_goes_on(case: str) -> None:
    holds, said, left = CASES[case]
    assert held(holds) == said
    assert goes_on(holds, MANIFEST) == left


def test_what_is_about_to_be_held_is_not_called_held() -> None:
    assert pausing([TOOL]) == "Pausing tool crm.create"
    assert pausing([hold(ScopeKind.EVERYTHING)]) == "Pausing"


def test_what_may_still_run_under_a_hold_that_lets_nothing_more_begin_is_not_called_pausing_nor_paused() -> (
    None
):
    assert enforced([TOOL]) == "Enforced on tool crm.create"
    assert enforced([hold(ScopeKind.EVERYTHING)]) == "Enforced"


def test_nothing_held_leaves_nothing_to_say() -> None:
    assert goes_on([], MANIFEST) == ""
