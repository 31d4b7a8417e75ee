"""Contract of the writeback detector: what the manifest calls impossible is told at once, what a field has never held once enough is known of it, and
what people put back soon after with how often; ordinary changes, the agent's own and those of a recovery are nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from stopwork.detect.bad_writeback import BadWriteback
from stopwork.detect.detector import Finding
from stopwork.detect.rulebook import Rulebook
from stopwork.detect.writeback import A_NEW_HABIT, ENOUGH
from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger.words import IncidentType, ItemState, Operation, ScopeKind, Severity, SignalKind
from tests.unit.detect.manifests import TOOLS, manifest
from tests.unit.detect.story import WORKFLOW, Story, findings, rules_of, signs

DETECTOR = BadWriteback()
FIELDS = {
    "amount": {"min": 0, "max": 1000},
    "status": {"moves": {"open": ["won", "lost"], "won": []}},
    "renewal": {"never": ["decreases"]},
    "owner": {"never": ["emptied"]},
    "iban": {"never": ["changes"]},
}
RULES = rules_of(manifest(tools=TOOLS, objects={"crm/account": {"fields": FIELDS}}))
FED = {"crm": ["agent@acme.test"]}
PLAIN = rules_of(manifest(tools=TOOLS, identities=FED))
RISKY = rules_of(
    manifest(
        tools=TOOLS | {"crm.update_account": TOOLS["crm.update_account"] | {"risk": "high"}}, identities=FED
    )
)
TOOL = "crm.update_account"


class Tale(Story):
    """A journal of writes to accounts, by the agent and by people."""

    def wrote(
        self,
        call: str,
        before: dict[str, Any] | None,
        after: dict[str, Any],
        object_id: str = "acme",
        *,
        repeat: bool = False,
    ) -> Tale:
        if not repeat:
            self.call(call, tool=TOOL)
        ref = r.ObjectRef(system="crm", type="account", id=object_id)
        effect = r.Effect(
            id=f"effect-{call}",
            call=call,
            run="r1",
            workflow=self.workflow,
            tool=TOOL,
            object=ref,
            operation=Operation.MODIFIED if before is not None else Operation.CREATED,
            before=r.Image.absent() if before is None else r.Image.present(before),
            after=r.Image.present(after),
            at=self.now,
            source="declared",
            object_key=str(ref),
        )
        self.outcome(call, effects=(effect,))
        return self

    def fed(
        self,
        change: str,
        fields: dict[str, tuple[Any, Any]],
        object_id: str = "acme",
        *,
        operation: Operation = Operation.MODIFIED,
        agents: tuple[str, ...] = (),
        ago: timedelta = timedelta(),
    ) -> Tale:
        ref = r.ObjectRef(system="crm", type="account", id=object_id)
        told = r.FeedChange(
            id=f"crm/{change}",
            system="crm",
            at=self.now - ago,
            by="jo@acme.test",
            object=ref,
            object_key=str(ref),
            operation=operation,
            told_at=self.now,
            fields=fields,
            agents=agents,
        )
        self.write(e.ChangesFed(system="crm", changes=(told,)))
        return self

    def recovered(self, object_id: str = "acme") -> Tale:
        ref = r.ObjectRef(system="crm", type="account", id=object_id)
        self.write(
            e.ItemFinished(
                incident="i", workflow=WORKFLOW, plan="p", item="x", object=ref, state=ItemState.VERIFIED
            )
        )
        return self

    def later(self, **duration: float) -> Tale:
        self.after(**duration)
        return self

    def history(self, number: int = ENOUGH, **fields: Any) -> Tale:
        """Write so many accounts that hold these fields; half of the values are seen before, half after."""
        for count in range(number):
            self.wrote(f"h{count}", fields | {"n": count}, fields | {"n": count + 1}, f"o{count}")
        return self.later(hours=1)

    def raised(self, number: int, *, first: int = 0) -> Tale:
        """Set the amount of so many accounts, which a person puts back a day later."""
        for count in range(first, first + number):
            self.wrote(f"c{count}", {"amount": 1}, {"amount": 2}, f"o{count}")
        self.after(days=1)
        for count in range(first, first + number):
            self.fed(f"f{count}", {"amount": (2, 1)}, f"o{count}").after(minutes=2)
        return self


def found_in(story: Story, rules: Rulebook = PLAIN, *, restored: bool = False) -> list[Finding]:
    return findings(DETECTOR, story, rules, restored=restored)


# Each case: its name, the fields before and after, and the part of the rule that is broken; "" is none.
DECLARED: dict[str, tuple[dict[str, Any] | None, dict[str, Any], str]] = {
    "in range": ({"amount": 1}, {"amount": 1000}, ""),
    "below": ({"amount": 1}, {"amount": -1}, "amount.min"),
    "above": ({"amount": 1}, {"amount": 1000.5}, "amount.max"),
    "made above": (None, {"amount": 5000}, "amount.max"),
    "a move that is allowed": ({"status": "open"}, {"status": "won"}, ""),
    "a move that is not": ({"status": "won"}, {"status": "open"}, "status.moves"),
    "from where nothing is said": ({"status": "new"}, {"status": "open"}, ""),
    "made in any state": (None, {"status": "won"}, ""),
    "later": ({"renewal": "2026-07-01"}, {"renewal": "2026-07-02"}, ""),
    "earlier": ({"renewal": "2026-07-01"}, {"renewal": "2026-06-30"}, "renewal.never"),
    "set for the first time": ({"renewal": None, "iban": ""}, {"renewal": "2026-07-01", "iban": "DE02"}, ""),
    "taken away": ({"owner": "jo"}, {"owner": ""}, "owner.never"),
    "left out": ({"owner": "jo", "x": 1}, {"x": 2}, "owner.never"),
    "an object instead of a text": ({"owner": "jo"}, {"owner": {"id": 7}}, ""),
    "an object that lost all it held": ({"owner": {"id": 7}}, {"owner": {}}, "owner.never"),
    "changed": ({"iban": "DE02"}, {"iban": "DE03"}, "iban.never"),
    "another field": ({"name": "a"}, {"name": "b"}, ""),
}


@pytest.mark.parametrize("name", DECLARED)
def test_what_the_manifest_calls_impossible(name: str) -> None:
    before, after, broken = DECLARED[name]
    found = found_in(Tale().wrote("A", before, after), RULES)
    assert [each.facts["rule"] for each in found] == (
        [f"objects.crm/account.fields.{broken}"] if broken else []
    )


def test_a_limit_in_the_millions_stands_as_it_was_written() -> None:
    fields = {"amount": {"max": 1_000_000}}
    rules = rules_of(manifest(tools=TOOLS, objects={"crm/account": {"fields": fields}}))
    [found] = found_in(Tale().wrote("A", {"amount": 1}, {"amount": 2_500_000}), rules)
    assert "is 2500000, above 1000000" in found.summary


def test_the_finding_answers_which_rule_threshold_and_value() -> None:
    rules = rules_of(
        manifest(
            tools=TOOLS,
            objects={"crm/account": {"fields": FIELDS}},
            alerts={"bad_writeback": {"hold": "tool"}},
        )
    )
    told = Tale().wrote("A", {"amount": 1, "owner": "jo"}, {"amount": 5000, "owner": None})
    [found] = found_in(told, rules)
    assert (found.type, found.kind) == (IncidentType.BAD_WRITEBACK, SignalKind.ALERT)
    assert (found.severity, found.hold) == (Severity.SEV2, ScopeKind.TOOL)
    assert {each["field"]: each["after"] for each in found.facts["fields"]} == {"amount": 5000, "owner": None}
    assert found.facts["objects"] == ["crm/account/acme"]


# Each case: its name, the story, what is found; a "?" marks what is only logged.
CASES: dict[str, tuple[Callable[[Tale], Story], list[str]]] = {
    "a number that became text": (
        lambda s: s.history(amount=5).wrote("A", {"amount": 5}, {"amount": "5"}),
        ["A"],
    ),
    "too little is known": (
        lambda s: s.history(5, amount=5).wrote("A", {"amount": 5}, {"amount": "5"}),
        [],
    ),
    "another number": (lambda s: s.history(amount=5).wrote("A", {"amount": 5}, {"amount": 7.5}), []),
    "a value is gone": (lambda s: s.history(who="jo").wrote("A", {"who": "jo"}, {"who": ""}), ["A?"]),
    "a field is not told": (lambda s: s.history(who="jo").wrote("A", {"who": "jo", "x": 1}, {"x": 2}), []),
    "it was empty before now and then": (
        lambda s: (
            s.history(who="jo").wrote("B", {"who": None}, {"who": "x"}).wrote("A", {"who": "jo"}, {"who": ""})
        ),
        [],
    ),
    "put back by a person": (lambda s: s.raised(1), ["c0?"]),
    "two of them": (lambda s: s.raised(2), ["c0?", "c1?"]),
    "three of them": (lambda s: s.raised(3), ["c0?", "c1?", "c2"]),
    "three of them, and the first is long ago": (
        lambda s: s.raised(1).later(days=8).raised(2, first=1),
        ["c0?", "c1?", "c2?"],
    ),
    "put back by the agent": (
        lambda s: s.wrote("A", {"amount": 1}, {"amount": 2}).fed("1", {"amount": (2, 1)}, agents=(WORKFLOW,)),
        [],
    ),
    "changed on by a person": (
        lambda s: s.wrote("A", {"amount": 1}, {"amount": 2}).fed("1", {"amount": (2, 3)}),
        [],
    ),
    "another field was changed": (
        lambda s: s.wrote("A", {"amount": 1}, {"amount": 2}).fed("1", {"name": ("b", "a")}),
        [],
    ),
    "long after": (
        lambda s: s.wrote("A", {"amount": 1}, {"amount": 2}).later(days=8).fed("1", {"amount": (2, 1)}),
        [],
    ),
    "told late, but done in time": (
        lambda s: (
            s.wrote("A", {"amount": 1}, {"amount": 2})
            .later(days=20)
            .fed("1", {"amount": (2, 1)}, ago=timedelta(days=19))
        ),
        ["A?"],
    ),
    "done before the agent wrote": (
        lambda s: s.wrote("A", {"amount": 1}, {"amount": 2}).fed(
            "1", {"amount": (2, 1)}, ago=timedelta(days=1)
        ),
        [],
    ),
    "the log writes numbers as text": (
        lambda s: s.wrote("A", {"amount": 1}, {"amount": 2}).fed("1", {"amount": ("2", "1")}),
        ["A?"],
    ),
    "three days later, as the log writes it": (
        lambda s: (
            s.wrote("A", {"amount": 1200, "vip": None}, {"amount": 1300.5, "vip": True})
            .later(days=3)
            .fed("1", {"amount": ("1300.50", "1200.00"), "vip": ("true", "")})
        ),
        ["A?"],
    ),
    "not what it was, only like it": (
        lambda s: s.wrote("A", {"name": "Nan"}, {"name": "Ann"}).fed("1", {"name": ("Ann", "NaN")}),
        [],
    ),
    "put back by a recovery": (
        lambda s: s.wrote("A", {"amount": 1}, {"amount": 2}).recovered().fed("1", {"amount": (2, 1)}),
        [],
    ),
    "what was made is removed": (
        lambda s: s.wrote("A", None, {"amount": 2}).fed("1", {}, operation=Operation.DELETED),
        ["A?"],
    ),
    "the same entry twice": (
        lambda s: s.raised(1).fed("f0", {"amount": (2, 1)}, "o0", ago=timedelta(minutes=2)),
        ["c0?"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_found(name: str) -> None:
    told, (story, expected) = Tale(), CASES[name]
    story(told)
    assert signs(found_in(told)) == expected
    assert signs(found_in(told, restored=True)) == expected


GRAVE, SLIGHT = (ScopeKind.TOOL, Severity.SEV2), (None, Severity.SEV3)
WEIGHED: dict[str, tuple[Callable[[Tale], Story], tuple[ScopeKind | None, Severity]]] = {
    "another type": (lambda s: s.history(amount=5).wrote("A", {"amount": 5}, {"amount": "5"}), GRAVE),
    "a value is gone": (lambda s: s.history(who="jo").wrote("A", {"who": "jo"}, {"who": ""}), SLIGHT),
    "two put back": (lambda s: s.raised(2), SLIGHT),
    "three put back": (lambda s: s.raised(3), GRAVE),
}


@pytest.mark.parametrize("name", WEIGHED)
def test_what_is_held_at_once_and_how_grave_it_is(name: str) -> None:
    told, (story, expected) = Tale(), WEIGHED[name]
    story(told)
    rules = rules_of(manifest(tools=TOOLS, identities=FED, alerts={"bad_writeback": {"hold": "tool"}}))
    *_, found = found_in(told, rules)
    assert (found.hold, found.severity) == expected
    assert found.alarming  # whoever writes the rule wants to be told of a slight one as well


def test_it_says_how_many_values_and_objects_there_are() -> None:
    [one] = found_in(Tale().wrote("A", {"amount": 1}, {"amount": -1}), RULES)
    [two] = found_in(Tale().wrote("A", {"amount": 1, "owner": "jo"}, {"amount": -1, "owner": ""}), RULES)
    assert "more value" not in one.summary
    assert two.summary.endswith(", and 1 more value")
    first, second = found_in(Tale().raised(2))
    assert "objects of" not in first.summary
    assert f"2 objects of {TOOL} within" in second.summary


def test_values_gone_from_several_objects_are_alarming_and_then_the_habit() -> None:
    told = Tale().history(who="jo")
    for number in range(5):
        told.wrote(f"A{number}", {"who": "jo"}, {"who": ""}, f"x{number}").after(minutes=5)
    assert signs(found_in(told)) == ["A0?", "A1?", "A2"]


def test_another_type_is_told_until_it_is_the_habit() -> None:
    told = Tale().history(amount=5)
    for number in range(2 * A_NEW_HABIT):
        told.wrote(f"A{number}", {"amount": 5}, {"amount": "5"}, f"x{number}").after(minutes=5)
    assert len(found_in(told)) == A_NEW_HABIT


def test_for_a_tool_of_high_risk_the_first_is_alarming() -> None:
    assert signs(found_in(Tale().raised(1), RISKY)) == ["c0"]
    assert signs(found_in(Tale().history(who="jo").wrote("A", {"who": "jo"}, {"who": ""}), RISKY)) == ["A"]


def test_the_number_of_reverts_is_the_evidence() -> None:
    *_, found = found_in(Tale().raised(3))
    assert (found.kind, found.facts["value"], found.facts["threshold"]) == (
        SignalKind.DOWNSTREAM_ANOMALY,
        3,
        3,
    )
    assert found.facts["calls"] == ["c0", "c1", "c2"]
    assert found.facts["changes"] == ["crm/f0", "crm/f1", "crm/f2"]
    assert found.facts["people"] == ["jo@acme.test"]


def test_what_was_judged_is_not_judged_again() -> None:
    told = Tale().wrote("A", {"amount": 1}, {"amount": -1}).later(hours=1)
    told.wrote("A", {"amount": 1}, {"amount": -1}, repeat=True)
    assert signs(found_in(told, RULES)) == ["A"]


def test_without_a_feed_nothing_is_kept_of_what_was_written() -> None:
    rules, told = rules_of(manifest(tools=TOOLS)), Tale().wrote("A", {"amount": 1}, {"amount": 2})
    state = DETECTOR.start()
    for entry in told.entries:
        state, _ = DETECTOR.step(state, entry, rules)
    assert not state.writes
    # From the first that a system tells on, it is.
    told = (
        Tale()
        .fed("0", {"name": ("a", "b")})
        .wrote("A", {"amount": 1}, {"amount": 2})
        .fed("1", {"amount": (2, 1)})
    )
    assert signs(found_in(told, rules)) == ["A?"]


def test_a_rule_that_is_off_finds_nothing() -> None:
    rules = rules_of(
        manifest(
            tools=TOOLS,
            objects={"crm/account": {"fields": FIELDS}},
            identities=FED,
            alerts={"bad_writeback": {"enabled": False}},
        )
    )
    assert not found_in(Tale().wrote("A", {"amount": 1}, {"amount": -1}), rules)
    assert not found_in(Tale().raised(3), rules)


def test_a_month_of_ordinary_writes_is_quiet() -> None:
    """Accounts whose amounts vary, whose owners change and whose notes come and go."""
    told = Tale()
    for number in range(600):
        before = {"amount": number % 97 + 0.5, "owner": f"p{number % 9}", "note": "x" if number % 3 else ""}
        after = {"amount": number % 89, "owner": f"p{number % 7}", "note": "y" if number % 4 else None}
        told.wrote(f"c{number}", before, after, f"o{number % 50}").after(hours=1)
        if number % 5 == 0:
            told.fed(f"f{number}", {"amount": (number % 89, number % 89 + 1)}, f"o{number % 50}")
    assert not found_in(told)
