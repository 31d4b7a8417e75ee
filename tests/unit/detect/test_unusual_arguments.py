"""Contract of the detector of unusual arguments: once enough calls of a tool are known, what is unlike all of them is told; it is logged and then known for
most tools, alarming for those that nobody takes back; what people approve teaches; and varied, honest work is quiet."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from stopwork.detect.arguments import RUNS_OF_A_WORD, SURE
from stopwork.detect.detector import Finding
from stopwork.detect.rulebook import Rulebook
from stopwork.detect.table import to_builtin
from stopwork.detect.unusual_arguments import RUNS_TO_KNOW, UnusualArguments, is_irrevocable
from stopwork.ledger import events as e
from stopwork.ledger.words import EffectKind, IncidentType, ScopeKind, Severity, Verdict
from tests.unit.detect.manifests import TOOLS, manifest
from tests.unit.detect.story import Story, findings, rules_of, signs

DETECTOR = UnusualArguments()
PAY = {"effect": "pay", "risk": "high", "permission": "pay", "undo": {"none": "Money is gone."}}
RULES = rules_of(manifest(tools=TOOLS | {"pay.invoice": PAY}))
LOW, GRAVE = "crm.update_account", "pay.invoice"


class Tale(Story):
    """Calls of two tools: one that is easily put right, and one that nobody takes back."""

    def did(
        self, call: str, tool: str = LOW, run: str = "r1", *, approval: str | None = None, **args: Any
    ) -> Tale:
        verdict = args.pop("verdict", Verdict.ALLOW)
        effect = EffectKind.PAY if tool == GRAVE else EffectKind.UPDATE
        self.call(call, run, tool=tool, effect=effect, verdict=verdict, **args)
        if approval is not None:
            *rest, last = self.entries
            assert isinstance(last.event, e.CallDecided)
            event = msgspec.structs.replace(last.event, approval=approval)
            self.entries = [*rest, msgspec.structs.replace(last, event=event)]
        self.after(minutes=5)
        return self

    def usual(self, number: int = 40, tool: str = LOW) -> Tale:
        """So many calls over twenty runs: an account, an amount from 10 to 19, and one of two kinds."""
        for count in range(number):
            run = f"run-{count * 20 // number}"
            kind = ("standard", "express")[count % 2]
            self.did(f"u{count}", tool, run, account=f"acc-{count}", amount=10 + count % 10, kind=kind)
        return self

    def then(self, tool: str = LOW, name: str = "A", run: str = "r1", **args: Any) -> Tale:
        """The usual arguments, but for these; ``None`` leaves one out."""
        usual = {"account": "acc-x", "amount": 12, "kind": "standard"} | args
        given: Any = {key: value for key, value in usual.items() if value is not None}
        return self.did(name, tool, run, **given)


def found_in(story: Story, rules: Rulebook = RULES, *, restored: bool = False) -> list[Finding]:
    return findings(DETECTOR, story, rules, restored=restored)


# Each case: its name, the story, what is found; a "?" marks what is only logged.
CASES: dict[str, tuple[Callable[[Tale], Story], list[str]]] = {
    "as always": (lambda s: s.usual().then(), []),
    "too little is known": (lambda s: s.usual(20).then(extra=1), []),
    "an argument nobody has given": (lambda s: s.usual().then(force=True), ["A?"]),
    "one that is always given is missing": (lambda s: s.usual().then(kind=None), ["A?"]),
    "a number that is text": (lambda s: s.usual().then(amount="12"), ["A?"]),
    "a list of accounts": (lambda s: s.usual().then(account=["a", "b"]), ["A?"]),
    "a little more than ever": (lambda s: s.usual().then(amount=40), []),
    "far more than ever": (lambda s: s.usual().then(amount=4000), ["A?"]),
    "less than nothing": (lambda s: s.usual().then(amount=-5), ["A?"]),
    "another account": (lambda s: s.usual().then(account="never-seen"), []),
    "another kind": (lambda s: s.usual().then(kind="overnight"), ["A?"]),
    "it is told once": (lambda s: s.usual().then(force=True).then(name="B", force=True), ["A?"]),
    "a call that was refused": (lambda s: s.usual().then(verdict=Verdict.DENY, force=True), []),
    "people are asked about it": (lambda s: s.usual().then(verdict=Verdict.WAIT, force=True), ["A?"]),
    "people approved it": (lambda s: s.usual().then(approval="yes", force=True), []),
    "people approved one like it": (
        lambda s: s.usual(40, GRAVE).then(GRAVE, "B", approval="yes", amount=4000).then(GRAVE, amount=4100),
        [],
    ),
    "money, far more than ever": (lambda s: s.usual(40, GRAVE).then(GRAVE, amount=4000), ["A"]),
    "money, a new argument, early": (lambda s: s.usual(40, GRAVE).then(GRAVE, force=True), ["A?"]),
    "money, a new argument, late": (lambda s: s.usual(SURE, GRAVE).then(GRAVE, force=True), ["A"]),
    "money, a new kind, late": (lambda s: s.usual(SURE, GRAVE).then(GRAVE, kind="overnight"), ["A"]),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_found(name: str) -> None:
    told, (story, expected) = Tale(), CASES[name]
    story(told)
    assert signs(found_in(told)) == expected
    assert signs(found_in(told, restored=True)) == expected


def test_a_sum_of_money_stands_as_people_write_it() -> None:
    [found] = found_in(Tale().usual(40, GRAVE).then(GRAVE, amount=2_000_000))
    assert found.summary.endswith("amount is 2000000, where 10 to 19 is known")
    [asked] = found_in(Tale().usual(40, GRAVE).then(GRAVE, amount=2_000_000, verdict=Verdict.WAIT))
    assert asked.summary.endswith("is known; people are asked about it")


def test_the_finding_answers_which_argument_what_was_known_and_what_came() -> None:
    rules = rules_of(
        manifest(tools=TOOLS | {"pay.invoice": PAY}, alerts={"unusual_arguments": {"hold": "tool"}})
    )
    [found] = found_in(Tale().usual(40, GRAVE).then(GRAVE, amount=4000), rules)
    assert (found.type, found.severity, found.hold) == (
        IncidentType.TOOL_MISUSE,
        Severity.SEV2,
        ScopeKind.TOOL,
    )
    assert (found.facts["value"], found.facts["threshold"], found.facts["unit"]) == (4000, [10, 19], "amount")
    assert found.facts["calls_known"] == 40


@pytest.mark.parametrize(
    ("tool", "irrevocable"),
    [
        ({"effect": "update"}, False),
        ({"effect": "update", "undo": {"system": "crm"}}, False),
        ({"effect": "update", "undo": {"none": "It is gone."}}, True),
        ({"effect": "update", "risk": "high"}, True),
        ({"effect": "pay"}, True),
        ({"effect": "read", "risk": "high"}, False),
    ],
    ids=["an update", "one with an undo", "one that has none", "of high risk", "a payment", "a read"],
)
def test_what_is_not_simply_taken_back(tool: dict[str, Any], irrevocable: bool) -> None:
    assert is_irrevocable(manifest(tools=TOOLS | {"x.do": tool}).tools["x.do"]) is irrevocable


def test_what_is_easily_taken_back_holds_nothing() -> None:
    rules = rules_of(manifest(tools=TOOLS, alerts={"unusual_arguments": {"hold": "tool"}}))
    [found] = found_in(Tale().usual().then(amount=4000), rules)
    assert (found.hold, found.severity, found.alarming) == (None, Severity.SEV3, True)
    assert "more" not in found.summary
    [found] = found_in(Tale().usual().then(amount=4000, force=True), rules)
    assert ", and 1 more" in found.summary


def test_an_argument_that_the_schema_declares_is_not_new() -> None:
    declared = {"args_schema": {"properties": {"force": {"type": "boolean"}}}}
    rules = rules_of(manifest(tools=TOOLS | {LOW: TOOLS[LOW] | declared}))
    assert not found_in(Tale().usual().then(force=True), rules)


def test_what_is_alarming_is_known_after_three_runs() -> None:
    told = Tale().usual(40, GRAVE)
    for number in range(RUNS_TO_KNOW + 2):
        told.then(GRAVE, f"A{number}", f"later-{number}", amount=4000)
    assert signs(found_in(told)) == ["A0", "A1", "A2"]


def test_one_run_that_insists_teaches_nothing() -> None:
    told = Tale().usual(40, GRAVE)
    for number in range(6):
        told.then(GRAVE, f"A{number}", "the-same-run", amount=4000)
    assert len(found_in(told)) == 6


def test_values_that_belong_to_a_run_are_no_kinds() -> None:
    """Each run works for one region only, and the next for another one."""
    told = Tale()
    for run in range(RUNS_OF_A_WORD + 4):
        for number in range(12):
            told.did(f"c{run}-{number}", run=f"run-{run}", region=("north", "south", "east", "west")[run % 4])
    told.did("A", run="last", region="centre")
    assert not found_in(told)


def test_a_rule_that_is_off_finds_nothing() -> None:
    rules = rules_of(manifest(tools=TOOLS, alerts={"unusual_arguments": {"enabled": False}}))
    assert not found_in(Tale().usual().then(force=True), rules)


@pytest.mark.parametrize("seed", range(5))
def test_a_quiet_month_has_no_alarm(seed: int) -> None:
    """A month of payments: amounts by a power of ten up and down, twelve cost centres of which some are rare, options now and then."""
    chance, told = random.Random(seed), Tale()
    centres = [f"centre {name}" for name in "abcdefghijkl"]
    for day in range(30):
        for number in range(40):
            args: dict[str, Any] = {
                "invoice_id": day * 1000 + number,
                "amount": round(chance.lognormvariate(5, 1.2), 2),
                "currency": chance.choices(["EUR", "USD", "GBP"], [80, 19, 1])[0],
                "centre": chance.choices(centres, [2.0**-each for each in range(12)])[0],
                "due": f"2026-03-{day + 1:02}",
                "memo": f"Invoice {number} of day {day}",
            }
            if chance.random() < 0.05:
                args["note"] = "see contract"
            told.did(f"c{day}-{number}", GRAVE, f"run-{day}", **args)
    assert not [each for each in found_in(told) if each.alarming]


def test_the_state_stays_bounded() -> None:
    told = Tale()
    for number in range(300):
        args = {f"argument{number}-{each}": "x" * 5000 for each in range(5)}
        told.did(f"c{number}", f"tool{number % 3}", **args, word=f"word{chr(97 + number % 26)}")
    rules = rules_of(manifest(tools={f"tool{each}": TOOLS[LOW] for each in range(3)}))
    state = DETECTOR.start()
    for entry in told.entries:
        state, _ = DETECTOR.step(state, entry, rules)
    assert len(msgspec.json.encode(state, enc_hook=to_builtin)) < 50_000
