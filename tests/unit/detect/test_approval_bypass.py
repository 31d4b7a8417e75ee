"""Contract of the bypass detector: what ran without the approval it needed is told, and what a system lays to the agent that no guarded call
made; the order in which approval, outcome, effects and feed are told makes no difference, and what is explained in time is never told."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest

from stopwork.detect.approval_bypass import ApprovalBypass
from stopwork.detect.detector import Finding
from stopwork.detect.rulebook import Rulebook
from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.words import IncidentType, Operation, ScopeKind, Severity, SignalKind, Verdict
from tests.unit.detect.manifests import TOOLS, manifest
from tests.unit.detect.story import WORKFLOW, Story, rules_of, signs, stored_and_restored

DETECTOR = ApprovalBypass()
RULES = rules_of(manifest(tools=TOOLS))
GATED = r.Reason(kind=w.ReasonKind.GATE, verdict=Verdict.WAIT, text="approval by business is needed")
GRANTED = msgspec.structs.replace(GATED, verdict=Verdict.ALLOW)
LATER = timedelta(minutes=10)


class Tale(Story):
    """A journal with gates and feeds in it."""

    def applied(self) -> Tale:
        super().applied()
        return self

    def gated(self, call: str, **more: object) -> Tale:
        given = {"tool": "mail.send", "effect": w.EffectKind.SEND, "reasons": (GRANTED,)} | more
        self.call(call, **given)  # type: ignore[arg-type]
        return self

    def approved(self, call: str) -> Tale:
        self.write(e.ApprovalConsumed(approval=f"of-{call}", workflow=self.workflow, by=call, call=call))
        return self

    def fed(
        self,
        change: str,
        object_id: str = "acme",
        *,
        kind: str = "account",
        operation: Operation = Operation.MODIFIED,
        ago: timedelta = timedelta(),
        agents: tuple[str, ...] = (WORKFLOW,),
        **found: str,
    ) -> Tale:
        ref = r.ObjectRef(system="crm", type=kind, id=object_id)
        told = r.FeedChange(
            id=f"crm/{change}",
            system="crm",
            at=self.now - ago,
            by="agent@acme.test",
            object=ref,
            object_key=str(ref),
            operation=operation,
            told_at=self.now,
            fields={"amount": (1, 2)},
            agents=agents,
            **found,
        )
        self.write(e.ChangesFed(system="crm", changes=(told,)))
        return self

    def attempted(self, call: str, object_id: str = "acme") -> Tale:
        ref = r.ObjectRef(system="crm", type="account", id=object_id)
        before = (r.Captured(object=ref, image=r.Image.present({"amount": 1})),)
        self.write(e.CallAttempted(call=call, run="r1", workflow=self.workflow, before=before))
        return self

    def done(self, call: str, object_id: str = "acme", operation: Operation = Operation.MODIFIED) -> Tale:
        ref = r.ObjectRef(system="crm", type="account", id=object_id)
        effect = r.Effect(
            id=f"effect-{call}",
            call=call,
            run="r1",
            workflow=self.workflow,
            tool="crm.update_account",
            object=ref,
            operation=operation,
            before=r.Image.present({"amount": 1}),
            after=r.Image.present({"amount": 2}),
            at=self.now,
            source="declared",
            object_key=str(ref),
        )
        self.outcome(call, effects=(effect,))
        return self

    def updated(self, call: str, object_id: str = "acme") -> Tale:
        self.call(call, tool="crm.update_account", effect=w.EffectKind.UPDATE)
        return self.attempted(call, object_id).done(call, object_id)

    def traced(
        self,
        span: str,
        tool: str = "crm.update_account",
        *,
        ago: timedelta = timedelta(),
        took: timedelta = timedelta(),
        error: str = "",
    ) -> Tale:
        at = self.now - ago
        told = r.TracedTool(trace="t", span=span, tool=tool, began_at=at, ended_at=at + took, error=error)
        self.write(e.ToolsTraced(workflow=self.workflow, tools=(told,)))
        return self

    def asked(self, call: str, verdict: Verdict = Verdict.ALLOW) -> Tale:
        self.call(call, tool="crm.update_account", effect=w.EffectKind.UPDATE, verdict=verdict)
        return self

    def repaired(self, object_id: str = "acme") -> Tale:
        ref = r.ObjectRef(system="crm", type="account", id=object_id)
        self.write(e.ItemAttempted(incident="i", workflow=self.workflow, plan="p", item="x", object=ref))
        return self

    def ended(self, call: str) -> Tale:
        self.gated(call).outcome(call)
        return self

    def wait(self, **duration: float) -> Tale:
        self.after(**duration)
        return self


def found_in(
    story: Story, rules: Rulebook = RULES, *, until: timedelta = LATER, restored: bool = False
) -> list[Finding]:
    """Answer what is found in the story and in a look a while after its end; the state may be stored and restored after every entry."""
    state = DETECTOR.start()
    found: list[Finding] = []
    for entry in story.entries:
        state, new = DETECTOR.step(state, entry, rules)
        found += new
        state, late = DETECTOR.tick(state, entry.at, rules)
        found += late
        if restored:
            state = stored_and_restored(state)
    state, late = DETECTOR.tick(state, story.now + until, rules)
    assert DETECTOR.tick(state, story.now + until, rules) == (state, ())
    return [*found, *late]


# Each case: its name, the story, what is found; a "?" marks what is only logged.
CASES: dict[str, tuple[Callable[[Tale], Story], list[str]]] = {
    "asked, approved, done": (lambda s: s.approved("A").gated("A", verdict=Verdict.ALLOW).outcome("A"), []),
    "the approval is told after the outcome": (lambda s: s.ended("A").approved("A"), []),
    "waited for people, then approved": (
        lambda s: s.gated("A", verdict=Verdict.WAIT, reasons=(GATED,)).approved("A").gated("A").outcome("A"),
        [],
    ),
    "ran without an approval": (lambda s: s.gated("A").outcome("A"), ["A"]),
    "ran, and nobody knows how it ended": (lambda s: s.gated("A").timed_out("A"), ["A"]),
    "had no approval, and failed": (lambda s: s.gated("A").failed("A"), []),
    "had no approval, and has not run": (lambda s: s.gated("A"), []),
    "ran although people were still to be asked": (
        lambda s: s.gated("A", verdict=Verdict.WAIT, reasons=(GATED,)).outcome("A"),
        ["A"],
    ),
    "no gate": (lambda s: s.call("A").outcome("A"), []),
    "only observed": (lambda s: s.gated("A", reasons=(GATED,), would=Verdict.WAIT).outcome("A"), ["A?"]),
    "a change that a call was known to have made": (lambda s: s.fed("1", call="A"), []),
    "a change by a person": (lambda s: s.fed("1", agents=()), []),
    "a change past the guard": (lambda s: s.fed("1"), ["crm/account"]),
    "told before the effect": (lambda s: s.fed("1").updated("A"), []),
    "the call was attempted, and its end is not told": (
        lambda s: s.fed("1").attempted("A"),
        [],
    ),
    "the call is known by its effects alone": (lambda s: s.fed("1").asked("A").done("A"), []),
    "the call is known by its effects alone, and they are elsewhere": (
        lambda s: s.fed("1").asked("A").done("A", "globex"),
        ["crm/account"],
    ),
    "the call touched another object": (lambda s: s.fed("1").updated("A", "globex"), ["crm/account"]),
    "the call came long after the change": (
        lambda s: s.fed("1", ago=timedelta(hours=1)).updated("A"),
        ["crm/account"],
    ),
    "an update does not explain a deletion": (
        lambda s: s.fed("1", operation=Operation.DELETED).updated("A"),
        ["crm/account"],
    ),
    "the system's own doing beside a call": (
        lambda s: s.fed("1", kind="activity", beside="A"),
        ["crm/activity?"],
    ),
    "told twice": (lambda s: s.fed("1").fed("1"), ["crm/account"]),
    "several changes are one finding": (lambda s: s.fed("1").fed("2", "globex"), ["crm/account"]),
    "traced, and the guard was asked": (lambda s: s.asked("A").wait(hours=1).asked("B").traced("1"), []),
    "traced, and nobody asked the guard": (
        lambda s: s.asked("A").wait(hours=1).traced("1"),
        ["crm.update_account"],
    ),
    "traced before the guard is heard of": (lambda s: s.asked("A").wait(hours=1).traced("1").asked("B"), []),
    "traced, and the guard was never asked about anything": (
        lambda s: s.applied().traced("1"),
        ["crm.update_account"],
    ),
    "traced, from before its workflow was registered": (
        lambda s: s.applied().traced("1", ago=timedelta(minutes=1)),
        [],
    ),
    "traced, and nothing was ever heard of the workflow": (lambda s: s.traced("1"), []),
    "traced, and refused": (lambda s: s.asked("A").wait(hours=1).asked("B", Verdict.DENY).traced("1"), []),
    "traced, and failed": (lambda s: s.asked("A").wait(hours=1).traced("1", error="no"), []),
    "traced, and only read": (lambda s: s.asked("A").wait(hours=1).traced("1", "crm.list_accounts"), []),
    "traced, and of no declared tool": (
        lambda s: s.asked("A").wait(hours=1).traced("1", "planner"),
        ["planner?"],
    ),
    "traced hours late": (
        lambda s: s.asked("A").wait(hours=5).asked("B").wait(hours=5).traced("1", ago=timedelta(hours=5)),
        [],
    ),
    "traced, and said to have taken years": (
        lambda s: s.asked("A").wait(hours=1).traced("1", took=timedelta(days=90_000)),
        ["crm.update_account"],
    ),
    "traced, from before anything is known": (
        lambda s: s.asked("A").wait(hours=1).traced("1", ago=timedelta(days=1)),
        [],
    ),
    "a recovery under the agent's name, told before": (lambda s: s.fed("1").wait(minutes=1).repaired(), []),
    "a recovery under the agent's name, told after": (
        lambda s: s.repaired().wait(days=2).fed("1", ago=timedelta(days=2)),
        [],
    ),
    "a recovery of another day": (lambda s: s.repaired().wait(days=2).fed("1"), ["crm/account"]),
    "a call had been refused": (lambda s: s.fed("1", refused="A"), ["A"]),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_found(name: str) -> None:
    story, expected = CASES[name]
    told = Tale()
    story(told)
    assert signs(found_in(told)) == expected
    assert signs(found_in(told, restored=True)) == expected


def test_the_finding_about_a_call_answers_which_rule_and_which_records() -> None:
    [found] = found_in(Tale().gated("A").outcome("A"))
    assert (found.type, found.kind) == (IncidentType.APPROVAL_BYPASS, SignalKind.POLICY_VIOLATION)
    assert found.severity is Severity.SEV1
    assert found.facts["how"] == "no_approval_used"
    assert found.facts["calls"] == ["A"]
    assert found.facts["rule"] == "approval by business is needed"


def test_the_finding_about_a_change_names_system_objects_and_what_would_be_held() -> None:
    rules = rules_of(manifest(tools=TOOLS, alerts={"approval_bypass": {"hold": "tool"}}))
    [found] = found_in(Tale().fed("1").fed("2", "globex"), rules)
    assert found.kind is SignalKind.DOWNSTREAM_ANOMALY
    assert found.facts["objects"] == ["crm/account/acme", "crm/account/globex"]
    assert found.facts["changes"] == ["crm/1", "crm/2"]
    assert found.facts["tool"] == "crm.update_account"
    assert found.hold is ScopeKind.TOOL
    assert "no guarded call" in found.summary


HOLDS = {"approval_bypass": {"hold": "tool"}}
GRAVE, SLIGHT = (ScopeKind.TOOL, Severity.SEV1), (None, Severity.SEV3)
WEIGHED: dict[str, tuple[str, Callable[[Tale], Story], tuple[ScopeKind | None, Severity]]] = {
    "no approval": ("enforce", lambda s: s.ended("A"), GRAVE),
    "no approval, only observed": (
        "enforce",
        lambda s: s.gated("A", reasons=(GATED,), would=Verdict.WAIT).outcome("A"),
        SLIGHT,
    ),
    "a change past the guard": ("enforce", lambda s: s.fed("1"), GRAVE),
    "one of several is the agent's own": (
        "enforce",
        lambda s: s.fed("1", kind="activity").fed("2", kind="activity", beside="A"),
        GRAVE,
    ),
    "the system's own doing": ("enforce", lambda s: s.fed("1", kind="activity", beside="A"), SLIGHT),
    "traced": ("enforce", lambda s: s.applied().traced("1"), GRAVE),
    "traced, only observed": ("observe", lambda s: s.applied().traced("1"), SLIGHT),
    "traced, of no declared tool": ("enforce", lambda s: s.applied().traced("1", "planner"), SLIGHT),
}


@pytest.mark.parametrize("name", WEIGHED)
def test_what_is_held_at_once_and_how_grave_it_is(name: str) -> None:
    mode, story, expected = WEIGHED[name]
    told = Tale()
    story(told)
    [found] = found_in(told, rules_of(manifest(tools=TOOLS, mode=mode, alerts=HOLDS)))
    assert (found.hold, found.severity) == expected
    assert found.alarming  # whoever writes the rule wants to be told, of what is only observed as well


def test_it_says_whether_an_approval_was_missing_or_only_observed() -> None:
    [missing] = found_in(Tale().ended("A"))
    [observed] = found_in(Tale().gated("A", reasons=(GATED,), would=Verdict.WAIT).outcome("A"))
    assert missing.summary == "mail.send ran and no approval was used: approval by business is needed"
    assert observed.summary.startswith("mail.send ran while the workflow is only observed")


def test_it_names_the_call_that_was_refused_before() -> None:
    [found] = found_in(Tale().fed("1").fed("2", "globex", refused="A"))
    assert (found.call, found.facts["refused"]) == ("A", "A")
    assert "after A was refused" in found.summary


def test_a_rule_that_is_off_finds_nothing() -> None:
    rules = rules_of(manifest(tools=TOOLS, alerts={"approval_bypass": {"enabled": False}}))
    assert not found_in(Tale().ended("A").fed("1"), rules)


def test_no_order_of_what_belongs_together_is_an_alarm() -> None:
    """Two hundred orders of approval, outcome, attempt and effects, all within the time in which they may come."""
    for seed in range(200):
        told = Tale()
        told.gated("A").call("B", tool="crm.update_account")
        told.fed("1")
        first = len(told.entries)
        told.outcome("A")
        told.approved("A").attempted("B").done("B")
        rest = told.entries[first:]
        random.Random(seed).shuffle(rest)
        told.entries[first:] = rest
        assert not found_in(told), f"seed {seed}"


def test_a_flood_of_changes_keeps_the_state_bounded() -> None:
    told = Tale()
    for number in range(300):
        told.fed(str(number), f"object-{number % 3}")
    state = DETECTOR.start()
    for entry in told.entries:
        state, _ = DETECTOR.step(state, entry, RULES)
    assert sum(len(each) for each in state.fed.changes.values()) <= 150
    [found] = found_in(told)
    assert len(found.facts["changes"]) == 50


def test_the_same_cause_is_told_again_when_it_happens_again() -> None:
    told = Tale().fed("1").wait(minutes=5).fed("2")
    assert signs(found_in(told)) == ["crm/account", "crm/account"]
