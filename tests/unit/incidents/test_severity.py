"""Contract of the severity: the worst factor counts, sensitive domains raise it, and it is never lowered lightly."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stopwork.incidents.severity import (
    FLOOR,
    ORDER,
    RULES,
    VOLUME,
    Circumstances,
    assess,
    beyond_factors,
    check_change,
    of_case,
    worst,
)
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.ledger import records as r
from stopwork.ledger.words import (
    EffectKind,
    IncidentType,
    Outcome,
    ScopeKind,
    Severity,
    SeverityFactor,
    Verdict,
)
from tests.unit.detect.manifests import TOOLS, manifest
from tests.unit.detect.story import WORKFLOW, Story
from tests.unit.incidents.cases import Book, IncidentStory, bad_monday

SEV0, SEV1, SEV2, SEV3 = Severity


def after(
    story: Story, incident_type: IncidentType = IncidentType.DUPLICATE_WORK, **declared: Any
) -> Circumstances:
    book = Book(story.entries)
    return Circumstances(
        type=incident_type,
        manifest=manifest(**declared),
        calls=book.every(r.Call),
        effects=book.every(r.Effect),
        runs=book.every(r.Run),
        holds=book.every(r.Hold),
    )


def tale() -> Story:
    return IncidentStory().run("r1")


def wrote(number: int = 1) -> Story:
    story = IncidentStory()
    story.run("r1")
    for index in range(number):
        story.call(f"c{index}", x=index).outcome(
            f"c{index}", effects=(story.effect(f"c{index}", str(index)),)
        )
    return story


def sent() -> Story:
    return tale().call("S", tool="mail.send", effect=EffectKind.SEND, to="x@y.test").outcome("S")


SENSITIVE: dict[str, Any] = {"data_classes": ["customer_commitments"]}
# Each case: its name, then the circumstances and the severity to propose.
CASES: dict[str, tuple[Circumstances, Severity]] = {
    "a missed run in which nothing happened": (after(IncidentStory(), IncidentType.MISSED_WORKFLOW), SEV3),
    "a run that only read": (
        after(tale().call("R", effect=EffectKind.READ).outcome("R").finished(), IncidentType.MISSED_WORKFLOW),
        SEV3,
    ),
    "duplicates that nobody else sees": (after(wrote()), SEV2),
    "a write that failed and changed nothing": (
        after(tale().call("A").failed("A").finished(), IncidentType.COST_RUNAWAY),
        SEV3,
    ),
    "a write that timed out": (
        after(tale().call("A").timed_out("A").finished(), IncidentType.COST_RUNAWAY),
        SEV2,
    ),
    "more than people can look at": (after(wrote(VOLUME)), SEV1),
    "something sent outside": (after(sent()), SEV1),
    "customer commitments changed": (after(wrote(), **SENSITIVE), SEV1),
    "customer commitments only read": (
        after(
            tale().call("R", effect=EffectKind.READ).outcome("R").finished(),
            IncidentType.MISSED_WORKFLOW,
            **SENSITIVE,
        ),
        SEV3,
    ),
    "customer commitments sent outside": (after(sent(), **SENSITIVE), SEV0),
    "health data exposed": (
        after(tale(), IncidentType.SENSITIVE_DATA_EXPOSURE, data_classes=["health_data"]),
        SEV0,
    ),
    "an unknown class of data raises nothing": (after(wrote(), data_classes=["weather"]), SEV2),
    "a payment": (after(tale().call("P", effect=EffectKind.PAY).outcome("P")), SEV1),
    "a write without the approval it needs": (after(wrote(), IncidentType.TOOL_MISUSE), SEV1),
    "an injection in which nothing was written": (
        after(tale().finished(), IncidentType.PROMPT_INJECTION),
        SEV1,
    ),
    "what cannot be undone": (
        after(
            wrote(),
            IncidentType.COST_RUNAWAY,
            tools=TOOLS | {"crm.create_task": {"effect": "create", "undo": {"none": "gone"}}},
        ),
        SEV2,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_proposes(name: str) -> None:
    found, expected = CASES[name]
    assert assess(found).severity is expected, assess(found)


def test_every_factor_is_answered_in_order_with_a_reason() -> None:
    factors = assess(of_case(bad_monday().case())).factors
    assert [factor.factor for factor in factors] == list(SeverityFactor)
    assert all(factor.why for factor in factors)


def test_the_records_behind_a_factor_are_named() -> None:
    factors = {factor.factor: factor for factor in assess(of_case(bad_monday().case())).factors}
    assert factors[SeverityFactor.PRODUCTION_WRITES].records == ("U", "A", "B")
    assert factors[SeverityFactor.AFFECTED_VOLUME].records == ("crm/account/acme", "crm/task/1", "crm/task/2")


def test_what_the_records_cannot_tell_has_no_level() -> None:
    factors = {factor.factor: factor for factor in assess(of_case(bad_monday().case())).factors}
    assert factors[SeverityFactor.ROOT_CAUSE_KNOWN].level is None
    assert factors[SeverityFactor.SENSITIVE_DATA].why == "the manifest declares no data classes"


def repeat_of(story: IncidentStory) -> r.Factor:
    factors = {factor.factor: factor for factor in assess(of_case(story.case())).factors}
    return factors[SeverityFactor.COULD_REPEAT_NEXT_RUN]


def test_a_hold_makes_safe_what_it_covers_and_no_more() -> None:
    assert (repeat_of(bad_monday()).level, repeat_of(bad_monday()).records) == (SEV2, ("U", "A", "B"))
    assert (repeat_of(bad_monday().paused()).level, repeat_of(bad_monday().paused()).records) == (
        SEV2,
        ("U",),
    )
    whole = bad_monday()
    whole.hold("h", ScopeKind.WORKFLOW, WORKFLOW)
    assert (repeat_of(whole).level, repeat_of(whole).records) == (SEV3, ("h",))


@pytest.mark.parametrize(
    ("kind", "name", "workflow", "severity"),
    [
        (ScopeKind.TOOL, "mail.send", WORKFLOW, SEV2),
        (ScopeKind.WORKFLOW, WORKFLOW, None, SEV3),
        (ScopeKind.EVERYTHING, "", None, SEV3),
    ],
)
def test_a_run_goes_on_spending_unless_all_of_it_is_held(
    kind: ScopeKind, name: str, workflow: str | None, severity: Severity
) -> None:
    story = tale().call("R", effect=EffectKind.READ).outcome("R").hold("h", kind, name, workflow)
    assert assess(after(story, IncidentType.COST_RUNAWAY)).severity is severity


def test_a_hold_on_another_workflow_makes_nothing_safe() -> None:
    story = bad_monday()
    story.hold("h1", ScopeKind.WORKFLOW, "other").hold("h2", ScopeKind.TOOL, "crm.create_task", "other")
    assert repeat_of(story).records == ("U", "A", "B")


def test_a_patch_makes_the_next_run_another_one() -> None:
    assert repeat_of(bad_monday().applied()).level is SEV3


def test_the_reason_of_a_raise_is_said() -> None:
    assessment = assess(after(wrote(), **SENSITIVE))
    assert assessment.raised_by == ("customer commitments",)
    assert assessment.why.endswith("raised by one level because customer commitments may be affected")


def test_a_source_that_was_read_counts_with_its_classes() -> None:
    declared = manifest(sources={"payroll_db": {"trust": "internal", "data_classes": ["payroll"]}})
    found = replace(after(wrote()), manifest=declared)
    assert assess(found).raised_by == ()
    read = replace(found, calls=tuple(replace(call, source="payroll_db") for call in found.calls))
    assert assess(read).raised_by == ("payroll",)


def test_the_manifest_may_ask_for_more_and_never_for_less() -> None:
    assert assess(replace(after(wrote()), at_least=SEV1)).severity is SEV1
    assert assess(replace(after(wrote()), at_least=SEV3)).severity is SEV2


@pytest.mark.parametrize("factor", SeverityFactor)
def test_every_factor_has_rules_and_the_last_one_always_holds(factor: SeverityFactor) -> None:
    _level, last = RULES[factor][-1]
    assert last(Circumstances(type=IncidentType.DUPLICATE_WORK, manifest=manifest())) is not None


def test_every_type_has_a_floor() -> None:
    assert set(FLOOR) == set(IncidentType)


@given(
    st.lists(
        st.tuples(st.sampled_from(EffectKind), st.sampled_from([*Outcome, None]), st.sampled_from(Verdict)),
        max_size=6,
    ),
    st.sampled_from(IncidentType),
)
def test_another_call_never_makes_it_less_grave(
    made: list[tuple[EffectKind, Outcome | None, Verdict]], incident_type: IncidentType
) -> None:
    story, severities = IncidentStory(), [SEV3]
    story.run("r1")
    for number, (effect, outcome, verdict) in enumerate(made):
        story.call(f"c{number}", effect=effect, verdict=verdict, x=number)
        if outcome is not None and verdict is Verdict.ALLOW:
            story.outcome(f"c{number}", outcome)
        severities.append(assess(after(story, incident_type)).severity)
    assert severities[1:] == sorted(severities[1:], key=ORDER.index, reverse=True)


# Each case: the data classes, the type, the severity it has, and what is said besides the factors.
BEYOND: list[tuple[list[str], IncidentType, Severity, list[str]]] = [
    ([], IncidentType.DUPLICATE_WORK, SEV2, []),
    (
        ["contracts"],
        IncidentType.DUPLICATE_WORK,
        SEV1,
        ["One level higher, because contracts may be affected."],
    ),
    (
        [],
        IncidentType.APPROVAL_BYPASS,
        SEV0,
        ["Approval bypass is SEV1 at least.", "By the records it is SEV1 now. "],
    ),
    ([], IncidentType.DUPLICATE_WORK, SEV3, ["The records would say SEV2; a person has lowered it"]),
]


@pytest.mark.parametrize(("classes", "kind", "severity", "said"), BEYOND)
def test_what_the_factors_do_not_say_of_a_severity_is_said_besides(
    classes: list[str], kind: IncidentType, severity: Severity, said: list[str]
) -> None:
    case = bad_monday().case()
    declared = replace(next(iter(case.manifests.values())), data_classes=tuple(classes))
    known = replace(
        case,
        manifests=dict.fromkeys(case.manifests, declared),
        incident=replace(case.incident, type=kind, severity=severity, factors=assess(of_case(case)).factors),
    )
    found = beyond_factors(known)
    assert len(found) == len(said)
    assert all(text in line for text, line in zip(said, found, strict=True))


def test_the_worst_of_nothing_is_the_mildest() -> None:
    assert worst([None, None]) is SEV3
    assert worst([SEV2, None, SEV1]) is SEV1


# Each case: before, after, whether containment is verified, the reason, and the error.
CHANGES: list[tuple[Severity, Severity, bool, str, type[Exception] | None]] = [
    (SEV2, SEV1, False, "", None),
    (SEV2, SEV0, False, "", None),
    (SEV1, SEV2, False, "only tasks", Conflict),
    (SEV1, SEV2, True, "", Invalid),
    (SEV1, SEV2, True, "  ", Invalid),
    (SEV1, SEV2, True, "only tasks", None),
    (SEV2, SEV2, True, "same", Conflict),
]


@pytest.mark.parametrize(("before", "to", "contained", "reason", "error"), CHANGES)
def test_raising_is_free_and_lowering_needs_containment_and_a_reason(
    before: Severity, to: Severity, contained: bool, reason: str, error: type[Exception] | None
) -> None:
    story = bad_monday()
    incident = replace((story.contained() if contained else story).case().incident, severity=before)
    if error is None:
        check_change(incident, to, reason=reason)
    else:
        with pytest.raises(error):
            check_change(incident, to, reason=reason)
