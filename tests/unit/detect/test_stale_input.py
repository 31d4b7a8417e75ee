"""Contract of the stale-input detector: input that is too old, or from a place nobody declared, is found when it is
read; input in order, or of unknown age, is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from stopwork.detect.stale_input import StaleInput
from stopwork.ledger.words import EffectKind, IncidentType, ScopeKind, Severity, SignalKind, Verdict
from tests.unit.detect.manifests import manifest
from tests.unit.detect.story import Story, finding_of, findings, rules_of, signs

SOURCES = {"crm_export": {"trust": "internal", "fresh_within": "24h"}, "inbox": {"trust": "external"}}
RULES = rules_of(manifest(sources=SOURCES))
DETECTOR = StaleInput()
READ = EffectKind.READ
FRESH, STALE = timedelta(hours=23), timedelta(days=91)

# Each case: its name, then story, what is found.
CASES: dict[str, tuple[Callable[[Story], Story], list[str]]] = {
    "fresh": (lambda s: s.run("r1").retrieval("crm_export", old=FRESH), []),
    "as old as is allowed": (lambda s: s.run("r1").retrieval("crm_export", old=timedelta(hours=24)), []),
    "older": (lambda s: s.run("r1").retrieval("crm_export", old=STALE), ["crm_export"]),
    "of unknown age": (lambda s: s.run("r1").retrieval("crm_export"), []),
    "from the future": (lambda s: s.run("r1").retrieval("crm_export", old=-FRESH), []),
    "old, of a source that may be": (lambda s: s.run("r1").retrieval("inbox", old=STALE), []),
    "from a source that nobody declared": (lambda s: s.run("r1").retrieval("wiki"), ["wiki"]),
    "without a source": (lambda s: s.run("r1").retrieval(None, old=STALE), []),
    "read by a call from a declared source": (
        lambda s: s.run("r1").call("A", effect=READ, source="inbox"),
        [],
    ),
    "read by a call from an undeclared source": (
        lambda s: s.run("r1").call("A", effect=READ, source="wiki"),
        ["A"],
    ),
    "a refused read": (
        lambda s: s.run("r1").call("A", effect=READ, source="wiki", verdict=Verdict.DENY),
        [],
    ),
    "a write that names an undeclared source": (lambda s: s.run("r1").call("A", source="wiki"), []),
    "an old text in a message": (lambda s: s.run("r1").step(), []),
    "the same source again and again": (
        lambda s: (
            s.run("r1")
            .retrieval("crm_export", old=STALE)
            .after(seconds=59)
            .retrieval("crm_export", old=STALE)
            .after(seconds=1)
            .retrieval("crm_export", old=STALE)
        ),
        ["crm_export", "crm_export"],
    ),
    "two sources at once": (
        lambda s: s.run("r1").retrieval("crm_export", old=STALE).retrieval("wiki"),
        ["crm_export", "wiki"],
    ),
    "the same entry told twice": (
        lambda s: s.run("r1").retrieval("crm_export", old=STALE).told_twice(),
        ["crm_export"],
    ),
    "a late entry from before the first": (
        lambda s: (
            s.run("r1").retrieval("crm_export", old=STALE).after(hours=-1).retrieval("crm_export", old=STALE)
        ),
        ["crm_export"],
    ),
    "in a run whose beginning nobody saw": (
        lambda s: s.retrieval("crm_export", old=STALE),
        ["crm_export"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_finds_input_that_is_out_of_order_and_nothing_else(name: str) -> None:
    tell, expected = CASES[name]
    assert signs(findings(DETECTOR, tell(Story()), RULES)) == expected


def test_a_finding_answers_rule_threshold_and_value() -> None:
    found = finding_of(DETECTOR, Story().run("r1").retrieval("crm_export", old=STALE), RULES)
    assert (found.type, found.kind) == (IncidentType.STALE_OR_WRONG_INPUT, SignalKind.ALERT)
    assert (found.run, found.key, found.facts["trigger"]) == ("r1", "crm_export", "schedule")
    assert found.facts["rule"] == "sources.crm_export.fresh_within"
    assert (found.facts["threshold"], found.facts["value"]) == (86_400, STALE.total_seconds())
    assert found.facts["as_of"] == "2025-12-01T13:00:00+00:00"
    assert found.summary == "export read crm_export as it was 91 days before; 1 day is allowed"


def test_a_wrong_source_is_told_with_the_right_ones() -> None:
    found = finding_of(DETECTOR, Story().run("r1").retrieval("wiki", name="find policy"), RULES)
    assert found.facts["rule"] == "sources"
    assert (found.facts["threshold"], found.facts["value"]) == (["crm_export", "inbox"], "wiki")
    assert found.summary == (
        "find policy read wiki, which is not among the sources that the manifest declares"
    )


def test_the_rule_says_what_is_held_and_how_grave_it_is() -> None:
    rules = rules_of(
        manifest(sources=SOURCES, alerts={"stale_input": {"hold": "trigger", "severity": "sev1"}})
    )
    found = finding_of(DETECTOR, Story().run("r1", trigger="manual").retrieval("wiki"), rules)
    assert (found.hold, found.severity, found.facts["trigger"]) == (
        ScopeKind.TRIGGER,
        Severity.SEV1,
        "manual",
    )


@pytest.mark.parametrize(
    "rules",
    [
        rules_of(manifest()),
        rules_of(manifest(sources=SOURCES, alerts={"stale_input": {"enabled": False}})),
        lambda _workflow: None,
    ],
    ids=["no sources declared", "switched off", "a workflow nobody registered"],
)
def test_where_nothing_is_declared_nothing_is_wrong(rules: Callable[[str], None]) -> None:
    assert findings(DETECTOR, Story().run("r1").retrieval("wiki", old=STALE), rules) == []


OF_ONE_ACCOUNT = rules_of(
    manifest(sources=SOURCES, alerts={"stale_input": {"account": "customer.id", "hold": "workflow"}})
)


def of(account: object) -> dict[str, object]:
    return {"id": account, "name": "the same name"}


# Each case: its name, then story, what is found.
ACCOUNTS: dict[str, tuple[Callable[[Story], Story], list[str]]] = {
    "one account": (
        lambda s: s.call("A", effect=READ, customer=of("A-1")).call("B", customer=of("A-1")),
        [],
    ),
    "a read of another": (
        lambda s: s.call("A", customer=of("A-1")).call("B", effect=READ, customer=of("A-2")),
        ["B"],
    ),
    "a write for another": (
        lambda s: s.call("A", effect=READ, customer=of("A-1")).call("B", customer=of("A-2")),
        ["B"],
    ),
    "a retrieval about another": (
        lambda s: s.call("A", customer=of("A-1")).retrieval("inbox", customer=of("A-2")),
        ["another account"],
    ),
    "each run has its own": (
        lambda s: s.call("A", "r1", customer=of("A-1")).call("B", "r2", customer=of("A-2")),
        [],
    ),
    "a retry for another": (
        lambda s: (
            s.call("A", customer=of("A-1")).run("r2", retry_of="r1").call("B", "r2", customer=of("A-2"))
        ),
        ["B"],
    ),
    "a number is as good as its digits": (
        lambda s: s.call("A", customer=of(7)).call("B", customer=of("7")),
        [],
    ),
    "nothing is said of an account": (
        lambda s: s.call("A", customer=of("A-1")).call("B", customer="A-2").call("C", customer=of(None)),
        [],
    ),
    "a refused call": (
        lambda s: s.call("A", customer=of("A-1")).call("B", customer=of("A-2"), verdict=Verdict.DENY),
        [],
    ),
    "again and again": (
        lambda s: (
            s.call("A", customer=of("A-1"))
            .call("B", customer=of("A-2"))
            .call("C", customer=of("A-3"))
            .after(minutes=1)
            .call("D", customer=of("A-2"))
        ),
        ["B", "D"],
    ),
}


@pytest.mark.parametrize("name", ACCOUNTS)
def test_finds_what_is_of_another_account_than_the_run_works_for(name: str) -> None:
    tell, expected = ACCOUNTS[name]
    assert signs(findings(DETECTOR, tell(Story().run("r1")), OF_ONE_ACCOUNT)) == expected
    assert findings(DETECTOR, tell(Story().run("r1")), RULES) == []


def test_the_words_say_that_two_accounts_look_the_same() -> None:
    story = Story().run("r1").call("A", customer=of("acme")).call("B", effect=READ, customer=of("ACME"))
    assert finding_of(DETECTOR, story, OF_ONE_ACCOUNT).summary.endswith(
        "differ in nothing but capital letters"
    )


def test_the_words_name_both_accounts() -> None:
    story = Story().run("r1").call("A", customer=of("A-1")).call("B", effect=READ, customer=of("A-2"))
    finding = finding_of(DETECTOR, story, OF_ONE_ACCOUNT)
    assert finding.summary == "crm.create_task read for A-2, while the run works for A-1"
    assert (finding.facts["threshold"], finding.facts["value"]) == ("A-1", "A-2")
    assert (finding.hold, finding.severity) == (ScopeKind.WORKFLOW, Severity.SEV2)


def test_input_can_be_old_and_of_another_account() -> None:
    story = Story().run("r1").call("A", customer=of("A-1"))
    story.retrieval("crm_export", old=STALE, customer=of("A-2"))
    assert signs(findings(DETECTOR, story, OF_ONE_ACCOUNT)) == ["crm_export", "another account"]
