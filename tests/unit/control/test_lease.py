"""Contract of the read lease: what is free is what every decision would allow, and a lease ends when its holder's clock says so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stopwork.control import grants
from stopwork.control.budget import Usage
from stopwork.control.decide import decide
from stopwork.control.lease import Lease
from stopwork.control.protocol import ReadLease
from stopwork.ledger.words import HoldMode, Mode, ScopeKind, Stage, Verdict
from stopwork.manifest.compiled import CompiledManifest
from tests.unit.control.world import MANIFEST, NOW, compiled, controls, hold, request, run, workflow

#: What comes from the inbox may be acted on before it is on record.
RULES = compiled(MANIFEST + "alerts: {prompt_injection: {enabled: false}}\n")
PLAIN = ("crm.read", "inbox.read")

BOUNDED = """
workflow: renewals
owners: {business: dana@acme.test, technical: lee@acme.test}
sources: {inbox: {trust: external}}
budget: {day_calls: 100, run_calls: 5}
tools:
  plain: {effect: read}
  conditional: {effect: read, deny_when: "args.n > 3"}
  asked: {effect: read, gate: {when: "true", approvers: [business]}}
  shaped: {effect: read, args_schema: {type: object}}
  blocked: {effect: read, risk: blocked}
  abroad: {effect: read, destination: args.host}
  mail: {effect: read, source: inbox}
  web: {effect: read, external: true}
  write: {effect: update}
