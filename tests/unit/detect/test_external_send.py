"""Contract of the external-send detector: a message to somebody it must not go to, to somebody new where nobody ever is, or to more than ever
is found at its permit; whoever writes to new people every day, or has it approved, is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stopwork.detect.external_send import ExternalSend
from stopwork.detect.outside import Company, matches
from stopwork.detect.registry import Watch, restore
from stopwork.detect.rulebook import Rulebook
from stopwork.ledger.words import EffectKind, IncidentType, ScopeKind, Severity, SignalKind, Verdict
from tests.unit.detect.manifests import TOOLS, manifest
from tests.unit.detect.story import Story, finding_of, findings, rules_of, signs

DETECTOR = ExternalSend()
MAIL = TOOLS["mail.send"] | {"recipients": "args.to"}
OUT, IN = "ann@brightwater.test", "dana@acme.test"


def rules(alert: dict[str, Any] | None = None, **mail: Any) -> Rulebook:
    return rules_of(manifest(tools=TOOLS | {"mail.send": MAIL | mail}, alerts={"external_send": alert or {}}))


RULES = rules()
ONLY = rules(only_to=["*@acme.test", "brightwater.test", "#renewals"])


def send(story: Story, call: str, *to: str, run: str = "r1", **more: Any) -> Story:
    return story.call(call, run, tool="mail.send", effect=EffectKind.SEND, to=list(to), **more)


def habit(story: Story, *to: str, runs: int = 40, each: int = 1) -> Story:
    """Tell of weeks in which nothing happened: runs that send one message for each of these receivers."""
    for number in range(runs):
        story.after(hours=12).run(f"w{number}")
        for nth in range(each):
            for receiver in to:
                send(
                    story, f"w{number}-{nth}-{receiver}", receiver.replace("#", str(number)), run=f"w{number}"
                )
        story.finished(f"w{number}")
    return story.after(hours=12).run("r1")


# Each case: its name, then story, rules, what is found.
CASES: dict[str, tuple[Callable[[Story], Story], Rulebook, list[str]]] = {
    "to whom it may": (lambda s: send(s.run("r1"), "A", OUT, IN, "#renewals"), ONLY, []),
    "to somebody else": (lambda s: send(s.run("r1"), "A", "ann@brightwater.evil.test"), ONLY, ["A"]),
    "to a domain that ends alike": (lambda s: send(s.run("r1"), "A", "ann@notbrightwater.test"), ONLY, ["A"]),
    "to one of many": (lambda s: send(s.run("r1"), "A", OUT, "eve@evil.test"), ONLY, ["A"]),
    "to another channel": (lambda s: send(s.run("r1"), "A", "#general"), ONLY, ["A"]),
    "in capitals": (lambda s: send(s.run("r1"), "A", "Ann@Brightwater.TEST"), ONLY, []),
    "approved by a person": (lambda s: send(s.run("r1"), "A", "eve@evil.test", approval="ap1"), ONLY, ["A?"]),
    "refused": (lambda s: send(s.run("r1"), "A", "eve@evil.test", verdict=Verdict.DENY), ONLY, []),
    "told twice": (lambda s: send(s.run("r1"), "A", "eve@evil.test").told_twice(), ONLY, ["A"]),
    "again within the minute": (
        lambda s: send(send(s.run("r1"), "A", "eve@evil.test").after(seconds=5), "B", "eve@evil.test"),
        ONLY,
        ["A"],
    ),
    "outside, while nothing is known": (lambda s: send(s.run("r1"), "A", OUT), RULES, []),
    "the first that leaves the company": (lambda s: send(habit(s, IN), "A", OUT), RULES, ["A"]),
    "the first, approved": (lambda s: send(habit(s, IN), "A", OUT, approval="ap1"), RULES, []),
    "a new colleague": (lambda s: send(habit(s, IN), "A", "mia@acme.test"), RULES, []),
    "a new person at a customer": (lambda s: send(habit(s, OUT), "A", "bob@brightwater.test"), RULES, []),
    "a new company on a short list": (lambda s: send(habit(s, OUT), "A", "eve@evil.test"), RULES, ["A?"]),
    "a new company on a list that never grows": (
        lambda s: send(habit(s, OUT, each=3), "A", "eve@evil.test"),
        RULES,
        ["A"],
    ),
    "a new customer where there is one every day": (
        lambda s: send(habit(s, "ann@customer-#.test"), "A", "eve@evil.test"),
        RULES,
        [],
    ),
    "a run like the others": (lambda s: mass(habit(s, *people(20)), 50), RULES, []),
    "a run with four times as many": (lambda s: mass(habit(s, *people(20)), 80), RULES, ["m60"]),
    "many, where there were few": (lambda s: mass(habit(s, OUT), 25), RULES, []),
    "one more than is noticeable": (lambda s: mass(habit(s, OUT), 26), RULES, ["m25"]),
    "many in the first runs": (lambda s: mass(habit(s, OUT, runs=4), 80), RULES, []),
    "beyond what is written down": (
        lambda s: mass(s.run("r1"), 12),
        rules({"run_recipients": 10}),
        ["m10"],
    ),
    "more than three times the second busiest run": (
        lambda s: mass(busy(s, 100, 40, *[20] * 8), 130),
        RULES,
        ["m120"],
    ),
    "many colleagues": (lambda s: mass(habit(s, OUT), 80, at="acme.test"), RULES, []),
}


def busy(story: Story, *receivers: int) -> Story:
    """Tell of a run a day that writes to so many receivers of one customer."""
    for number, most in enumerate(receivers):
        story.after(days=1).run(f"b{number}")
        for each in range(most):
            send(story, f"b{number}-{each}", f"p{each}@brightwater.test", run=f"b{number}")
        story.finished(f"b{number}")
    return story.after(days=1).run("r1")


def people(number: int) -> list[str]:
    return [f"p{each}@brightwater.test" for each in range(number)]


def mass(story: Story, number: int, at: str = "brightwater.test") -> Story:
    for each in range(number):
        send(story.after(seconds=1), f"m{each}", f"m{each}@{at}")
    return story


@pytest.mark.parametrize("name", CASES)
def test_finds_what_goes_to_the_wrong_people_and_nothing_else(name: str) -> None:
    tell, rulebook, expected = CASES[name]
    assert signs(findings(DETECTOR, tell(Story()), rulebook)) == expected


def test_a_run_that_spreads_over_days_is_counted_by_the_day() -> None:
    """Many runs that each send a little are a mass as well."""
    story = habit(Story(), *people(20), runs=30)
    for number in range(130):
        send(story.after(seconds=5).run(f"d{number}"), f"d{number}", OUT, run=f"d{number}").finished(
            f"d{number}"
        )
    found = finding_of(DETECTOR, story, RULES)
    assert (found.facts["rule"], found.facts["threshold"]) == ("receivers outside in a day", 120)
    assert found.hold is None


def test_a_finding_answers_rule_threshold_and_value() -> None:
    found = finding_of(DETECTOR, send(Story().run("r1"), "A", OUT, "eve@evil.test"), ONLY)
    assert (found.type, found.kind) == (IncidentType.EXTERNAL_SEND, SignalKind.POLICY_VIOLATION)
    assert (found.key, found.hold, found.severity) == ("mail.send", ScopeKind.TOOL, Severity.SEV1)
    assert found.facts["rule"] == "tools.mail.send.only_to"
    assert found.facts["threshold"] == ["*@acme.test", "brightwater.test", "#renewals"]
    assert (found.facts["value"], found.facts["tool"]) == (["eve@evil.test"], "mail.send")
    assert found.summary == (
        "mail.send writes to eve@evil.test, and may write only to *@acme.test, brightwater.test and #renewals"
    )


def test_what_is_only_unusual_holds_nothing_by_itself() -> None:
    found = finding_of(DETECTOR, send(habit(Story(), IN), "A", OUT), RULES)
    assert (found.kind, found.hold) == (SignalKind.ALERT, None)
    assert found.summary == (
        "mail.send writes to brightwater.test: the first of 41 messages that leaves the company"
    )


def test_what_is_written_down_is_held_at_once_and_what_is_learned_is_not() -> None:
    written = finding_of(DETECTOR, mass(Story().run("r1"), 12), rules({"run_recipients": 10}))
    assert (written.kind, written.hold, written.severity) == (
        SignalKind.POLICY_VIOLATION,
        ScopeKind.TOOL,
        Severity.SEV1,
    )
    assert written.facts["rule"] == "alerts.external_send.run_recipients"
    assert written.summary.endswith("in this run, where 10 is the most allowed")
    learned = finding_of(DETECTOR, mass(habit(Story(), *people(20)), 80), RULES)
    assert (learned.kind, learned.hold, learned.severity) == (SignalKind.ALERT, None, None)
    assert learned.facts["rule"] == "receivers outside in a run"
    assert learned.summary.endswith("in this run, where 60 is the most to expect")


def test_a_rule_with_a_severity_opens_for_a_new_company_that_nobody_approved() -> None:
    weighed = rules({"severity": "sev2"})
    assert signs(findings(DETECTOR, send(habit(Story(), OUT), "A", "eve@evil.test"), weighed)) == ["A"]
    only = rules({"severity": "sev2"}, only_to=["acme.test"])
    story = send(Story().run("r1"), "A", "eve@evil.test", approval="ap1")
    found = finding_of(DETECTOR, story, only)
    assert (found.alarming, found.hold) == (False, None)
    assert found.summary.endswith("; a person approved it")


def test_a_tool_of_which_nothing_is_said_is_read_by_its_arguments() -> None:
    silent = rules_of(manifest(tools=TOOLS | {"mail.send": {"effect": "send", "only_to": ["acme.test"]}}))
    assert signs(findings(DETECTOR, send(Story().run("r1"), "A", "eve@evil.test"), silent)) == ["A"]


def test_what_was_learned_survives_a_restart() -> None:
    entries = send(habit(Story(), IN), "A", OUT).entries
    for restart_after in (1, 60, len(entries) - 1):
        watch, before, _ = Watch(detectors=(DETECTOR,)).follow(entries[:restart_after], RULES)
        _, after, _ = restore(watch.dump(), (DETECTOR,)).follow(entries[restart_after:], RULES)
        assert (before, signs(list(after))) == ((), ["A"])


def test_switched_off_it_says_nothing() -> None:
    off = rules({"enabled": False}, only_to=["acme.test"])
    assert findings(DETECTOR, send(Story().run("r1"), "A", OUT), off) == []


@pytest.mark.parametrize(
    ("receiver", "inside"),
    [
        ("dana@acme.test", True),
        ("x@mail.acme.test", True),
        ("x@notacme.test", False),
        ("https://hooks.acme.test/a", True),
        ("https://acme.test.evil.test/a", False),
        ("#general", True),
        ("boss@gmail.com", True),
        ("stranger@gmail.com", False),
        ("x@partner.test", True),
    ],
)
def test_who_is_inside(receiver: str, inside: bool) -> None:
    assert Company(["dana@acme.test", "boss@gmail.com"], ["partner.test"]).has(receiver) is inside


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*@acme.test", "dana@acme.test", True),
        ("*@acme.test", "dana@mail.acme.test", False),
        ("acme.test", "dana@mail.acme.test", True),
        ("sales-*", "sales-emea", True),
        ("*acme*", "https://acme.example", True),
        ("dana@acme.test", "xdana@acme.test", False),
    ],
)
def test_what_a_pattern_names(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits


@pytest.mark.parametrize(
    "receiver",
    [
        "eve@evil.test; dana@acme.test",
        "eve@evil.test, dana@acme.test",
        "eve@evil.test\ndana@acme.test",
        "mailto:eve@evil.test?cc=dana@acme.test",
        '"dana@acme.test" <eve@evil.test>',
        '"dana@acme.test"@evil.test',
        "eve@evil.test%0adana@acme.test",
        "dana@acme.test.evil.test",
        "dana@acm\u0435.test",
        "evil.test/x.acme.test",
        "//evil.test/x.acme.test",
        "https://evil.test\\@acme.test/",
        "http://[2001:db8::1]/",
        "http://3232235777/",
    ],
)
def test_nothing_that_looks_like_us_is_inside(receiver: str) -> None:
    assert not Company(["dana@acme.test"]).has(receiver)
    [found] = findings(DETECTOR, send(Story().run("r1"), "A", receiver), rules(only_to=["acme.test"]))
    assert found.hold is ScopeKind.TOOL


@pytest.mark.parametrize(
    "receiver",
    [
        "Dana Meyer <dana@acme.test>",
        "<dana@acme.test>; Lee <LEE@acme.test>",
        "'dana@acme.test'",
        "dana@acme.test.",
        "https://api.acme.test/hook?by=eve@evil.test",
        "api.acme.test:8443/v1",
    ],
)
def test_no_spelling_of_our_own_is_outside(receiver: str) -> None:
    assert Company(["Dana@ACME.test"]).has(receiver)
    assert not findings(DETECTOR, send(Story().run("r1"), "A", receiver), rules(only_to=["acme.test"]))


def test_receivers_are_found_inside_of_what_names_them() -> None:
    mails = rules_of(manifest(tools=TOOLS | {"mail.send": {"effect": "send", "only_to": ["acme.test"]}}))
    story = (
        Story()
        .run("r1")
        .call("A", tool="mail.send", effect=EffectKind.SEND, to=[{"email": {"address": "eve@evil.test"}}])
    )
    assert finding_of(DETECTOR, story, mails).facts["recipients"] == ["eve@evil.test"]


def test_letters_that_look_like_others_are_named() -> None:
    found = finding_of(
        DETECTOR, send(Story().run("r1"), "A", "dana@acm\u0435.test"), rules(only_to=["acme.test"])
    )
    assert "dana@acm\u0435.test (acm\\u0435.test), and may write only to acme.test" in found.summary