"""


def free(
    rules: CompiledManifest = RULES, *held: Any, usage: Usage | None = None, **changes: Any
) -> tuple[str, ...]:
    return grants.free(rules, workflow(**changes), held, usage or Usage(), NOW)


def test_plain_reads_are_free_and_nothing_else() -> None:
    assert free() == PLAIN
    assert free(compiled(BOUNDED)) == ("plain",)


def test_what_is_read_from_outside_is_asked_for_so_that_it_is_on_record_before_the_next_call() -> None:
    off = BOUNDED + "alerts: {prompt_injection: {enabled: false}}\n"
    assert free(compiled(off)) == ("plain", "mail", "web")


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("mode", Mode)
def test_no_stage_and_no_mode_takes_reads_away(stage: Stage, mode: Mode) -> None:
    assert free(stage=stage, mode=mode) == PLAIN


@pytest.mark.parametrize(
    ("held", "left"),
    [
        (hold(mode=HoldMode.BLOCK, kind=ScopeKind.WORKFLOW, name="renewals"), ()),
        (hold(mode=HoldMode.BLOCK, kind=ScopeKind.EVERYTHING, name=""), ()),
        (hold(mode=HoldMode.APPROVAL_REQUIRED, kind=ScopeKind.EVERYTHING, name=""), ()),
        (hold(mode=HoldMode.READ_ONLY, kind=ScopeKind.EVERYTHING, name=""), PLAIN),
        (hold(mode=HoldMode.DRAFT_ONLY, kind=ScopeKind.WORKFLOW, name="renewals"), PLAIN),
        (hold(mode=HoldMode.BLOCK, kind=ScopeKind.TOOL, name="crm.read"), ("inbox.read",)),
        (hold(mode=HoldMode.BLOCK, kind=ScopeKind.SOURCE, name="class:external"), ("crm.read",)),
        (hold(mode=HoldMode.BLOCK, kind=ScopeKind.SOURCE, name="inbox", item="mail-17"), ("crm.read",)),
        (hold(mode=HoldMode.BLOCK, kind=ScopeKind.TRIGGER, name="schedule"), ()),
        (hold(mode=HoldMode.READ_ONLY, kind=ScopeKind.TRIGGER, name="schedule"), PLAIN),
        (hold(mode=HoldMode.BLOCK, kind=ScopeKind.WORKFLOW, name="other"), PLAIN),
    ],
    ids=lambda each: "" if isinstance(each, tuple) else f"{each.mode} {each.scope}",
)
def test_a_hold_takes_away_what_it_may_cover(held: Any, left: tuple[str, ...]) -> None:
    assert free(RULES, held) == left


def test_a_day_without_room_leaves_nothing_free() -> None:
    rules = compiled(BOUNDED)
    assert free(rules, usage=Usage(day_calls=99)) == ("plain",)
    assert free(rules, usage=Usage(day_calls=100)) == ()


def test_guards_together_are_never_leased_more_than_the_day_has_left() -> None:
    bounded, usage = compiled(BOUNDED), Usage(day_calls=70)
    assert grants.grant(bounded, workflow(), (), usage, now=NOW).run_calls == 5
    shares = [
        grants.share(bounded.manifest, usage, points=4, leased=leased) for leased in (0, 23, 25, 30, 99)
    ]
    assert shares == [7, 7, 5, 0, 0]
    assert grants.share(bounded.manifest, Usage(day_calls=101), points=4, leased=0) == 0
    assert grants.share(RULES.manifest, Usage(), points=4, leased=99) == grants.MAX_READS


@given(
    held=st.lists(
        st.builds(
            hold,
            mode=st.sampled_from(HoldMode),
            kind=st.sampled_from(ScopeKind),
            name=st.sampled_from(["renewals", "schedule", "crm.read", "inbox", "class:external", "x@y.test"]),
            within=st.sampled_from([None, "renewals", "other"]),
            item=st.sampled_from([None, "3", "mail-17"]),
            active=st.booleans(),
        ),
        max_size=4,
    ),
    stage=st.sampled_from(Stage),
    mode=st.sampled_from(Mode),
    used=st.integers(0, 120),
    trigger=st.sampled_from(["schedule", "manual", "other"]),
    args=st.dictionaries(st.sampled_from(["n", "host", "id"]), st.integers(0, 9)),
    rules=st.sampled_from([RULES, compiled(BOUNDED)]),
)
def test_what_is_free_is_what_any_call_would_be_permitted(
    held: list[Any],
    stage: Stage,
    mode: Mode,
    used: int,
    trigger: str,
    args: dict[str, int],
    rules: CompiledManifest,
) -> None:
    now = workflow(stage=stage, mode=mode)
    usage = Usage(day_calls=used)
    for tool in grants.free(rules, now, tuple(held), usage, NOW):
        asked = request(tool=tool, args=args, run=run(trigger=trigger))
        decided = decide(asked, controls(rules=rules, workflow=now, holds=tuple(held), usage=usage), NOW)
        assert (decided.verdict, decided.would) == (Verdict.ALLOW, Verdict.ALLOW), decided.reasons


def leased(**changes: Any) -> Lease:
    granted = ReadLease(for_s=10, version=1, free=("crm.read",), reads=3, **changes)
    return Lease(granted, epoch=4, asked_at=100.0)


def test_a_lease_is_over_ten_seconds_after_it_was_asked_for() -> None:
    held = leased()
    assert held.take("crm.read", 0, 109.999)
    assert not held.take("crm.read", 0, 110.0)


def test_a_lease_is_for_the_tools_it_names_and_for_so_many_reads() -> None:
    held = leased()
    assert not held.take("crm.update", 0, 100.0)
    assert [held.take("crm.read", 0, 101.0) for _ in range(4)] == [True, True, True, False]


def test_a_run_that_has_made_its_calls_asks() -> None:
    held = leased(run_calls=2)
    assert held.take("crm.read", 1, 100.0)
    assert not held.take("crm.read", 2, 100.0)


def test_what_waits_to_be_reported_counts_against_the_next_lease() -> None:
    granted = ReadLease(for_s=10, version=1, free=("crm.read",), reads=3)
    held = Lease(granted, epoch=4, asked_at=100.0, unreported=2)
    assert [held.take("crm.read", 0, 101.0) for _ in range(2)] == [True, False]
